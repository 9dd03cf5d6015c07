//! Whether a network that a session tells of can be one: everything derived from it indexes its layers and units.

use crate::network::{Cut, Edge, Network};
use crate::rows::RowMap;
use crate::wire::MAX_ROW;

/// The most values, multiply-accumulates or bytes that a whole network may have, so that no sum of them overflows.
const MOST: u64 = 1 << 60;

/// Whether layers read what comes before them, units follow each other through all layers, and sizes are some.
pub(crate) fn is_whole(network: &Network) -> bool {
    is_cut(network.input.cut) && reads_back(network) && is_chain(network) && is_countable(network)
}

fn is_cut(cut: Cut) -> bool {
    let is_size = |size: u32| (1..=MAX_ROW).contains(&size);
    is_size(cut.outer) && is_size(cut.rows) && is_size(cut.inner)
}

fn reads_back(network: &Network) -> bool {
    let is_before = |edge: &Edge, layer: usize| edge.from.is_none_or(|from| (from as usize) < layer);
    network.layers.iter().enumerate().all(|(index, layer)| {
        is_cut(layer.output) && layer.inputs.iter().all(|edge| is_before(edge, index) && is_map(edge.map))
    })
}

fn is_map(map: RowMap) -> bool {
    (1..=MAX_ROW).contains(&map.den) && map.lo <= map.hi
}

fn is_chain(network: &Network) -> bool {
    let mut next = 0;
    let follow = network.units.iter().all(|unit| {
        let (first, end) = unit.layers;
        let last = network.layers.get((end as usize).wrapping_sub(1));
        let fits = first == next && end > first && last.is_some_and(|last| last.output == unit.output);
        next = end;
        fits
    });
    follow && !network.units.is_empty() && next as usize == network.layers.len()
}

fn is_countable(network: &Network) -> bool {
    let layers = || network.layers.iter();
    is_sum(layers().map(|layer| layer.row_macs.checked_mul(u64::from(layer.output.rows))))
        && is_sum(layers().map(|layer| values(layer.output)))
        && is_sum(layers().map(|layer| Some(layer.weight_bytes)))
        && is_sum(layers().map(|layer| Some(layer.kept_bytes)))
        && is_sum([values(network.input.cut)].into_iter())
}

/// Whether amounts, `None` where one overflows, add up to a number.
fn is_sum(mut amounts: impl Iterator<Item = Option<u64>>) -> bool {
    amounts.try_fold(0u64, |sum, amount| sum.checked_add(amount?)).is_some_and(|sum| sum <= MOST)
}

fn values(cut: Cut) -> Option<u64> {
    u64::from(cut.rows).checked_mul(cut.row_values())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::{ZOO, chain, named};

    #[test]
    fn every_network_is_whole_and_none_is_with_a_part_that_leads_nowhere() {
        assert!(ZOO.iter().all(|name| is_whole(&named(name).unwrap())));
        let tampered = |change: fn(&mut Network)| {
            let mut network = chain(32, 4);
            change(&mut network);
            network
        };
        type Change = (&'static str, fn(&mut Network));
        let changes: [Change; 9] = [
            ("a unit of layers there are not", |it| it.units[3].layers.1 = 9),
            ("a gap between units", |it| it.units[2].layers.0 = 3),
            ("no units", |it| it.units.clear()),
            ("a layer that reads itself", |it| it.layers[1].inputs[0].from = Some(1)),
            ("a map by nothing", |it| it.layers[1].inputs[0].map.den = 0),
            ("a cut that is not its last layer's output", |it| it.units[1].output.rows = 31),
            ("no rows", |it| it.input.cut.rows = 0),
            ("more rows than there are", |it| it.input.cut.rows = u32::MAX),
            ("more work than can be counted", |it| it.layers[0].row_macs = u64::MAX),
        ];
        for (what, change) in changes {
            assert!(!is_whole(&tampered(change)), "{what}");
        }
    }
}
