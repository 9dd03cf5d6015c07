//! A partition that is run only to measure: what every layer takes for a share of its rows, and what workers wait for each
//! other.
//!
//! A worker alone computes all rows of a layer, which tells nothing of what a call costs and, where maps are larger than
//! the caches, too much of what a row does. Together with a share of the rows, rehearsed by all workers at the same time,
//! there is a line through two points. Its shares are even, so that workers wait for each other as they will in a plan.

use crate::network::{Network, Split};
use crate::partition::{Block, Partition};

/// Units of a block at most: long blocks compute more rows than the share that is asked for, and layers in the middle of one
/// find more in the caches than those of planned blocks do.
const LENGTH: usize = 2;

/// All rows shared alike by the workers that are `there`, at least one, in short blocks. What cannot be divided is the
/// first one's.
pub fn sounding(network: &Network, there: &[bool]) -> Partition {
    let weights: Vec<f64> = there.iter().map(|there| f64::from(u8::from(*there))).collect();
    let first = there.iter().position(|there| *there);
    let alone: Vec<f64> = (0..there.len()).map(|at| f64::from(u8::from(Some(at) == first))).collect();
    let is_whole = |unit: usize| matches!(network.units[unit].split, Split::Whole(_));
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < network.units.len() {
        let rest = start..network.units.len().min(start + LENGTH);
        let end = start + rest.take_while(|&unit| is_whole(unit) == is_whole(start)).count();
        let weights = if is_whole(start) { &alone } else { &weights };
        blocks.push(Block::shared(start..end, network.cut(end).rows, weights));
        start = end;
    }
    Partition { blocks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::{ZOO, named};

    #[test]
    fn every_network_can_be_sounded_by_whoever_is_there() {
        for name in ZOO {
            let network = named(name).unwrap();
            for there in [[true, true, true], [false, true, true], [true, false, false]] {
                let plan = sounding(&network, &there);
                plan.check(&network, 3).unwrap();
                let stranger = (0..3).find(|&worker| !there[worker] && plan.uses(worker));
                assert_eq!(stranger, None, "{name}");
            }
        }
    }
}
