//! Writing a session: each event before it is applied, a keyframe now and then, nothing held back for long.
//!
//! Reads no clock: flushing follows the times of the events, and whoever has a clock calls
//! [`Recorder::flush_due`] while nothing happens.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use collab_core::event::{Channel, Event, Level, What};
use collab_core::lab::Lab;
use collab_core::time::Micros;
use mcap::records::MessageHeader;
use mcap::write::NoSeek;
use mcap::{Compression, McapError, WriteOptions, Writer};
use thiserror::Error;

use crate::format::{
    FLUSH_BYTES, FLUSH_EVERY, INDEX, INDEX_SCHEMA, KEYFRAME, KEYFRAME_EVENTS, KEYFRAME_EVERY,
    KEYFRAME_SCHEMA, MAJOR, MESSAGE_LIMIT, PROFILE, schema,
};
use crate::index::{Index, Moment, Segment};

/// Why an event is not on its way to the file.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file is there already.
    #[error("{} exists already: name another file, or move this one away", .0.display())]
    Exists(PathBuf),
    /// The file or its folder cannot be made.
    #[error("cannot create {}: {source}. Name a file in a folder you may write to", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Writing failed; what was flushed before is safe, nothing more is recorded.
    #[error(
        "recording stopped: {0}. Free some space and start another session; what was flushed can be replayed"
    )]
    Write(#[from] McapError),
    /// The event or the lab has no JSON form.
    #[error("an event cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
    /// One event alone is longer than a reader accepts.
    #[error("an event of {found} bytes is too long to record, the limit is {limit}")]
    TooLong {
        /// Its bytes of JSON.
        found: usize,
        /// The most there may be.
        limit: usize,
    },
    /// An earlier write failed.
    #[error("the recording has stopped after an earlier error")]
    Stopped,
}

/// What a finished recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Bytes of the file.
    pub bytes: u64,
    /// Events in it.
    pub events: u64,
    /// When the last one was.
    pub end: Micros,
}

/// Records one session.
///
/// Dropping it finishes the file as well as it can; [`Recorder::finish`] says whether that went well.
pub struct Recorder<W: Write = File> {
    /// `None` once it is finished or has failed.
    writer: Option<Writer<NoSeek<Counted<W>>>>,
    channels: [u16; Channel::ALL.len()],
    keyframes: u16,
    index_channel: u16,
    /// A second handle on the file, to push it to the disk at the end.
    file: Option<File>,
    written: Arc<AtomicU64>,
    index: Index,
    /// JSON bytes of the events since the last keyframe.
    since_keyframe: usize,
    /// JSON bytes of the lab when it was last written as JSON.
    keyframe_size: usize,
    /// JSON bytes not flushed, and the time of the first event among them.
    waiting: usize,
    waiting_since: Option<Micros>,
    scratch: Vec<u8>,
}

