//! Finding out what a file holds: by its summary and index where it is complete, by a scan where it is not.

use std::io;

use collab_core::event::{Channel, Event};
use collab_core::time::Micros;
use mcap::MAGIC;
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use thiserror::Error;

use crate::chunk::{Chunk, Damage, Lane, Lanes};
use crate::fields::{self, HEAD, opcode};
use crate::format::{MAJOR, PROFILE, RECORD_LIMIT};
use crate::index::{Index, Moment, Segment};
use crate::source::Source;

/// Why a file cannot be opened as a session.
#[derive(Debug, Error)]
#[error("{name}: {problem}")]
pub struct OpenError {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum Problem {
    /// It cannot be read at all.
    #[error("{0}. Name a session file that you may read")]
    Io(#[from] io::Error),
    /// It has no bytes.
    #[error("the file is empty: its recording ended before anything was written. Record again")]
    Empty,
    /// It does not begin like an MCAP file.
    #[error("this is no session: it does not begin like an MCAP file. Sessions are written with --record")]
    NotMcap,
    /// It ends before its header does.
    #[error("the file ends after {0} bytes, within its header: nothing of the session is left. Record again")]
    CutHeader(u64),
    /// It is an MCAP file of something else.
    #[error(
        "this is an MCAP file with the profile '{found}', not a session: its profile would be '{PROFILE}{MAJOR}'"
    )]
    OtherProfile {
        /// Its profile.
        found: String,
    },
    /// A session of another time.
    #[error(
        "this session has format {found}, this program reads format {MAJOR}: use the version of collab that recorded it"
    )]
    OtherFormat {
        /// Its major version.
        found: u32,
    },
    /// Its first chunk is damaged or packed in another way.
    #[error("nothing of the session can be read, its first chunk is damaged: {0}. Copy the file again")]
    FirstChunk(Damage),
    /// Nothing is in it.
    #[error("the file holds no events: its recording ended before the first was flushed. Record again")]
    NoEvents,
}

/// How much of a file there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It was finished: its summary says where everything is.
    Complete,
    /// It was not finished, or is cut or damaged; everything up to a chunk's end was recovered.
    Recovered {
        /// Bytes at the end that could not be used.
        unread_bytes: u64,
    },
}

/// A chunk's record in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// When its first event is.
    pub(crate) at: Micros,
}

/// What is where in a file.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) completeness: Completeness,
    /// Chunks with events, in the order of the file.
    pub(crate) chunks: Vec<Place>,
    pub(crate) lanes: Lanes,
    pub(crate) index: Index,
    /// Everything before this offset is known.
    known: u64,
}

/// Reads what a file holds.
pub(crate) fn contents(source: &Source) -> Result<Contents, Problem> {
    let data_start = check_header(source)?;
    let contents = match by_summary(source) {
        Some(contents) => contents,
        None => {
            let nothing = Contents {
                completeness: Completeness::Recovered { unread_bytes: source.len - data_start },
                chunks: Vec::new(),
                lanes: Lanes::default(),
                index: Index::default(),
                known: data_start,
            };
            more_contents(source, nothing)?
        }
    };
    if contents.index.events == 0 { Err(Problem::NoEvents) } else { Ok(contents) }
}

/// Checks magic, header, profile and version; answers where the data begins.
fn check_header(source: &Source) -> Result<u64, Problem> {
    if source.len == 0 {
        return Err(Problem::Empty);
    }
    let magic = source.read(0, source.len.min(MAGIC.len() as u64))?;
    if !MAGIC.starts_with(&magic) {
        return Err(Problem::NotMcap);
    }
    let cut = || Problem::CutHeader(source.len);
    let start = MAGIC.len() as u64;
    if !source.holds(start, HEAD) {
        return Err(cut());
    }
    let (opcode, length) = fields::head(&source.read(start, HEAD)?).ok_or_else(cut)?;
    if opcode != opcode::HEADER {
        return Err(Problem::NotMcap);
    }
    if !source.holds(start + HEAD, length) || length > RECORD_LIMIT as u64 {
        return Err(cut());
    }
    let header = source.read(start + HEAD, length)?;
    let profile = fields::profile(&header).ok_or(Problem::NotMcap)?;
    let version = profile.strip_prefix(PROFILE).and_then(|version| version.parse().ok());
    match version {
        Some(MAJOR) => Ok(start + HEAD + length),
        Some(found) => Err(Problem::OtherFormat { found }),
        None => Err(Problem::OtherProfile { found: profile.to_owned() }),
    }
}

/// Bytes of a footer record and the magic after it.
const FOOTER: u64 = HEAD + 20 + 8;
/// Bytes of the record that ends the data, just before the summary.
const DATA_END: u64 = HEAD + 4;

