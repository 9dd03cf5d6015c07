//! Frames on QUIC streams, and the reasons for which a connection is closed.

use collab_core::wire::{self, Message, Preface, Probe, RowsHeader, StreamKind, WireError};
use quinn::{Connection, ConnectionError, ReadExactError, RecvStream, SendStream, VarInt};
use thiserror::Error;

/// What goes first when several streams have something to send.
pub(crate) mod priority {
    pub(crate) const CONTROL: i32 = 2;
    pub(crate) const ROWS: i32 = 1;
    pub(crate) const PROBE: i32 = 0;
    pub(crate) const TELEMETRY: i32 = -1;
}

/// Why a node closed a connection; the sentence beside it says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// In order.
    Done,
    /// The key is not admitted.
    Refused,
    /// The versions differ.
    Version,
    /// What was sent is not understood.
    Protocol,
    /// Another connection takes its place.
    Replaced,
    /// Another lab leads this worker.
    Busy,
}

impl Farewell {
    const ALL: [Farewell; 6] = [
        Farewell::Done,
        Farewell::Refused,
        Farewell::Version,
        Farewell::Protocol,
        Farewell::Replaced,
        Farewell::Busy,
    ];

    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Closes a connection for this reason, unless it has ended: then the reason of that stays.
    pub(crate) fn say(self, connection: &Connection, sentence: &str) {
        if connection.close_reason().is_none() {
            connection.close(self.code(), sentence.as_bytes());
        }
    }

    /// The reason that the other side gave, with its sentence.
    pub(crate) fn heard(error: &ConnectionError) -> Option<(Self, String)> {
        let ConnectionError::ApplicationClosed(close) = error else { return None };
        let reason = Self::ALL.into_iter().find(|reason| reason.code() == close.error_code)?;
        Some((reason, String::from_utf8_lossy(&close.reason).into_owned()))
    }
}

/// In words, for a log: why a connection ended.
pub(crate) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) if !close.reason.is_empty() => {
            String::from_utf8_lossy(&close.reason).into_owned()
        }
        ConnectionError::ApplicationClosed(_) => "the other side closed the connection".to_owned(),
        ConnectionError::TimedOut => "nothing was heard from it for a second".to_owned(),
        ConnectionError::Reset => "the other side restarted".to_owned(),
        ConnectionError::LocallyClosed => "the connection was closed".to_owned(),
        error => error.to_string(),
    }
}

/// Why a stream gave no message.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    /// It ended, or its connection did.
    #[error("{0}")]
    Ended(String),
    /// What came is not understood.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl From<ReadExactError> for StreamError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => {
                StreamError::Ended(describe(&error))
            }
            error => StreamError::Ended(error.to_string()),
        }
    }
}

impl From<quinn::WriteError> for StreamError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::ConnectionLost(error) => StreamError::Ended(describe(&error)),
            error => StreamError::Ended(error.to_string()),
        }
    }
}

impl From<ConnectionError> for StreamError {
    fn from(error: ConnectionError) -> Self {
        StreamError::Ended(describe(&error))
    }
}

pub(crate) async fn read_kind(stream: &mut RecvStream) -> Result<StreamKind, StreamError> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    Ok(StreamKind::from_byte(byte[0])?)
}

/// Reads one message.
pub(crate) async fn read<M: Message>(stream: &mut RecvStream) -> Result<M, StreamError> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await?;
    let mut bytes = vec![0; wire::frame_length(prefix)?];
    stream.read_exact(&mut bytes).await?;
    Ok(wire::decode(&bytes)?)
}

/// Writes one message.
pub(crate) async fn write<M: Message>(stream: &mut SendStream, message: &M) -> Result<(), StreamError> {
    let frame = wire::encode(message)?;
    stream.write_chunk(frame.into()).await?;
    Ok(())
}

pub(crate) async fn write_preface(stream: &mut SendStream) -> Result<(), StreamError> {
    Ok(stream.write_all(&Preface::ours().encode()).await?)
}

pub(crate) async fn read_preface(stream: &mut RecvStream) -> Result<Preface, StreamError> {
    let mut bytes = [0; Preface::LENGTH];
    stream.read_exact(&mut bytes).await?;
    Ok(Preface::decode(&bytes)?)
}

/// The bytes before a tensor's rows.
pub(crate) fn rows_head(header: &RowsHeader) -> Result<Vec<u8>, WireError> {
    Ok([vec![StreamKind::Rows.byte()], wire::encode(header)?].concat())
}

/// The bytes before those that measure a link.
pub(crate) fn probe_head(probe: Probe) -> Result<Vec<u8>, WireError> {
    Ok([vec![StreamKind::Probe.byte()], wire::encode(&probe)?].concat())
}

/// Reads exactly `length` bytes and the stream's end.
pub(crate) async fn read_body(stream: &mut RecvStream, length: u64) -> Result<Vec<u8>, StreamError> {
    // Grows as bytes come, so that a header alone reserves little.
    let length = length as usize;
    let mut body = Vec::with_capacity(length.min(1 << 20));
    loop {
        match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) if body.len() + chunk.bytes.len() <= length => {
                body.extend_from_slice(&chunk.bytes);
            }
            Ok(None) if body.len() == length => return Ok(body),
            Ok(Some(_)) => return Err(StreamError::Ended(format!("more than the {length} bytes announced"))),
            Ok(None) => {
                return Err(StreamError::Ended(format!("{} of {length} bytes came", body.len())));
            }
            Err(quinn::ReadError::ConnectionLost(error)) => return Err(error.into()),
            Err(error) => return Err(StreamError::Ended(error.to_string())),
        }
    }
}
