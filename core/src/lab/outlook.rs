//! What the running partition takes under the conditions of now, and what the offered one should take instead.
//!
//! Both sides of the comparison are predicted at one moment by the same costs, so that they never speak of
//! different times.

use serde::{Deserialize, Serialize};

use super::runs::nearest_rank;
use super::{Lab, RunSample};
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

    /// Predicts the offered partition by the costs of now, and the running one if that was not done already.
    pub(super) fn look_ahead(&mut self, now_ms: Option<f64>) {
        let both = self.current.zip(self.proposal).filter(|(running, offered)| running != offered);
        self.outlook = both.and_then(|(running, offered)| {
            let now_ms = now_ms.or_else(|| Some(self.predict_partition(running)?.ms))?;
            let new_ms = self.predict_partition(offered)?.ms;
            (now_ms > 0.0).then_some(Outlook { running, offered, now_ms, new_ms, correction: 1.0 })
        });
    }

    /// What was measured before tells nothing of what follows.
    pub(super) fn conditions_changed(&mut self) {
        self.steady_since = self.now;
    }
}
