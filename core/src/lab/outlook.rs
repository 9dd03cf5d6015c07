//! What the running partition takes under the conditions of now, and what the offered one should take instead.
//!
//! Both sides of the comparison are predicted at one moment by the same costs, so that they never speak of
//! different times. What only the running one could learn of itself, because it ran, counts for both: two almost
//! equal partitions must not look different because one of them ran in a slow moment.

use serde::{Deserialize, Serialize};

use super::runs::nearest_rank;
use super::{Lab, RunSample, WorkerState};
use crate::id::PartitionId;

/// Late runs that tell what the running partition takes.
const LATE_RUNS: usize = 100;
/// Runs before what they took corrects what is predicted.
const ENOUGH: usize = 5;

/// The running and the offered partition, predicted together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// The running one.
    pub running: PartitionId,
    /// The offered one.
    pub offered: PartitionId,
    /// What a run of the running one should take, ms.
    pub now_ms: f64,
    /// What a run of the offered one should take, ms.
    pub new_ms: f64,
    /// Measured over predicted in late runs, 1 before there are enough.
    pub correction: f64,
}

impl Outlook {
    /// The part of a run that the offered partition should save; negative if it should be slower.
    pub fn gain(&self) -> f64 {
        1.0 - self.new_ms / self.now_ms
    }
}

impl Lab {
    /// A quantile (0…1) of what the running partition took since conditions last changed, ms; `None` if no run
    /// began and ended since.
    pub fn measured_ms(&self, quantile: f64) -> Option<f64> {
        nearest_rank(self.late_runs().map(|sample| sample.ms).collect(), quantile)
    }

    /// The fastest worker alone at the CPU share of now, and its time in ms.
    pub fn best_single_now(&self) -> Option<(&WorkerState, f64)> {
        let at_share = |worker: &WorkerState| {
            let (ms, compute_ms) = (worker.single_ms?, worker.single_compute_ms?);
            Some(ms + compute_ms * (100.0 / worker.throttle.percent.max(1.0) - 1.0))
        };
        let timed = self.workers.iter().filter(|worker| worker.is_ready());
        let timed = timed.filter_map(|worker| Some((worker, at_share(worker)?)));
        timed.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Runs of the running partition that began since conditions last changed, the latest first.
    fn late_runs(&self) -> impl Iterator<Item = &RunSample> {
        let since = self.steady_since.secs() * 1e3;
        let of_it = self.runs.recent.iter().rev().filter(|sample| Some(sample.partition) == self.current);
        of_it.take(LATE_RUNS).take_while(move |sample| sample.at.secs() * 1e3 - sample.ms >= since)
    }

    /// The offered partition beside the running one, as predicted when the last run began.
    pub fn outlook(&self) -> Option<Outlook> {
        let told = self.outlook?;
        let is_so = Some(told.running) == self.current && Some(told.offered) == self.proposal;
        let ratios = self.late_runs().filter_map(|sample| Some(sample.ms / f64::from(sample.predicted?.0)));
        let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
        let correction = if ratios.len() < ENOUGH { 1.0 } else { nearest_rank(ratios, 0.5)? };
        let corrected = Outlook {
            now_ms: told.now_ms * correction,
            new_ms: told.new_ms * correction,
            correction,
            ..told
        };
        is_so.then_some(corrected)
    }

    /// Predicts the running and the offered partition by the costs of now. `said` is what was predicted already of
    /// the run that begins or goes on: both are told in its terms, so that one number stands everywhere.
    pub(super) fn look_ahead(&mut self, said: Option<f64>) {
        let both = self.current.zip(self.proposal).filter(|(running, offered)| running != offered);
        self.outlook = both.and_then(|(running, offered)| {
            let now_ms = said.or_else(|| Some(self.predict_partition(running)?.ms))?;
            let costs = self.costs();
            let cost = |partition| self.cost_ms(partition, costs.as_ref());
            let new_ms = now_ms * cost(offered)? / cost(running)?;
            new_ms.is_finite().then_some(Outlook { running, offered, now_ms, new_ms, correction: 1.0 })
        });
    }

    /// What was measured before tells nothing of what follows.
    pub(super) fn conditions_changed(&mut self) {
        self.steady_since = self.now;
    }
}
