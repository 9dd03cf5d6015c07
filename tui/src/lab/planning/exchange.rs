//! What the lab's loop and the trainer tell each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use collab_core::partition::Partition;
use collab_core::plan::erl::Portfolio;

use super::situation::Situation;

/// What is told.
#[derive(Debug, Default)]
pub struct Told {
    /// By the loop: what to train for; replaced whenever conditions change.
    pub situation: Option<Arc<Situation>>,
    /// By the loop: the critic's loss.
    pub critic_loss: Option<f64>,
    /// By the trainer: policies trained on this fleet.
    pub portfolio: Option<Portfolio>,
    /// By the trainer: the fastest partition that it or a planner beside it found for the situation.
    pub best: Option<Partition>,
}

/// Shared by the loop and the trainer; locked for a copy only.
#[derive(Debug, Default)]
pub struct Exchange(Mutex<Told>);

impl Exchange {
    /// What is told now.
    pub fn look(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
