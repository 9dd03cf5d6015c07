//! Who computes which rows: blocks, and the rows of each worker in each block.

mod text;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::WorkerId;
use crate::network::{Network, Split};
use crate::rows::Rows;

/// Consecutive units run without exchange, and the rows of their output that each worker owns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Block {
    /// First unit and one past the last.
    pub units: (u32, u32),
    /// Worker `w` owns rows `bounds[w]..bounds[w + 1]`; starts with 0, ends with the rows there are.
    pub bounds: Vec<u32>,
}

impl Block {
    /// A block of which one worker of `workers` owns everything.
    pub fn single(units: Range<usize>, rows: u32, owner: WorkerId, workers: usize) -> Self {
        let bounds = (0..=workers).map(|at| if at > owner.index() { rows } else { 0 }).collect();
        Self { units: (units.start as u32, units.end as u32), bounds }
    }

    /// A block whose rows follow `weights` by largest remainder; a weight of zero gives no rows.
    pub fn shared(units: Range<usize>, rows: u32, weights: &[f64]) -> Self {
        let mut bounds = vec![0];
        for count in apportion(rows, weights) {
            bounds.push(bounds[bounds.len() - 1] + count);
        }
        Self { units: (units.start as u32, units.end as u32), bounds }
    }

    /// Its units as a range.
    pub fn span(&self) -> Range<usize> {
        self.units.0 as usize..self.units.1 as usize
    }

    /// The rows that `worker` owns.
    pub fn rows(&self, worker: usize) -> Rows {
        Rows::new(self.bounds[worker], self.bounds[worker + 1])
    }

    /// The workers that own rows, in order.
    pub fn owners(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.bounds.len() - 1).filter(|&worker| !self.rows(worker).is_empty())
    }

    /// The one worker that owns rows, if there is such a one.
    pub fn single_owner(&self) -> Option<usize> {
        let mut owners = self.owners();
        owners.next().filter(|_| owners.next().is_none())
    }
}

/// Divides `rows` in proportion to `weights` by largest remainder. Sums to `rows` if any weight is positive.
pub fn apportion(rows: u32, weights: &[f64]) -> Vec<u32> {
    let total: f64 = weights.iter().filter(|weight| **weight > 0.0).sum();
    if total <= 0.0 {
        return vec![0; weights.len()];
    }
    let mut counts = Vec::with_capacity(weights.len());
    // What is left of each share beyond whole rows, and whose it is.
    let mut left = Vec::with_capacity(weights.len());
    for (at, weight) in weights.iter().enumerate() {
        let exact = weight.max(0.0) / total * f64::from(rows);
        counts.push(exact as u32);
        if *weight > 0.0 {
            left.push((exact - f64::from(exact as u32), at));
        }
    }
    let missing = rows.saturating_sub(counts.iter().sum());
    left.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, at) in left.iter().cycle().take(missing as usize) {
        counts[*at] += 1;
    }
    counts
}

/// The whole chain of units as blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// In order, without gaps.
    pub blocks: Vec<Block>,
}

