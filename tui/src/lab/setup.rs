//! What a lab is asked for.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use collab_core::event::{LinkShape, SessionInfo};
use collab_core::id::WorkerId;

use super::model::ModelChoice;

/// Where workers come from.
#[derive(Clone, Debug)]
pub enum Workers {
    /// Started here, each with a preset; a link for all of them, instead of the preset's.
    Demo(Vec<String>, Option<LinkShape>),
    /// Running elsewhere, at these addresses.
    Live(Vec<String>),
}

impl Workers {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Workers::Demo(presets, _) => presets.len(),
            Workers::Live(addresses) => addresses.len(),
        }
    }

    /// Fails if they are more than a lab leads: before any is started.
    pub(super) fn check_count(&self) -> anyhow::Result<()> {
        let (workers, most) = (self.count(), WorkerId::MAX);
        anyhow::ensure!(workers <= most, "{workers} workers are more than the {most} a lab leads");
        Ok(())
    }

    /// The link that all of them emulate instead of their own.
    pub(super) fn link(&self) -> Option<LinkShape> {
        match self {
            Workers::Demo(_, link) => *link,
            Workers::Live(_) => None,
        }
    }
}

/// What a lab is to do.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The network.
    pub model: ModelChoice,
    /// What it runs on; the network's own photo if left out.
    pub input: Option<String>,
    /// Where workers come from.
    pub workers: Workers,
    /// The planner's name.
    pub planner: String,
    /// The first partition by hand.
    pub partition: Option<String>,
    /// Apply proposals without asking.
    pub auto: bool,
    /// Refuse everything that changes the lab.
    pub read_only: bool,
    /// Learn on spare time.
    pub train: bool,
    /// Of everything random.
    pub seed: u64,
    /// How long to run once every worker was measured alone.
    pub for_time: Option<Duration>,
    /// Where the last output is written.
    pub output: Option<PathBuf>,
}

impl Setup {
    /// A lab that measures: on the network's own photo, with nothing applied or learnt by itself, until its bench has seen
    /// enough.
    pub fn bench(model: ModelChoice, workers: Workers, planner: &str) -> Self {
        Self {
            model,
            input: None,
            workers,
            planner: planner.to_owned(),
            partition: None,
            auto: false,
            read_only: false,
            train: false,
            seed: 7,
            for_time: None,
            output: None,
        }
    }

    /// What the session's first event says of it, on this day.
    pub(super) fn session(&self) -> SessionInfo {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mode = match self.workers {
            Workers::Demo(..) => "demo",
            Workers::Live(_) => "live",
        };
        SessionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: mode.to_owned(),
            started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
            seed: self.seed,
            planner: self.planner.clone(),
            read_only: self.read_only,
        }
    }
}
