//! What travels between nodes, as bytes: versions, frames, and the limits every decoder keeps to.
//!
//! A connection is admitted by its key. On it, each stream begins with one byte, its [`StreamKind`]:
//!
//! | stream | opened by | carries |
//! |---|---|---|
//! | control, two-way | the lab | [`Preface`] both ways, then frames of [`Asked`] and [`Answered`] |
//! | telemetry, one-way | a worker, to the lab | frames of [`Telemetry`] |
//! | rows, one-way | whoever owns the rows | one [`RowsHeader`] and the rows: one stream for each tensor |
//! | probe, two-way | anyone | one [`Probe`] and its bytes; a [`ProbeEcho`] comes back |
//!
//! A frame is its length as four bytes, little end first, and a postcard message. Nothing in here reads a
//! socket. Every decoder returns an error for what it does not understand and allocates no more than a
//! small multiple of what it was given.

mod bytes;
mod control;
mod rows;
mod telemetry;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub(crate) use control::check_partition;
pub use control::{
    Answered, Asked, LabHello, NetworkOffer, NetworkOptions, Peer, Reply, Request, StatusReport, TimedLayer,
    WorkerHello,
};
pub use rows::{Encoding, Probe, ProbeEcho, RowsHeader};
pub use telemetry::{RunReport, Telemetry, WorkerSpan};

/// The version of everything in this module. Two nodes talk only if theirs are equal.
pub const VERSION: u16 = 7;

/// The application protocol that both ends name in the TLS handshake; never changes.
pub const ALPN: &[u8] = b"collab";

/// The longest frame, bytes.
pub const MAX_FRAME: usize = 1 << 20;
/// The most bytes of a network in one [`Request::Chunk`].
pub const MAX_CHUNK: usize = 256 << 10;
/// The largest network, bytes.
pub const MAX_NETWORK: u64 = 2 << 30;
/// The longest tensor in one rows stream, bytes.
pub const MAX_ROWS: u64 = 256 << 20;
/// The longest probe, bytes.
pub const MAX_PROBE: u64 = 64 << 20;
/// The longest text in a message, bytes.
pub const MAX_TEXT: usize = 1024;
/// The most blocks in a partition.
pub const MAX_BLOCKS: usize = 4096;
/// The longest calibration that can be asked for, ms.
pub const MAX_CALIBRATION_MS: u32 = 60_000;
/// The most layer times in one answer.
pub const MAX_TIMED: usize = 16_384;
/// The largest row number.
pub const MAX_ROW: u32 = 1 << 24;

/// Why bytes were not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// Another protocol altogether.
    #[error("the other side does not speak collab's protocol")]
    NotCollab,
    /// Another version.
    #[error(
        "the other side speaks version {theirs} of the protocol, this side version {ours}: update the older one"
    )]
    Version {
        /// This side's.
        ours: u16,
        /// The other side's.
        theirs: u16,
    },
    /// A frame that is too long.
    #[error("a frame of {found} bytes is longer than the {most} allowed")]
    TooLong {
        /// The limit.
        most: usize,
        /// What the frame says.
        found: usize,
    },
    /// Bytes that are no such message.
    #[error("not a valid {message}: {problem}")]
    Malformed {
        /// What was expected.
        message: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// The first byte of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Requests and replies.
    Control,
    /// A tensor's rows.
    Rows,
    /// Reports from a worker.
    Telemetry,
    /// Bytes that measure a link.
    Probe,
}

impl StreamKind {
    /// As it is sent.
    pub fn byte(self) -> u8 {
        match self {
            StreamKind::Control => b'c',
            StreamKind::Rows => b'r',
            StreamKind::Telemetry => b't',
            StreamKind::Probe => b'p',
        }
    }

    /// Reads it back.
    pub fn from_byte(byte: u8) -> Result<Self, WireError> {
        match byte {
            b'c' => Ok(StreamKind::Control),
            b'r' => Ok(StreamKind::Rows),
            b't' => Ok(StreamKind::Telemetry),
            b'p' => Ok(StreamKind::Probe),
            _ => Err(WireError::NotCollab),
        }
    }
}

/// The first bytes on the control stream, from both sides; its form never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preface {
    /// The version that its sender speaks.
    pub version: u16,
}

impl Preface {
    /// Bytes of a preface.
    pub const LENGTH: usize = 8;
    const MAGIC: [u8; 6] = *b"collab";

    /// This program's.
    pub fn ours() -> Self {
        Self { version: VERSION }
    }

    /// As it is sent.
    pub fn encode(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..6].copy_from_slice(&Self::MAGIC);
        bytes[6..].copy_from_slice(&self.version.to_be_bytes());
        bytes
    }

    /// Reads it back, whatever its version.
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Result<Self, WireError> {
        let [magic @ .., high, low] = bytes;
        if *magic != Self::MAGIC {
            return Err(WireError::NotCollab);
        }
        Ok(Self { version: u16::from_be_bytes([*high, *low]) })
    }

    /// Fails, naming both versions, unless `theirs` equals this one.
    pub fn check(self, theirs: Preface) -> Result<(), WireError> {
        if self == theirs {
            return Ok(());
        }
        Err(WireError::Version { ours: self.version, theirs: theirs.version })
    }
}

/// A message with a name for errors and limits of its own.
pub trait Message: Serialize + DeserializeOwned {
    /// What it is called in errors.
    const NAME: &'static str;

    /// What postcard cannot check: lengths, ranges, finite numbers.
    fn check(&self) -> Result<(), String>;
}

/// A message as a frame: four bytes of length, then postcard.
///
/// Fails if it does not keep to its own limits, so that an error shows up where it is made.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, WireError> {
    let malformed = |problem: String| WireError::Malformed { message: M::NAME, problem };
    message.check().map_err(malformed)?;
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(|error| malformed(error.to_string()))?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(WireError::TooLong { most: MAX_FRAME, found: length });
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// The length of the message that follows these four bytes.
pub fn frame_length(prefix: [u8; 4]) -> Result<usize, WireError> {
    let found = u32::from_le_bytes(prefix) as usize;
    if found > MAX_FRAME {
        return Err(WireError::TooLong { most: MAX_FRAME, found });
    }
    Ok(found)
}

/// Reads a message without its length; all of `bytes` must belong to it.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, WireError> {
    let malformed = |problem: String| WireError::Malformed { message: M::NAME, problem };
    if bytes.len() > MAX_FRAME {
        return Err(WireError::TooLong { most: MAX_FRAME, found: bytes.len() });
    }
    let (message, rest) =
        postcard::take_from_bytes::<M>(bytes).map_err(|error| malformed(error.to_string()))?;
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes too many", rest.len())));
    }
    message.check().map_err(malformed)?;
    Ok(message)
}

/// Fails if `text` is too long.
fn check_text(what: &str, text: &str) -> Result<(), String> {
    check_count(what, text.len(), MAX_TEXT)
}

/// Fails if there are more than `most`.
fn check_count(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most {
        return Err(format!("{what}: {count} is more than the {most} allowed"));
    }
    Ok(())
}

/// Fails unless rows are a range within the limits; an empty one is fine.
fn check_rows(rows: crate::rows::Rows) -> Result<(), String> {
    if rows.start > rows.end || rows.end > MAX_ROW {
        return Err(format!("rows {}..{} are no range", rows.start, rows.end));
    }
    Ok(())
}

/// Fails unless `value` is a number within `range`.
fn check_number(what: &str, value: f64, range: std::ops::RangeInclusive<f64>) -> Result<(), String> {
    if !range.contains(&value) {
        return Err(format!("{what} {value} is not within {}…{}", range.start(), range.end()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
