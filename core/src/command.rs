//! What an operator can ask for. Each is an event with who, what, before and after.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;

/// A command's number within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u32);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    /// Give a worker this share of its CPU, 1…100 %.
    Throttle {
        /// Which.
        worker: WorkerId,
        /// Share, %.
        percent: f64,
    },
    /// Pace what a worker sends.
    Link {
        /// Which.
        worker: WorkerId,
        /// Mbit/s; `None` does not pace.
        rate_mbps: Option<f64>,
        /// Added one-way delay, ms.
        delay_ms: f64,
    },
    /// Run the proposal.
    Accept,
    /// Drop the proposal.
    Reject {
        /// Why, if the operator said so.
        reason: String,
    },
    /// Apply no proposal until thawed.
    Freeze,
    /// Apply proposals again.
    Thaw,
    /// Go back to the partition that ran before.
    Undo,
    /// Propose this partition, in its text form.
    Edit {
        /// As in `--partition`.
        partition: String,
    },
    /// Compare the next run's output with the single-device output.
    Verify,
    /// Stop training until it is resumed.
    PauseTraining,
    /// Train again.
    ResumeTraining,
    /// Name this moment.
    Mark {
        /// The name.
        name: String,
    },
}

impl Verb {
    /// Its name, as exports write it.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Throttle { .. } => "throttle",
            Verb::Link { .. } => "link",
            Verb::Accept => "accept",
            Verb::Reject { .. } => "reject",
            Verb::Freeze => "freeze",
            Verb::Thaw => "thaw",
            Verb::Undo => "undo",
            Verb::Edit { .. } => "edit",
            Verb::Verify => "verify",
            Verb::PauseTraining => "pause",
            Verb::ResumeTraining => "resume",
            Verb::Mark { .. } => "mark",
        }
    }

    /// What it is done to, as exports write it.
    pub fn target(&self) -> String {
        match self {
            Verb::Throttle { worker, .. } | Verb::Link { worker, .. } => worker.to_string(),
            Verb::Edit { .. } | Verb::Accept | Verb::Reject { .. } | Verb::Undo => "partition".to_owned(),
            Verb::Freeze | Verb::Thaw | Verb::Verify => "lab".to_owned(),
            Verb::PauseTraining | Verb::ResumeTraining => "training".to_owned(),
            Verb::Mark { .. } => "session".to_owned(),
        }
    }

    /// Whether it changes what workers do; refused when read-only and in a replay.
    pub fn changes_the_lab(&self) -> bool {
        !matches!(self, Verb::Mark { .. })
    }

    /// Whether runs take longer or shorter once it is done.
    pub fn changes_latency(&self) -> bool {
        matches!(
            self,
            Verb::Throttle { .. } | Verb::Link { .. } | Verb::Accept | Verb::Undo | Verb::Edit { .. }
        )
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verb::Throttle { worker, percent } => write!(f, "throttle {worker} to {percent:.0} %"),
            Verb::Link { worker, rate_mbps: Some(rate), delay_ms } => {
                write!(f, "link of {worker} at {rate:.0} Mbit/s, delay {delay_ms:.1} ms")
            }
            Verb::Link { worker, rate_mbps: None, delay_ms } => {
                write!(f, "link of {worker} unpaced, delay {delay_ms:.1} ms")
            }
            Verb::Reject { reason } if !reason.is_empty() => write!(f, "reject: {reason}"),
            Verb::Edit { partition } => write!(f, "edit {partition}"),
            Verb::Mark { name } => write!(f, "mark {name}"),
            Verb::PauseTraining | Verb::ResumeTraining => write!(f, "{} training", self.name()),
            verb => f.write_str(verb.name()),
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// Done, acknowledged by those it concerns.
    Done,
    /// Not done; the sentence says why.
    Refused(String),
}
