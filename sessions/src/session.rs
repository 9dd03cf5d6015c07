//! A recorded session, opened for reading.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use collab_core::event::Event;
use collab_core::lab::Lab;
use collab_core::time::Micros;
use thiserror::Error;

use crate::chunk::{Chunk, Damage, Lane, Message};
use crate::cursor::Cursor;
use crate::index::{Moment, Segment};
use crate::keyframe::read_keyframe;
use crate::open::{Completeness, Contents, OpenError, Place, Problem, contents, more_contents};
use crate::source::{ReadSeek, Source};

/// Why a part of an open session cannot be read.
#[derive(Debug, Error)]
#[error(
    "the session is damaged at {at} (byte {offset}: {damage}). Copy the file again, or replay what is before or after with --at"
)]
pub struct ReadError {
    /// When what cannot be read begins.
    pub at: Micros,
    /// Where in the file the chunk is.
    pub offset: u64,
    /// What is wrong with it.
    #[source]
    pub damage: Damage,
}

/// A session file opened for reading. Clones share the file.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    source: Source,
    contents: Contents,
}

/// An event as it is in the file.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The session's time with it: the latest of its own and all before it.
    pub at: Micros,
    /// The channel it was recorded in.
    pub topic: &'a str,
    /// Its JSON.
    pub json: &'a [u8],
}

impl Entry<'_> {
    /// As this program knows it; `None` if it is of a kind or form that another version wrote, or says what cannot be.
    pub fn event(&self) -> Option<Event> {
        serde_json::from_slice(self.json).ok().filter(Event::is_possible)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("contents", &self.shared.contents).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a file: a complete one by its index, any other by a scan that recovers what was flushed.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::read(&name, file),
            Err(error) => Err(OpenError { name, problem: error.into() }),
        }
    }

    /// Opens anything that can be read at any place; `name` is for errors.
    pub fn read(name: &str, source: impl ReadSeek + 'static) -> Result<Self, OpenError> {
        let open = || -> Result<Self, Problem> {
            let source = Source::new(Box::new(source))?;
            let contents = contents(&source)?;
            Ok(Self { shared: Arc::new(Shared { name: name.to_owned(), source, contents }) })
        };
        open().map_err(|problem| OpenError { name: name.to_owned(), problem })
    }

    /// The session as its file is now: what was flushed since is read, nothing is read twice.
    pub fn refresh(&self) -> Result<Self, OpenError> {
        let Shared { name, source, contents } = &*self.shared;
        let again = || -> Result<Self, Problem> {
            let source = source.again()?;
            let contents = more_contents(&source, contents.clone())?;
            Ok(Self { shared: Arc::new(Shared { name: name.clone(), source, contents }) })
        };
        again().map_err(|problem| OpenError { name: name.clone(), problem })
    }

    /// Whether it was finished, or recovered.
    pub fn completeness(&self) -> Completeness {
        self.shared.contents.completeness
    }

    /// Whether it was finished.
    pub fn is_complete(&self) -> bool {
        self.completeness() == Completeness::Complete
    }

    /// The time of the last event.
    pub fn length(&self) -> Micros {
        self.shared.contents.index.end
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.shared.source.len
    }

    /// Events in it.
    pub fn events(&self) -> u64 {
        self.shared.contents.index.events
    }

    /// The times at which keyframes are; a seek folds forward from the one before it.
    pub fn keyframes(&self) -> impl Iterator<Item = Micros> + '_ {
        self.segments().iter().map(|segment| segment.at)
    }

    /// Marks, commands, lost workers and switched partitions, in the order of time.
    pub fn moments(&self) -> &[Moment] {
        &self.shared.contents.index.moments
    }

    /// The lab as it was at `to`, every event up to and with that time applied.
    pub fn seek(&self, to: Micros) -> Result<Cursor, ReadError> {
        let mut cursor = Cursor::at(self.clone(), self.segment_before(to))?;
        cursor.advance(to)?;
        Ok(cursor)
    }

    /// The lab before the first event.
    pub fn start(&self) -> Result<Cursor, ReadError> {
        Cursor::at(self.clone(), 0)
    }

    /// Calls `visit` with every event in order, those of unknown kinds too.
    pub fn visit<E: From<ReadError>>(
        &self,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for place in &self.shared.contents.chunks {
            let mut chunk = Chunk::default();
            self.append(*place, &mut chunk)?;
            for message in &chunk.messages {
                if let Some(entry) = entry(&chunk, message) {
                    visit(entry)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.shared.contents.index.segments
    }

    /// The last segment that starts at or before `to`; the first if none does.
    pub(crate) fn segment_before(&self, to: Micros) -> usize {
        self.segments().partition_point(|segment| segment.at <= to).saturating_sub(1)
    }

    /// The last segment with at most `events` events before it.
    pub(crate) fn segment_of(&self, events: u64) -> usize {
        self.segments().partition_point(|segment| segment.events_before <= events).saturating_sub(1)
    }

    /// Unpacks the start of a segment, up to the end of its first chunk: its keyframe, if this program can
    /// read it, and the first of its events.
    pub(crate) fn load(&self, segment: usize) -> Result<(Option<Lab>, Chunk), ReadError> {
        let mut chunk = Chunk::default();
        if let Some(first) = self.places(segment).first() {
            self.append(*first, &mut chunk)?;
        }
        let keyframe = chunk.messages.first().filter(|message| message.lane == Lane::Keyframe);
        let lab = keyframe.and_then(|message| read_keyframe(chunk.data(message)));
        chunk.messages.retain(|message| matches!(message.lane, Lane::Events(_)));
        Ok((lab, chunk))
    }

    /// Unpacks one more chunk's events.
    pub(crate) fn load_more(&self, place: Place, chunk: &mut Chunk) -> Result<(), ReadError> {
        self.append(place, chunk)?;
        chunk.messages.retain(|message| matches!(message.lane, Lane::Events(_)));
        Ok(())
    }

    /// Where a segment's chunks are.
    pub(crate) fn places(&self, segment: usize) -> &[Place] {
        let chunks = &self.shared.contents.chunks;
        let position = |segment: &Segment| chunks.partition_point(|place| place.offset < segment.offset);
        let first = self.segments().get(segment).map_or(chunks.len(), position);
        let end = self.segments().get(segment + 1).map_or(chunks.len(), position);
        &chunks[first..end]
    }

    fn append(&self, place: Place, chunk: &mut Chunk) -> Result<(), ReadError> {
        let Shared { source, contents, .. } = &*self.shared;
        let mut lanes = contents.lanes.clone();
        chunk.append(source, place.offset, place.length, &mut lanes).map_err(|damage| ReadError {
            at: place.at,
            offset: place.offset,
            damage,
        })
    }
}

/// The event in a message, if it holds one.
pub(crate) fn entry<'a>(chunk: &'a Chunk, message: &'a Message) -> Option<Entry<'a>> {
    let Lane::Events(topic) = &message.lane else { return None };
    Some(Entry { at: message.at, topic, json: chunk.data(message) })
}