/// Why a partition does not fit a network and a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PartitionError {
    /// A block starts where the one before it does not end.
    #[error("block {block} starts at unit {found}, expected unit {expected}: blocks must follow each other")]
    Gap {
        /// The block, from 0.
        block: usize,
        /// Where it should start.
        expected: usize,
        /// Where it starts.
        found: usize,
    },
    /// The last block does not end at the last unit.
    #[error("the partition ends before unit {found}, the network has {expected} units")]
    Unfinished {
        /// Units there are.
        expected: usize,
        /// Units covered.
        found: usize,
    },
    /// A block without units.
    #[error("block {0} has no units")]
    Empty(usize),
    /// Rows for another number of workers.
    #[error("block {block} has rows for {found} workers, the fleet has {expected}")]
    Workers {
        /// The block, from 0.
        block: usize,
        /// Workers there are.
        expected: usize,
        /// Workers given.
        found: usize,
    },
    /// Rows that do not add up.
    #[error("the rows of block {block} add up to {found}, its output has {expected} rows")]
    Rows {
        /// The block, from 0.
        block: usize,
        /// Rows there are.
        expected: u32,
        /// Rows given.
        found: u32,
    },
    /// A block that cannot be split has several owners.
    #[error("block {block} cannot be split ({reason}): give it to one worker")]
    Whole {
        /// The block, from 0.
        block: usize,
        /// Why not.
        reason: String,
    },
    /// The text form is not understood.
    #[error(
        "'{text}' is not a partition: {problem}. Write blocks as UNITS:ROWS joined by '/', as in 0-3:43,43,42/4-6:A"
    )]
    Text {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Partition {
    /// The same rows on the same workers, where consecutive blocks of one owner are one block.
    pub fn joined(&self) -> Self {
        let mut blocks: Vec<Block> = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            match blocks.last_mut() {
                Some(last)
                    if last.single_owner().is_some() && last.single_owner() == block.single_owner() =>
                {
                    *last = Block { units: (last.units.0, block.units.1), bounds: block.bounds.clone() };
                }
                _ => blocks.push(block.clone()),
            }
        }
        Self { blocks }
    }

    /// Everything on one worker, in one block.
    pub fn single(network: &Network, owner: WorkerId, workers: usize) -> Self {
        let units = 0..network.units.len();
        let rows = network.cut(units.end).rows;
        Self { blocks: vec![Block::single(units, rows, owner, workers)] }
    }

    /// How many workers it is for.
    pub fn workers(&self) -> usize {
        self.blocks.first().map_or(0, |block| block.bounds.len() - 1)
    }

    /// The one worker that computes everything, if there is such a one.
    pub fn single_owner(&self) -> Option<WorkerId> {
        let mut owners = self.blocks.iter().flat_map(Block::owners);
        let first = owners.next()?;
        owners.all(|owner| owner == first).then_some(WorkerId::at(first))
    }

    /// Whether `worker` computes anything.
    pub fn uses(&self, worker: usize) -> bool {
        self.blocks.iter().any(|block| !block.rows(worker).is_empty())
    }

    /// Checks that it covers `network` and is for `workers` workers.
    pub fn check(&self, network: &Network, workers: usize) -> Result<(), PartitionError> {
        let mut next = 0;
        for (index, block) in self.blocks.iter().enumerate() {
            let span = block.span();
            if span.start != next {
                return Err(PartitionError::Gap { block: index, expected: next, found: span.start });
            }
            if span.is_empty() {
                return Err(PartitionError::Empty(index));
            }
            if span.end > network.units.len() {
                break;
            }
            if block.bounds.len() != workers + 1 {
                let found = block.bounds.len().saturating_sub(1);
                return Err(PartitionError::Workers { block: index, expected: workers, found });
            }
            let rows = network.cut(span.end).rows;
            let (first, last) = (block.bounds[0], block.bounds[workers]);
            if first != 0 || last != rows || !block.bounds.is_sorted() {
                return Err(PartitionError::Rows { block: index, expected: rows, found: last });
            }
            if let Split::Whole(reason) = &network.units[span.end - 1].split
                && block.owners().count() > 1
            {
                return Err(PartitionError::Whole { block: index, reason: reason.clone() });
            }
            next = span.end;
        }
        if next != network.units.len() {
            return Err(PartitionError::Unfinished { expected: network.units.len(), found: next });
        }
        Ok(())
    }

    /// Each worker's part of the work on split rows, 0…1; nothing but zeros if there is no work.
    pub fn shares(&self, network: &Network) -> Vec<f64> {
        let mut own = vec![0.0; self.workers()];
        for block in &self.blocks {
            let rows = f64::from(network.cut(block.span().end).rows.max(1));
            let layers = &network.layers[network.layers_of(&block.span())];
            let work = layers.iter().map(|layer| layer.row_macs * u64::from(layer.output.rows));
            let work = work.sum::<u64>() as f64;
            for (worker, part) in own.iter_mut().enumerate() {
                *part += work * f64::from(block.rows(worker).len()) / rows;
            }
        }
        let all: f64 = own.iter().sum();
        own.iter().map(|part| if all > 0.0 { part / all } else { 0.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::network::samples::chain;

    proptest! {
        #[test]
        fn apportioned_rows_add_up_and_stay_within_one_of_their_share(
            rows in 0u32..2000, weights in proptest::collection::vec(0.0f64..10.0, 1..9),
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 0.0);
            let counts = apportion(rows, &weights);
            prop_assert_eq!(counts.iter().sum::<u32>(), rows);
            let total: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!((f64::from(*count) - weight / total * f64::from(rows)).abs() <= 1.0);
            }
        }
    }

    #[test]
    fn consecutive_blocks_of_one_owner_are_joined_and_nothing_else_is() {
        let network = chain(64, 6);
        let joined = |text: &str| Partition::parse(text, &network, 2).unwrap().joined();
        let text = |text: &str| Partition::parse(text, &network, 2).unwrap();
        assert_eq!(joined("0:A/1:A/2-3:=/4:B/5:B"), text("0-1:A/2-3:=/4-5:B"));
        assert_eq!(joined("0:A/1:B/2:=/3:=/4-5:A"), text("0:A/1:B/2:=/3:=/4-5:A"));
        assert_eq!(joined("0:A/1-2:A/3-5:A"), text("0-5:A"));
    }
}
