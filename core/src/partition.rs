//! Who computes which rows: blocks, and the rows of each worker in each block.
//!
//! The text form, for `--partition` and for the edit prompt: blocks separated by `/`, each
//! `UNITS:ROWS`. Units are `first-last` or one number, counted from 0 as `inspect` prints them. Rows are
//! one number for each worker in order (`86,85,85`), shares (`50%,30%,20%`), `=` for equal rows, or a
//! letter for a single owner: `0-5:86,85,85/6-7:A`.

use std::fmt;
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
    let exact: Vec<f64> = weights.iter().map(|weight| weight.max(0.0) / total * f64::from(rows)).collect();
    let mut counts: Vec<u32> = exact.iter().map(|share| share.floor() as u32).collect();
    let mut order: Vec<usize> = (0..weights.len()).filter(|&at| weights[at] > 0.0).collect();
    order.sort_by(|&a, &b| (exact[b].fract()).total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let missing = rows.saturating_sub(counts.iter().sum());
    for at in order.iter().cycle().take(missing as usize) {
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
        "'{text}' is not a partition: {problem}. Write blocks as UNITS:ROWS joined by '/', as in 0-5:86,85,85/6-7:A"
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

    /// Reads the text form described at the top of this module.
    pub fn parse(text: &str, network: &Network, workers: usize) -> Result<Self, PartitionError> {
        let wrong = |problem: String| PartitionError::Text { text: text.to_owned(), problem };
        let mut blocks = Vec::new();
        for part in text.split('/') {
            let (units, rows) = part.split_once(':').ok_or_else(|| wrong(format!("'{part}' has no ':'")))?;
            let (first, last) = units.split_once('-').unwrap_or((units, units));
            let number = |text: &str| {
                text.trim().parse::<usize>().map_err(|_| wrong(format!("'{text}' is no unit number")))
            };
            let (first, last) = (number(first)?, number(last)?);
            if last < first || last >= network.units.len() {
                let count = network.units.len();
                return Err(wrong(format!("units {units} are not within 0-{}", count.saturating_sub(1))));
            }
            let height = network.cut(last + 1).rows;
            blocks.push(parse_rows(rows.trim(), first..last + 1, height, workers).map_err(wrong)?);
        }
        let partition = Self { blocks };
        partition.check(network, workers)?;
        Ok(partition)
    }
}

/// Reads the rows of one block.
fn parse_rows(text: &str, units: Range<usize>, height: u32, workers: usize) -> Result<Block, String> {
    if text == "=" {
        return Ok(Block::shared(units, height, &vec![1.0; workers]));
    }
    if let Some(owner) = WorkerId::parse(text) {
        if owner.index() >= workers {
            return Err(format!("there is no worker {owner}, the fleet has {workers}"));
        }
        return Ok(Block::single(units, height, owner, workers));
    }
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    if fields.len() != workers {
        return Err(format!("'{text}' gives rows for {} workers, the fleet has {workers}", fields.len()));
    }
    let shares: Option<Vec<f64>> = fields
        .iter()
        .map(|field| {
            field.strip_suffix('%')?.parse().ok().filter(|share: &f64| (0.0..=100.0).contains(share))
        })
        .collect();
    if let Some(shares) = shares {
        if shares.iter().sum::<f64>() <= 0.0 {
            return Err("the shares are all zero".to_owned());
        }
        return Ok(Block::shared(units, height, &shares));
    }
    let mut bounds = vec![0u32];
    for field in fields {
        let count: u32 = field.parse().map_err(|_| format!("'{field}' is no number of rows"))?;
        let sum = bounds[bounds.len() - 1].checked_add(count).ok_or("the rows add up to too many")?;
        bounds.push(sum);
    }
    Ok(Block { units: (units.start as u32, units.end as u32), bounds })
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, block) in self.blocks.iter().enumerate() {
            let (first, last) = (block.units.0, block.units.1.saturating_sub(1));
            let separator = if index == 0 { "" } else { "/" };
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            match block.single_owner() {
                Some(owner) => write!(f, ":{}", WorkerId::at(owner))?,
                None => {
                    for worker in 0..block.bounds.len() - 1 {
                        let mark = if worker == 0 { ':' } else { ',' };
                        write!(f, "{mark}{}", block.rows(worker).len())?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::network::samples::chain;

    #[test]
    fn the_text_form_reads_back() {
        let network = chain(64, 6);
        for text in ["0-3:20,20,24/4-5:A", "0-5:C", "0:64,0,0/1-5:B"] {
            let partition = Partition::parse(text, &network, 3).unwrap();
            let canonical = partition.to_string();
            assert_eq!(Partition::parse(&canonical, &network, 3).unwrap(), partition, "{text}");
        }
        let equal = Partition::parse("0-5:=", &network, 3).unwrap();
        assert_eq!(equal.to_string(), "0-5:22,21,21");
        let shares = Partition::parse("0-5:50%,25%,25%", &network, 3).unwrap();
        assert_eq!(shares.to_string(), "0-5:32,16,16");
    }

    #[test]
    fn a_wrong_partition_is_refused_with_a_sentence() {
        let network = chain(64, 6);
        for (text, says) in [
            ("0-3:20,20,24", "ends before unit 4"),
            ("0-3:20,20,24/5:A", "expected unit 4"),
            ("0-5:20,20,20", "add up to 60"),
            ("0-5:20,44", "rows for 2 workers"),
            ("0-9:A", "not within 0-5"),
            ("0-5:D", "no worker D"),
            ("nonsense", "has no ':'"),
            ("0-5:0%,0%,0%", "all zero"),
            ("0-5:4294967295,1,1", "too many"),
        ] {
            let error = Partition::parse(text, &network, 3).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

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
