//! What a run takes beyond its simulation, learnt from runs.
//!
//! The simulator adds up expected times. A run waits for the slowest of several strips, and the maximum of times that
//! vary is later than that of their means; how much later depends on the partition's form and on how calm the devices
//! are. The factor is learnt for the running partition and begins, for a new one, where earlier ones ended.

use serde::{Deserialize, Serialize};

use crate::id::PartitionId;

/// What one run moves the running partition's factor at least, of how far it is off.
const RATE: f64 = 0.2;
/// What one run moves the factor that new partitions begin with.
const SLOW_RATE: f64 = 0.03;
/// A run further off than this, as a logarithm, moves neither further.
const MOST_OFF: f64 = 0.1;

/// What runs take over what was simulated, as logarithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunMemory {
    of: Option<PartitionId>,
    log: f64,
    runs: u32,
    usual: f64,
}

impl RunMemory {
    /// What the simulated time of a run of `partition` is multiplied by.
    pub fn factor(&self, partition: Option<PartitionId>) -> f64 {
        let known = partition.is_some() && self.of == partition;
        if known { self.log.exp() } else { self.usual.exp() }
    }

    /// Takes in that a run of `partition` took `ratio` times what was simulated.
    pub fn learn(&mut self, partition: PartitionId, ratio: f64) {
        if !(ratio.is_finite() && ratio > 0.0) {
            return;
        }
        if self.of != Some(partition) {
            *self = Self { of: Some(partition), log: self.usual, runs: 0, usual: self.usual };
        }
        let believed = |known: f64| (ratio.ln() - known).clamp(-MOST_OFF, MOST_OFF);
        self.log += believed(self.log) * RATE.max(1.0 / f64::from(self.runs + 3));
        self.usual += believed(self.usual) * SLOW_RATE;
        self.runs = self.runs.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_learns_its_own_factor_and_a_new_one_begins_with_the_usual() {
        let mut memory = RunMemory::default();
        let (one, two) = (PartitionId(1), PartitionId(2));
        assert_eq!(memory.factor(Some(one)), 1.0);
        (0..15).for_each(|_| memory.learn(one, 1.06));
        assert!((memory.factor(Some(one)) - 1.06).abs() < 0.01, "{memory:?}");
        let usual = memory.factor(Some(two));
        assert!((1.01..1.06).contains(&usual) && usual == memory.factor(None), "{memory:?}");
        memory.learn(two, 1.06);
        assert!(memory.factor(Some(two)) > usual);
        memory.learn(two, f64::NAN);
        memory.learn(two, 40.0);
        assert!(memory.factor(Some(two)) < 1.1, "one wild run moves it by little: {memory:?}");
    }
}
