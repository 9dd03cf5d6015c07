//! What runs said of plans: how long they took, and by how much predictions miss.

use collab_core::id::PartitionId;
use collab_core::lab::Lab;

use super::Planning;
use super::situation::Judged;

/// Runs of a partition before its measured latency is believed, and learnt from.
const BELIEVED: usize = 3;
const LEARNT_FROM: usize = 5;
/// Predictions looked back on to say how far they miss.
pub(super) const MISSES: usize = 5;

impl Planning {
    /// The partition's median latency in runs that began since conditions changed, ms.
    pub(super) fn measured(&self, lab: &Lab, partition: PartitionId) -> Option<f64> {
        self.late(lab, partition, BELIEVED)
    }

    fn late(&self, lab: &Lab, partition: PartitionId, least: usize) -> Option<f64> {
        let since = self.change.as_ref().map_or(0.0, |change| change.moment.secs() * 1e3);
        let late = lab.runs.recent.iter().rev().filter(|sample| sample.partition == partition);
        let late = late.take_while(|sample| sample.at.secs() * 1e3 - sample.ms >= since);
        let late: Vec<f64> = late.take(LEARNT_FROM).map(|sample| sample.ms).collect();
        median(late.clone()).filter(|_| late.len() >= least)
    }

    /// Learns once from a partition under the conditions of now, when it ran long enough.
    pub(super) fn learn(&mut self, lab: &Lab, partition: PartitionId, running: &Judged) {
        if self.learnt == Some((partition, self.changes)) {
            return;
        }
        let Some(measured) = self.late(lab, partition, LEARNT_FROM) else { return };
        let predicted = running.plan.timeline.finish_ms;
        let missed = (measured / (predicted * self.correction.factor(&running.features))).ln().abs();
        if missed.is_finite() {
            self.misses.push_back(missed);
            let surplus = self.misses.len().saturating_sub(MISSES);
            self.misses.drain(..surplus);
        }
        self.correction.learn(&running.features, measured / predicted);
        self.learnt = Some((partition, self.changes));
        let misses = self.correction.misses();
        if misses.judged > 0 {
            self.exchange.look().critic_loss = Some(misses.critic);
        }
    }

    /// What a plan should take: as a lone worker took, else as predicted and corrected.
    pub(super) fn expected(&self, lab: &Lab, judged: &Judged) -> f64 {
        let alone = judged.plan.partition.single_owner().and_then(|owner| {
            let worker = lab.worker(owner)?;
            Some(worker.single_ms? * 100.0 / worker.throttle.percent)
        });
        alone.unwrap_or(judged.plan.timeline.finish_ms * self.correction.factor(&judged.features))
    }
}

/// The upper median; `None` of nothing.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
