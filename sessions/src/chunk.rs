//! One chunk of a session, unpacked: its messages in order.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use collab_core::time::Micros;
use mcap::McapError;
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use thiserror::Error;

use crate::fields::{self, opcode};
use crate::format::{INDEX, KEYFRAME, RECORD_LIMIT};
use crate::source::Source;

/// Why a chunk cannot be used.
#[derive(Debug, Error)]
pub enum Damage {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The chunk's record does not unpack to what it promises.
    #[error(transparent)]
    Mcap(#[from] McapError),
    /// It is packed in a way that a session is not.
    #[error("it is compressed as '{found}', not as 'zstd'")]
    Compression {
        /// How.
        found: String,
    },
    /// There is something else where a chunk should be.
    #[error("there is no chunk")]
    NoChunk,
    /// A record ends before its fields do.
    #[error("a record of it is too short")]
    Short,
}

/// What a channel's messages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The whole lab.
    Keyframe,
    /// Where keyframes and moments are.
    Index,
    /// Events, under this topic; one this program does not know is kept all the same.
    Events(Arc<str>),
    /// Not JSON: none of a session's.
    Foreign,
}

/// Channels by their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes(HashMap<u16, Lane>);

impl Lanes {
    /// Takes a channel record; the first one of a number stands.
    pub(crate) fn add(&mut self, body: &[u8]) -> Option<()> {
        let (number, topic, encoding) = fields::channel(body)?;
        let lane = match topic {
            _ if encoding != "json" => Lane::Foreign,
            KEYFRAME => Lane::Keyframe,
            INDEX => Lane::Index,
            topic => Lane::Events(topic.into()),
        };
        self.0.entry(number).or_insert(lane);
        Some(())
    }
}

/// A message within [`Chunk::bytes`].
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) lane: Lane,
    pub(crate) at: Micros,
    pub(crate) data: Range<usize>,
}

/// A chunk's messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) messages: Vec<Message>,
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    /// Loads the chunk whose record is at `offset` and `length` bytes long, and appends its messages.
    /// Nothing is appended after an error. Memory stays below the format's limits whatever the file says.
    pub(crate) fn append(
        &mut self,
        source: &Source,
        offset: u64,
        length: u64,
        lanes: &mut Lanes,
    ) -> Result<(), Damage> {
        if length > RECORD_LIMIT as u64 {
            return Err(McapError::ChunkTooLarge(length).into());
        }
        let record = source.read(offset, length)?;
        match fields::head(&record) {
            Some((opcode::CHUNK, body)) if body == length.saturating_sub(fields::HEAD) => {}
            _ => return Err(Damage::NoChunk),
        }
        let compression = fields::compression(&record[fields::HEAD as usize..]).ok_or(Damage::Short)?;
        if compression != "zstd" {
            return Err(Damage::Compression { found: compression.to_owned() });
        }
        let (messages, bytes) = (self.messages.len(), self.bytes.len());
        let unpacked = self.unpack(&record, lanes);
        if unpacked.is_err() {
            self.messages.truncate(messages);
            self.bytes.truncate(bytes);
        }
        unpacked
    }

    fn unpack(&mut self, mut record: &[u8], lanes: &mut Lanes) -> Result<(), Damage> {
        let options = LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_skip_end_magic(true)
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(RECORD_LIMIT);
        let mut reader = LinearReader::new_with_options(options);
        while let Some(event) = reader.next_event() {
            match event? {
                LinearReadEvent::ReadRequest(wanted) => {
                    let (now, later) = record.split_at(wanted.min(record.len()));
                    reader.insert(now.len()).copy_from_slice(now);
                    reader.notify_read(now.len());
                    record = later;
                }
                LinearReadEvent::Record { opcode: opcode::MESSAGE, data } => {
                    let (number, log_time, data) = fields::message(data).ok_or(Damage::Short)?;
                    let Some(lane) = lanes.0.get(&number).filter(|lane| **lane != Lane::Foreign) else {
                        continue;
                    };
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(data);
                    let (at, data) = (Micros(log_time / 1000), start..self.bytes.len());
                    self.messages.push(Message { lane: lane.clone(), at, data });
                }
                LinearReadEvent::Record { opcode: opcode::CHANNEL, data } => {
                    lanes.add(data).ok_or(Damage::Short)?;
                }
                LinearReadEvent::Record { .. } => {}
            }
        }
        Ok(())
    }

    pub(crate) fn data(&self, message: &Message) -> &[u8] {
        &self.bytes[message.data.clone()]
    }
}
