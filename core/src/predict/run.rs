//! What a run takes beyond its simulation, learnt from runs.
//!
//! The simulator adds up expected times. A run waits for the slowest of several strips, and the maximum of times that
//! vary is later than that of their means; how much later depends on the partition's form and on how calm the devices
//! are. The factor is learnt for the running partition. The first runs of a partition take longer than what follows, however
//! well its strips were rehearsed: links and processors rested. So it begins with what earlier partitions' first runs took,
//! those of workers alone too.

use serde::{Deserialize, Serialize};

use super::nnls::median;
use crate::id::PartitionId;

/// What one run moves the running partition's factor at least, of how far it is off.
const RATE: f64 = 0.2;
/// A run further off than this, as a logarithm, moves it no further.
const MOST_OFF: f64 = 0.1;
/// First runs remembered, and what one counts for at most, as a logarithm.
const FIRSTS: usize = 7;
const MOST_FIRST: f64 = 0.3;

/// What runs take over what was simulated, as logarithms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunMemory {
    of: Option<PartitionId>,
    log: f64,
    runs: u32,
    /// What late first runs of partitions took, latest last.
    #[serde(default)]
    firsts: Vec<f64>,
}

impl RunMemory {
    /// What the simulated time of a run of `partition` is multiplied by.
    pub fn factor(&self, partition: Option<PartitionId>) -> f64 {
        let known = partition.is_some() && self.of == partition;
        if known { self.log.exp() } else { median(self.firsts.clone()).exp() }
    }

    /// Takes in that a run of `partition` took `ratio` times what was simulated.
    pub fn learn(&mut self, partition: PartitionId, ratio: f64) {
        if !(ratio.is_finite() && ratio > 0.0) {
            return;
        }
        let log = ratio.ln();
        if self.of != Some(partition) {
            (self.of, self.log, self.runs) = (Some(partition), median(self.firsts.clone()), 0);
            self.firsts.push(log.clamp(-MOST_FIRST, MOST_FIRST));
            let surplus = self.firsts.len().saturating_sub(FIRSTS);
            self.firsts.drain(..surplus);
        }
        let believed = (log - self.log).clamp(-MOST_OFF, MOST_OFF);
        self.log += believed * RATE.max(1.0 / f64::from(self.runs + 3));
        self.runs = self.runs.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_run_takes_as_much_longer_as_those_before() {
        let mut memory = RunMemory::default();
        for partition in (1..5).map(PartitionId) {
            memory.learn(partition, 1.12);
            (0..3).for_each(|_| memory.learn(partition, 1.0));
        }
        let next = memory.factor(Some(PartitionId(5)));
        assert!((1.08..1.16).contains(&next), "{memory:?}");
        (0..8).for_each(|_| memory.learn(PartitionId(5), 1.0));
        assert!((0.99..1.03).contains(&memory.factor(Some(PartitionId(5)))), "{memory:?}");
    }

    #[test]
    fn a_partition_learns_its_own_factor() {
        let mut memory = RunMemory::default();
        let (one, two) = (PartitionId(1), PartitionId(2));
        assert_eq!(memory.factor(Some(one)), 1.0);
        (0..15).for_each(|_| memory.learn(one, 1.06));
        assert!((memory.factor(Some(one)) - 1.06).abs() < 0.01, "{memory:?}");
        assert!((memory.factor(Some(two)) - 1.06).abs() < 1e-9, "as the only first run: {memory:?}");
        memory.learn(two, 1.06);
        memory.learn(two, f64::NAN);
        memory.learn(two, 40.0);
        assert!(memory.factor(Some(two)) < 1.1, "one wild run moves it by little: {memory:?}");
    }
}