impl<W: Write> std::fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Recorder<File> {
    /// Starts a session in a new file, in folders that are made if need be.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists(path.to_owned()),
            _ => RecordError::Create { path: path.to_owned(), source },
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| RecordError::Create { path: path.to_owned(), source })?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        let second = file.try_clone().map_err(failed)?;
        let mut recorder = Self::new(file)?;
        recorder.file = Some(second);
        Ok(recorder)
    }

    /// Starts a session in the first of `paths` that nobody has, also not another lab that starts at the same moment.
    ///
    /// # Panics
    /// If `paths` is empty.
    pub fn create_first_free(
        paths: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(Self, PathBuf), RecordError> {
        let mut taken = None;
        for path in paths {
            match Self::create(&path) {
                Ok(recorder) => return Ok((recorder, path)),
                Err(error @ RecordError::Exists(_)) => taken = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(taken.expect("there is a path to try"))
    }
}

impl<W: Write> Recorder<W> {
    /// Starts a session in `sink`, which receives whole chunks and needs no buffer of its own.
    pub fn new(sink: W) -> Result<Self, RecordError> {
        let written = Arc::new(AtomicU64::new(0));
        let options = WriteOptions::new()
            .profile(format!("{PROFILE}{MAJOR}"))
            .library(concat!("collab-sessions ", env!("CARGO_PKG_VERSION")))
            .compression(Some(Compression::Zstd))
            .compression_threads(0)
            .chunk_size(None)
            .emit_message_indexes(false)
            .disable_seeking(true);
        let mut writer = options.create(NoSeek::new(Counted { sink, written: written.clone() }))?;
        let mut add = |topic: &str, schema: &str| {
            // Without its line breaks: a finished file holds every schema twice, once uncompressed.
            let schema = serde_json::from_str::<serde_json::Value>(schema)?.to_string();
            let schema = writer.add_schema(&format!("collab.{topic}"), "jsonschema", schema.as_bytes())?;
            Ok::<u16, RecordError>(writer.add_channel(schema, topic, "json", &BTreeMap::new())?)
        };
        let mut channels = [0; Channel::ALL.len()];
        for (slot, channel) in channels.iter_mut().zip(Channel::ALL) {
            *slot = add(channel.topic(), schema(channel))?;
        }
        let keyframes = add(KEYFRAME, KEYFRAME_SCHEMA)?;
        let index_channel = add(INDEX, INDEX_SCHEMA)?;
        Ok(Self {
            writer: Some(writer),
            channels,
            keyframes,
            index_channel,
            file: None,
            written,
            index: Index::default(),
            since_keyframe: 0,
            keyframe_size: 0,
            waiting: 0,
            waiting_since: None,
            scratch: Vec::new(),
        })
    }

    /// Bytes in the file. What waits to be flushed is not among them.
    pub fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Events written, flushed or not.
    pub fn events(&self) -> u64 {
        self.index.events
    }

    /// Writes an event that is about to be applied to `before`.
    ///
    /// Flushes commands, the session's head and what changes the fleet or the partition at once, anything
    /// else within a second of event time. After an error nothing more is recorded.
    pub fn write(&mut self, event: &Event, before: &Lab) -> Result<(), RecordError> {
        let mut json = std::mem::take(&mut self.scratch);
        json.clear();
        let outcome = self.write_as(event, before, &mut json);
        self.scratch = json;
        if matches!(outcome, Err(RecordError::Write(_))) {
            self.writer = None;
        }
        outcome
    }

    fn write_as(&mut self, event: &Event, before: &Lab, json: &mut Vec<u8>) -> Result<(), RecordError> {
        if self.writer.is_none() {
            return Err(RecordError::Stopped);
        }
        serde_json::to_writer(&mut *json, event)?;
        if json.len() > MESSAGE_LIMIT {
            return Err(RecordError::TooLong { found: json.len(), limit: MESSAGE_LIMIT });
        }
        self.index.end = self.index.end.max(event.at);
        if self.keyframe_may_be_due() {
            self.write_keyframe(before)?;
        }
        let channel = self.channels[event.what.channel() as usize];
        self.put(channel, json)?;
        self.index.events += 1;
        self.index.moments.extend(Moment::of(event, self.index.end));
        self.since_keyframe += json.len();
        self.waiting += json.len();
        self.waiting_since.get_or_insert(self.index.end);
        if flushes_at_once(&event.what) || self.waiting > FLUSH_BYTES {
            return self.flush();
        }
        self.flush_due(self.index.end)
    }

    /// Whether the keyframe's time has come: the first event, many events, or some seconds with events that
    /// weigh as much as the keyframe. So keyframes at most double a file, and folding from one is short.
    fn keyframe_may_be_due(&self) -> bool {
        let Some(last) = self.index.segments.last() else { return true };
        let events = self.index.events - last.events_before;
        let age = self.index.end - last.at;
        events >= KEYFRAME_EVENTS || (age.0 >= KEYFRAME_EVERY && self.since_keyframe >= self.keyframe_size)
    }

    fn write_keyframe(&mut self, before: &Lab) -> Result<(), RecordError> {
        let json = serde_json::to_vec(before)?;
        self.keyframe_size = json.len();
        let events_since = self.index.segments.last().map(|last| self.index.events - last.events_before);
        let too_early =
            events_since.is_some_and(|events| events < KEYFRAME_EVENTS) && json.len() > self.since_keyframe;
        if too_early || json.len() > MESSAGE_LIMIT {
            return Ok(());
        }
        if !self.index.segments.is_empty() {
            self.flush()?;
        }
        let (offset, at) = (self.bytes(), self.index.end);
        self.index.segments.push(Segment { offset, at, events_before: self.index.events });
        self.since_keyframe = 0;
        self.put(self.keyframes, &json)
    }

    fn put(&mut self, channel_id: u16, json: &[u8]) -> Result<(), RecordError> {
        let writer = self.writer.as_mut().ok_or(RecordError::Stopped)?;
        let log_time = self.index.end.0.saturating_mul(1000);
        let sequence = self.index.events as u32;
        let header = MessageHeader { channel_id, sequence, log_time, publish_time: log_time };
        Ok(writer.write_to_known_channel(&header, json)?)
    }

    /// Hands everything written so far to the operating system: it survives the end of this process.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        if self.waiting_since.take().is_none() {
            return Ok(());
        }
        self.waiting = 0;
        let writer = self.writer.as_mut().ok_or(RecordError::Stopped)?;
        let flushed = writer.flush();
        if flushed.is_err() {
            self.writer = None;
        }
        Ok(flushed?)
    }

    /// Flushes if an event has been waiting for a second at `now`, on the session's clock.
    pub fn flush_due(&mut self, now: Micros) -> Result<(), RecordError> {
        match self.waiting_since {
            Some(since) if (now - since).0 >= FLUSH_EVERY => self.flush(),
            _ => Ok(()),
        }
    }

    /// Ends the file with its index and pushes it to the disk.
    pub fn finish(mut self) -> Result<Recorded, RecordError> {
        self.close()?;
        let Index { events, end, .. } = self.index;
        Ok(Recorded { bytes: self.bytes(), events, end })
    }

    fn close(&mut self) -> Result<(), RecordError> {
        self.flush()?;
        let json = serde_json::to_vec(&self.index)?;
        if json.len() <= MESSAGE_LIMIT {
            self.put(self.index_channel, &json)?;
        }
        let mut writer = self.writer.take().ok_or(RecordError::Stopped)?;
        writer.finish()?;
        match &self.file {
            Some(file) => Ok(file.sync_all().map_err(McapError::from)?),
            None => Ok(()),
        }
    }
}

impl<W: Write> Drop for Recorder<W> {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let _ = self.close();
        }
    }
}

/// Events so few and so telling that they go to the file at once.
fn flushes_at_once(what: &What) -> bool {
    match what.channel() {
        Channel::Session | Channel::Commands => true,
        Channel::Workers => {
            matches!(what, What::WorkerJoined(_) | What::WorkerReady { .. } | What::WorkerLost { .. })
        }
        Channel::Partitions => !matches!(
            what,
            What::PartitionProposed(_) | What::ProposalCompared(_) | What::ProposalWithdrawn { .. }
        ),
        Channel::Runs => matches!(what, What::RunLost { .. }),
        Channel::Log => matches!(what, What::Noted { level: Level::Warning | Level::Error, .. }),
        Channel::Layers | Channel::Spans | Channel::Training => false,
    }
}

/// Counts what reaches the file.
struct Counted<W> {
    sink: W,
    written: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
