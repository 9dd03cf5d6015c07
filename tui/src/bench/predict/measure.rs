//! What a network's layers and blocks take, measured through the worker's own code in this process.

use std::ops::Range;

use collab_core::network::{Network, Split};
use collab_core::partition::{Block, Partition};
use collab_core::predict::sounding;
use collab_core::rows::Rows;
use collab_models::Model;
use collab_worker::{TimedStrip, time_strips};

/// Seeded random numbers (splitmix64): what a bench draws must not depend on what else is drawn.
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of `0..bound`; 0 if that is empty.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// One of `low..=high`.
    pub fn within(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(u64::from(high.saturating_sub(low)) + 1) as u32
    }
}

/// The network as one block, as a worker alone computes it.
pub fn whole(network: &Network) -> (Range<usize>, Rows) {
    let units = 0..network.units.len();
    (units.clone(), Rows::all(network.cut(units.end).rows))
}

/// The share of one of so many workers as a lab has it rehearsed: of one in the middle, who has neighbours on both sides.
pub fn share(network: &Network, workers: usize) -> Vec<(Range<usize>, Rows)> {
    strips_of(&sounding(network, &vec![true; workers]), workers / 2)
}

/// What one of `workers` computes of random partitions, each in the order of a run, until there are `count` strips at least.
///
/// A strip is as fast as the caches let it be, and what they hold is what the worker computed before it: a strip that is
/// run again and again by itself finds weights there that it never finds in a run.
pub fn random_shares(
    network: &Network,
    count: usize,
    workers: u32,
    dice: &mut Dice,
) -> Vec<Vec<(Range<usize>, Rows)>> {
    let (mut shares, mut strips) = (Vec::new(), 0);
    while strips < count {
        // Short blocks are what planners make: lengths are uniform in their logarithm.
        let bits = usize::BITS - network.units.len().leading_zeros();
        let longest = 1 << dice.below(u64::from(bits) + 1);
        let partition = random_partition(network, workers, longest, dice);
        let share = strips_of(&partition, dice.below(u64::from(workers)) as usize);
        strips += share.len();
        shares.push(share);
    }
    shares.retain(|share| !share.is_empty());
    shares
}

/// A random partition among `workers`: blocks of one to `longest` units, rows drawn at will.
pub fn random_partition(network: &Network, workers: u32, longest: u32, dice: &mut Dice) -> Partition {
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < network.units.len() {
        let most = (network.units.len() - start) as u32;
        let end = start + dice.within(1, most.min(longest)) as usize;
        // Units that cannot be divided have one owner.
        let divided = |unit: usize| !matches!(network.units[unit].split, Split::Whole(_));
        let end = (start + 1..end).find(|&unit| divided(unit) != divided(start)).unwrap_or(end);
        let rows = network.cut(end).rows;
        let mut bounds = vec![0, rows];
        if divided(start) {
            bounds.extend((1..workers).map(|_| dice.within(0, rows)));
        } else {
            let owner = dice.below(u64::from(workers)) as usize;
            bounds.splice(1..1, (1..workers as usize).map(|at| if at > owner { rows } else { 0 }));
        }
        bounds.sort_unstable();
        blocks.push(Block { units: (start as u32, end as u32), bounds });
        start = end;
    }
    Partition { blocks }
}

/// The strips of one worker, in the order of a run.
pub fn strips_of(partition: &Partition, worker: usize) -> Vec<(Range<usize>, Rows)> {
    let strips = partition.blocks.iter().map(|block| (block.span(), block.rows(worker)));
    strips.filter(|(_, rows)| !rows.is_empty()).collect()
}

/// Times strips on this machine, or on a device that is so much slower.
pub fn time(
    model: &Model,
    strips: &[(Range<usize>, Rows)],
    slowdown: Option<f64>,
    rounds: usize,
) -> anyhow::Result<Vec<TimedStrip>> {
    time_strips(model, strips, slowdown, rounds).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::{ZOO, named};

    use super::*;

    #[test]
    fn random_partitions_and_shares_can_be_computed_and_depend_on_the_seed_only() {
        for name in ZOO {
            let network = named(name).unwrap();
            let mut dice = Dice::new(3);
            let shares = random_shares(&network, 50, 3, &mut dice);
            assert_eq!(shares, random_shares(&network, 50, 3, &mut Dice::new(3)));
            assert!(shares.iter().map(Vec::len).sum::<usize>() >= 50, "{name}");
            for share in &shares {
                assert!(
                    share.is_sorted_by_key(|(units, _)| units.start),
                    "{name}: not in the order of a run"
                );
                for (units, rows) in share {
                    let there = network.cut(units.end).rows;
                    assert!(
                        units.end <= network.units.len() && rows.end <= there && !rows.is_empty(),
                        "{name}"
                    );
                }
            }
            let partition = random_partition(&network, 3, 6, &mut dice);
            partition.check(&network, 3).unwrap();
            let strips = (0..3).flat_map(|worker| strips_of(&partition, worker));
            let covered: u32 = strips.map(|(_, rows)| rows.len()).sum();
            let rows = partition.blocks.iter().map(|block| network.cut(block.span().end).rows);
            assert_eq!(covered, rows.sum::<u32>(), "{name}");
        }
    }
}
