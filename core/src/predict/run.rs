//! What a run takes beyond its simulation, learnt from runs.
//!
//! The simulator adds up expected times. A run waits for the slowest of several strips, and the maximum of times that
//! vary is later than that of their means. How much later is simulated ([`Lateness`]), scaled by what the partitions before
//! it waited, and the running partition has a factor of its own over its simulation, which begins at 1.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Lateness;
use crate::id::PartitionId;

/// What one run moves the running partition's factor at least, of how far it is off.
const RATE: f64 = 0.2;
/// A run further off than this, as a logarithm, moves it no further.
const MOST_OFF: f64 = 0.1;
/// Partitions whose waiting is remembered; runs before it is known; and what it may be of what is usual.
const WAITED: usize = 5;
const ENOUGH: u32 = 4;
const SCALES: (f64, f64) = (0.1, 4.0);
/// A share of a run that tells nothing; and the one that must usually be waited for to tell as much as is known before: what a
/// simulation misses, 5 %, over how far fleets are from what is usual, by half.
const LEAST_LATE: f64 = 0.01;
const TELLING: f64 = 0.1;

/// What runs take over what was simulated, as logarithms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunMemory {
    of: Option<PartitionId>,
    log: f64,
    runs: u32,
    /// How late shared blocks of the running partition are simulated to be over what is usual, and what is: stays while it
    /// runs.
    #[serde(default)]
    scale: f64,
    #[serde(default = "usual_lateness")]
    usual: Lateness,
    /// What they made it late by before its first run, as a share of its simulation without.
    #[serde(default)]
    late: f64,
    /// What partitions waited, latest last.
    #[serde(default)]
    waits: VecDeque<Waited>,
}

/// What a partition waited where blocks are shared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Waited {
    /// What is usual made it late by, as a share of its simulation without.
    usual: f64,
    /// Over that.
    scale: f64,
}

/// What sessions that were recorded before it was remembered went by.
fn usual_lateness() -> Lateness {
    Lateness::USUAL
}

impl RunMemory {
    /// Whether `partition` is the running one.
    pub fn knows(&self, partition: Option<PartitionId>) -> bool {
        partition.is_some() && self.of == partition
    }

    /// What the simulated time of a run of `partition` is multiplied by.
    pub fn factor(&self, partition: Option<PartitionId>) -> f64 {
        if self.knows(partition) { self.log.exp() } else { 1.0 }
    }

    /// How late rows of shared blocks are in a simulation of `partition`, where `usual` is so by how workers vary now.
    pub fn lateness(&self, partition: Option<PartitionId>, usual: Lateness) -> Lateness {
        if self.knows(partition) { self.usual.times(self.scale) } else { usual.times(self.usual_scale()) }
    }

    /// The ridge regression of what partitions waited on what is usual: who hardly waits tells little of it.
    fn usual_scale(&self) -> f64 {
        let weighed = self.waits.iter().map(|wait| (wait.usual.powi(2), wait.scale));
        let (sum, weight) = weighed
            .fold((TELLING.powi(2), TELLING.powi(2)), |(sum, all), (weight, scale)| {
                (sum + weight * scale, all + weight)
            });
        sum / weight
    }

    /// Takes in that a run of `partition` took `ratio` times what was simulated, of which in a first run shared blocks made
    /// `late` as a share of the rest, and `usual` is what [`RunMemory::lateness`] was told for it.
    pub fn learn(&mut self, partition: PartitionId, ratio: f64, late: f64, usual: Lateness) {
        if !(ratio.is_finite() && ratio > 0.0) {
            return;
        }
        let log = ratio.ln();
        if self.of != Some(partition) {
            (self.of, self.log, self.runs) = (Some(partition), 0.0, 0);
            (self.scale, self.usual, self.late) = (self.usual_scale(), usual, late.max(0.0));
        }
        let believed = (log - self.log).clamp(-MOST_OFF, MOST_OFF);
        self.log += believed * RATE.max(1.0 / f64::from(self.runs + 3));
        self.runs = self.runs.saturating_add(1);
        if self.late >= LEAST_LATE && self.runs >= ENOUGH {
            if self.runs > ENOUGH {
                self.waits.pop_back();
            }
            let over = (self.log.exp() * (1.0 + self.late) - 1.0) / self.late;
            let scale = (self.scale * over).clamp(SCALES.0, SCALES.1);
            super::push_bounded(&mut self.waits, Waited { usual: self.late / self.scale, scale }, WAITED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(memory: &RunMemory, partition: u32) -> f64 {
        memory.factor(Some(PartitionId(partition)))
    }

    #[test]
    fn a_partition_learns_its_own_factor() {
        let mut memory = RunMemory::default();
        let (one, two) = (PartitionId(1), PartitionId(2));
        assert_eq!(memory.factor(None), 1.0);
        (0..15).for_each(|_| memory.learn(one, 1.06, 0.0, Lateness::USUAL));
        assert!((own(&memory, 1) - 1.06).abs() < 0.01, "{memory:?}");
        assert_eq!(memory.factor(None), 1.0, "it tells nothing of others: {memory:?}");
        memory.learn(two, 1.06, 0.0, Lateness::USUAL);
        memory.learn(two, f64::NAN, 0.0, Lateness::USUAL);
        memory.learn(two, 40.0, 0.0, Lateness::USUAL);
        assert!(own(&memory, 2) < 1.1, "one wild run moves it by little: {memory:?}");
    }

    #[test]
    fn what_partitions_waited_is_expected_of_the_next() {
        let mut memory = RunMemory::default();
        assert_eq!(memory.lateness(None, Lateness::USUAL), Lateness::USUAL);
        for partition in (1..8).map(PartitionId) {
            let late = 0.1 * memory.usual_scale();
            (0..20).for_each(|_| memory.learn(partition, 1.05 / (1.0 + late), late, Lateness::USUAL));
        }
        let scale = memory.usual_scale();
        assert!((0.5..0.6).contains(&scale), "{memory:?}");
        (0..20).for_each(|_| memory.learn(PartitionId(9), 1.3, 0.001, Lateness::USUAL));
        assert_eq!(memory.usual_scale(), scale, "where little is late nothing is learnt of it: {memory:?}");
    }

    #[test]
    fn a_running_partition_keeps_its_lateness_and_the_next_is_as_late_as_workers_vary_then() {
        let mut memory = RunMemory::default();
        let running = Some(PartitionId(1));
        let (calm, restless) = (Lateness::of(0.02), Lateness::of(0.2));
        assert_eq!(memory.lateness(running, restless), restless);
        memory.learn(PartitionId(1), 1.0, 0.0, calm);
        assert_eq!(memory.lateness(running, restless), calm);
        assert_eq!(memory.lateness(None, restless), restless);
    }
}
