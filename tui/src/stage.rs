//! What the screen shows, shared between the task that folds events and the task that draws.
//!
//! The lock is held for one fold or one drawing only, never across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

use collab_core::lab::Lab;
use collab_core::time::Micros;
use tokio::sync::watch;

/// How a session is being recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The file.
    pub path: String,
    /// Bytes written.
    pub bytes: u64,
    /// Why recording stopped, if it did.
    pub failed: Option<String>,
}

/// How much of a session its file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Complete,
    /// What was flushed so far.
    Growing,
    /// What was flushed before its recording broke off.
    Recovered,
    /// All but what begins here, which turned out to be damaged.
    Damaged(Micros),
}

/// Where a replay is.
#[derive(Clone, Debug, PartialEq)]
pub struct Playback {
    /// The file.
    pub path: String,
    /// The moment shown.
    pub position: Micros,
    /// The session's length.
    pub length: Micros,
    /// Session seconds per second.
    pub speed: f64,
    /// Whether time runs.
    pub playing: bool,
    /// Whether it is watched at its end as it grows; then nobody moves in time.
    pub following: bool,
    /// How much of the session is there.
    pub extent: Extent,
    /// The file's size.
    pub bytes: u64,
    /// Every mark and lost worker and change of partition: when, and the glyph for the bar.
    pub moments: Vec<(Micros, char)>,
}

/// Everything the screen draws from.
#[derive(Default)]
pub struct Shown {
    /// The fold of all events so far.
    pub lab: Lab,
    /// Set in a live session that is recorded.
    pub recording: Option<Recording>,
    /// Set in a replay.
    pub playback: Option<Playback>,
}

/// The shared state and its change signal.
pub struct Stage {
    shown: Mutex<Shown>,
    version: watch::Sender<u64>,
}

impl Stage {
    /// A stage that shows `shown`.
    pub fn new(shown: Shown) -> Self {
        Self { shown: Mutex::new(shown), version: watch::Sender::new(0) }
    }

    /// Looks at what is shown.
    pub fn look(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is shown and tells whoever draws.
    pub fn change<T>(&self, change: impl FnOnce(&mut Shown) -> T) -> T {
        let result = change(&mut self.look());
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Resolves with every change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}
