//! How training went: a bounded history of reports and the last one in full.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::push_bounded;
use crate::event::Trained;
use crate::time::Micros;

/// Reports kept for the curves: ten minutes at two a second.
const POINTS: usize = 1200;

/// A report without its tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingPoint {
    /// When.
    pub at: Micros,
    /// Generations since training began.
    pub generation: u64,
    /// The best member's plan, ms.
    pub best_ms: f64,
    /// The members' plans on average, ms.
    pub mean_ms: f64,
    /// The agent's plan, ms.
    pub agent_ms: Option<f64>,
    /// The running partition's prediction, ms.
    pub running_ms: Option<f64>,
    /// The fastest plan known, ms.
    pub best_known_ms: Option<f64>,
    /// The agent's loss.
    pub actor_loss: Option<f64>,
    /// The critic's loss.
    pub critic_loss: Option<f64>,
}

/// The trainer as the lab knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Whether the operator paused it.
    pub paused: bool,
    /// Late reports, latest last.
    pub points: VecDeque<TrainingPoint>,
    /// The last report.
    pub last: Option<Box<Trained>>,
}

impl Training {
    pub(super) fn take(&mut self, trained: &Trained, at: Micros) {
        let point = TrainingPoint {
            at,
            generation: trained.generation,
            best_ms: trained.best_ms,
            mean_ms: trained.mean_ms,
            agent_ms: trained.agent_ms,
            running_ms: trained.running_ms,
            best_known_ms: trained.best_known_ms,
            actor_loss: trained.actor_loss,
            critic_loss: trained.critic_loss,
        };
        push_bounded(&mut self.points, point, POINTS);
        self.last = Some(Box::new(trained.clone()));
    }
}
