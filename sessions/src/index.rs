//! Where things are in a session: its keyframes and its moments. Knows no file.

use collab_core::command::Verb;
use collab_core::event::{Event, What};
use collab_core::time::Micros;
use serde::{Deserialize, Serialize};

/// What happened at a moment worth jumping to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentKind {
    /// The operator named it.
    Mark,
    /// A command that is no mark.
    Command,
    /// A worker was lost.
    WorkerLost,
    /// Another partition runs from here on.
    Switched,
}

/// A moment worth jumping to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Micros,
    /// What happened.
    pub kind: MomentKind,
    /// In a few words: the mark's name, the command, the lost worker and why, the partition.
    pub label: String,
}

impl Moment {
    /// The moment an event makes, if it makes one; `at` is the session's time with it.
    pub fn of(event: &Event, at: Micros) -> Option<Self> {
        let (kind, label) = match &event.what {
            What::CommandGiven { verb: Verb::Mark { name }, .. } => (MomentKind::Mark, name.clone()),
            What::CommandGiven { verb, .. } => (MomentKind::Command, verb.to_string()),
            What::WorkerLost { worker, reason } => (MomentKind::WorkerLost, format!("{worker}: {reason}")),
            What::PartitionSwitched { partition, .. } => (MomentKind::Switched, partition.to_string()),
            _ => return None,
        };
        Some(Self { at, kind, label })
    }
}

/// A keyframe and the events after it, up to the next keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// Offset in the file of the chunk that begins with the keyframe.
    pub(crate) offset: u64,
    /// When its first event was.
    pub(crate) at: Micros,
    /// Events before it.
    pub(crate) events_before: u64,
}

/// What the index message holds, and what a scan finds out where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    /// Events in the file.
    pub(crate) events: u64,
    /// When the last one was.
    pub(crate) end: Micros,
    /// In the order of the file.
    pub(crate) segments: Vec<Segment>,
    /// In the order of time.
    pub(crate) moments: Vec<Moment>,
}