/// The contents as a complete file tells them; `None` where anything does not fit.
fn by_summary(source: &Source) -> Option<Contents> {
    let footer = source.read(source.len.checked_sub(FOOTER)?, FOOTER).ok()?;
    let (opcode::FOOTER, 20) = fields::head(&footer)? else { return None };
    let start = fields::footer(&footer[HEAD as usize..])?.checked_sub(DATA_END)?;
    let length = source.len.checked_sub(start)?;
    if length > RECORD_LIMIT as u64 {
        return None;
    }
    let summary = source.read(start, length).ok()?;
    let (mut chunks, mut lanes) = (Vec::new(), Lanes::default());
    read_summary(&summary, &mut chunks, &mut lanes)?;
    let last = chunks.pop()?;
    let mut chunk = Chunk::default();
    chunk.append(source, last.offset, last.length, &mut lanes).ok()?;
    let message = chunk.messages.iter().find(|message| message.lane == Lane::Index)?;
    let index: Index = serde_json::from_slice(chunk.data(message)).ok()?;
    if chunk.messages.len() > 1 {
        chunks.push(last);
    }
    let known =
        |segment: &Segment| chunks.binary_search_by_key(&segment.offset, |place| place.offset).is_ok();
    let ordered = index
        .segments
        .is_sorted_by(|a, b| a.offset < b.offset && a.at <= b.at && a.events_before < b.events_before);
    let starts = index.segments.first().is_some_and(|first| {
        first.events_before == 0 && chunks.first().is_some_and(|place| place.offset == first.offset)
    });
    let fits = chunks.is_sorted_by_key(|place| place.offset) && ordered && starts;
    (fits && index.segments.iter().all(known)).then_some(Contents {
        completeness: Completeness::Complete,
        chunks,
        lanes,
        index,
        known: source.len,
    })
}

/// Reads `DataEnd`, the summary, the footer and the end magic, and checks the summary's CRC.
fn read_summary(mut bytes: &[u8], chunks: &mut Vec<Place>, lanes: &mut Lanes) -> Option<()> {
    let mut options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_emit_chunks(true)
        .with_record_length_limit(bytes.len());
    options.validate_summary_section_crc = true;
    let mut reader = LinearReader::new_with_options(options);
    let mut first = true;
    while let Some(event) = reader.next_event() {
        match event.ok()? {
            LinearReadEvent::ReadRequest(wanted) => {
                let (now, later) = bytes.split_at(wanted.min(bytes.len()));
                reader.insert(now.len()).copy_from_slice(now);
                reader.notify_read(now.len());
                bytes = later;
            }
            LinearReadEvent::Record { opcode, data } => {
                if std::mem::take(&mut first) && opcode != opcode::DATA_END {
                    return None;
                }
                match opcode {
                    opcode::CHUNK_INDEX => {
                        let (start, offset, length) = fields::chunk_index(data)?;
                        chunks.push(Place { offset, length, at: Micros(start / 1000) });
                    }
                    opcode::CHANNEL => lanes.add(data)?,
                    _ => {}
                }
            }
        }
    }
    Some(())
}

/// Adds to what is `known` of a file whatever whole, undamaged chunks follow.
pub(crate) fn more_contents(source: &Source, known: Contents) -> Result<Contents, Problem> {
    let mut found = known;
    if found.completeness == Completeness::Complete {
        return Ok(found);
    }
    while source.holds(found.known, HEAD) {
        let offset = found.known;
        let head = source.read(offset, HEAD)?;
        let Some((opcode, body)) = fields::head(&head) else { break };
        let Some(length) = body.checked_add(HEAD).filter(|length| source.holds(offset, *length)) else {
            break;
        };
        match opcode {
            opcode::CHUNK => {
                let mut chunk = Chunk::default();
                match chunk.append(source, offset, length, &mut found.lanes) {
                    Ok(()) => found.take_chunk(offset, length, &chunk),
                    Err(damage) if found.chunks.is_empty() => return Err(Problem::FirstChunk(damage)),
                    Err(_) => break,
                }
            }
            opcode::CHANNEL if body <= RECORD_LIMIT as u64 => {
                let taken = found.lanes.add(&source.read(offset + HEAD, body)?);
                if taken.is_none() {
                    break;
                }
            }
            opcode::FOOTER => {
                if source.read(offset + length, MAGIC.len() as u64).is_ok_and(|magic| magic == MAGIC) {
                    found.completeness = Completeness::Complete;
                    return Ok(found);
                }
                break;
            }
            _ => {}
        }
        found.known = offset + length;
    }
    found.completeness = Completeness::Recovered { unread_bytes: source.len.saturating_sub(found.known) };
    Ok(found)
}

impl Contents {
    fn take_chunk(&mut self, offset: u64, length: u64, chunk: &Chunk) {
        let index = &mut self.index;
        let mut events = chunk.messages.iter().filter(|message| matches!(message.lane, Lane::Events(_)));
        let Some(first) = events.next() else { return };
        let at = first.at.max(index.end);
        let starts_segment = chunk.messages[0].lane == Lane::Keyframe;
        if starts_segment || index.segments.is_empty() {
            index.segments.push(Segment { offset, at, events_before: index.events });
        }
        for message in &chunk.messages {
            let Lane::Events(topic) = &message.lane else { continue };
            index.events += 1;
            index.end = index.end.max(message.at);
            if may_hold_moments(topic) {
                let event = serde_json::from_slice::<Event>(chunk.data(message));
                index.moments.extend(event.ok().and_then(|event| Moment::of(&event, index.end)));
            }
        }
        self.chunks.push(Place { offset, length, at });
    }
}

fn may_hold_moments(topic: &str) -> bool {
    [Channel::Commands, Channel::Workers, Channel::Partitions].iter().any(|channel| channel.topic() == topic)
}
