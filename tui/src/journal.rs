//! The one place where events enter a live session: stamped, recorded, applied, in this order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use collab_core::event::{Event, Level, What};
use collab_core::time::Micros;
use collab_sessions::Recorder;

use crate::stage::{Recording, Stage};

/// Told of every event after it was applied.
pub type Listener = Box<dyn FnMut(&Event, &Stage) + Send>;

/// Stamps, records and applies events.
pub struct Journal {
    stage: Arc<Stage>,
    started: Instant,
    writing: Mutex<Writing>,
    path: Option<PathBuf>,
}

struct Writing {
    recorder: Option<Recorder>,
    listener: Option<Listener>,
}

impl Journal {
    /// A journal that starts now. Without a `recorder` nothing is kept.
    pub fn new(stage: Arc<Stage>, recorder: Option<(Recorder, PathBuf)>, listener: Option<Listener>) -> Self {
        let (recorder, path) = match recorder {
            Some((recorder, path)) => (Some(recorder), Some(path)),
            None => (None, None),
        };
        if let Some(path) = &path {
            let recording = Recording { path: path.display().to_string(), bytes: 0, failed: None };
            stage.change(|shown| shown.recording = Some(recording));
        }
        Self { stage, started: Instant::now(), writing: Mutex::new(Writing { recorder, listener }), path }
    }

    /// The session's time now.
    pub fn now(&self) -> Micros {
        self.started.elapsed().into()
    }

    /// When the session began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The session's time at `moment`.
    pub fn time_of(&self, moment: Instant) -> Micros {
        moment.saturating_duration_since(self.started).into()
    }

    /// The session's file, if it is recorded.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What is shown.
    pub fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }

    /// Records and applies one event.
    ///
    /// A recorder that fails is dropped; the screen and the log say so, and the lab goes on.
    pub fn record(&self, what: What) {
        if let Some(failure) = self.take(what) {
            self.note(Level::Error, failure);
        }
    }

    /// Records and applies one event; why nothing is recorded from now on, if so.
    fn take(&self, what: What) -> Option<String> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamped under the lock, so that events are in the order of their times.
        let event = Event { at: self.now(), what };
        let mut failed = None;
        if let Some(recorder) = &mut writing.recorder {
            let written = recorder.write(&event, &self.stage.look().lab);
            failed = written.err().map(|error| error.to_string());
        }
        let bytes = writing.recorder.as_ref().map(Recorder::bytes);
        if failed.is_some() {
            writing.recorder = None;
        }
        self.stage.change(|shown| {
            shown.lab.apply(&event);
            if let Some(recording) = &mut shown.recording {
                recording.bytes = bytes.unwrap_or(recording.bytes);
                recording.failed = failed.clone().or(recording.failed.take());
            }
        });
        if let Some(listener) = &mut writing.listener {
            listener(&event, &self.stage);
        }
        failed
    }

    /// Records a sentence for the log.
    pub fn note(&self, level: Level, text: impl Into<String>) {
        self.record(What::Noted { level, text: text.into() });
    }

    /// Hands to the file what has waited for a while, though nothing happens that would.
    pub fn flush_due(&self) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        if let Some(recorder) = &mut writing.recorder {
            // A file that cannot be written any more says so with the next event.
            let _ = recorder.flush_due(now);
        }
    }

    /// Ends the session in order and closes its file.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.record(What::SessionEnded);
        let recorder = self.writing.lock().unwrap_or_else(PoisonError::into_inner).recorder.take();
        if let Some(recorder) = recorder {
            recorder.finish()?;
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::stage::Shown;

    #[test]
    fn when_nothing_can_be_recorded_any_more_the_log_says_so_once_and_the_lab_goes_on() {
        let (reader, writer) = std::io::pipe().unwrap();
        let recorder = Recorder::new(File::from(OwnedFd::from(writer))).unwrap();
        let stage = Arc::new(Stage::new(Shown::default()));
        let journal = Journal::new(stage.clone(), Some((recorder, PathBuf::from("session.mcap"))), None);
        drop(reader);
        for _ in 0..2 {
            journal.note(Level::Warning, "something is written at once");
        }
        journal.finish().unwrap();
        let shown = stage.look();
        assert!(shown.recording.as_ref().unwrap().failed.is_some());
        let told = shown.lab.log.iter().filter(|line| line.text.contains("recording stopped"));
        assert_eq!(told.count(), 1);
        assert!(shown.lab.ended);
    }
}
