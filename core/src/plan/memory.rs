//! What a partition asks of each worker's memory.
//!
//! Counted: the weights of every layer that the worker computes (of a dense layer that is split by features
//! only its share) and, for the block where it is largest, what one layer reads and writes. Not counted: the
//! engine itself, its packing of weights, and what the link buffers.

use std::collections::HashMap;
use std::ops::Range;

use super::draft::Draft;
use crate::network::{Network, Split};
use crate::partition::Partition;
use crate::rows::Rows;

/// Memory of one strip, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StripMemory {
    /// Weights of its layers.
    pub weights: u64,
    /// The most that one of its layers reads and writes.
    pub activations: u64,
}

/// Memory that `rows` of the block `units` take.
pub fn strip_memory(network: &Network, units: &Range<usize>, rows: Rows) -> StripMemory {
    if rows.is_empty() || units.is_empty() {
        return StripMemory::default();
    }
    let span = network.layers_of(units);
    let demand = network.demand(units, rows);
    let by_features = network.units[units.end - 1].split == Split::Features;
    let mut memory = StripMemory::default();
    for (offset, computed) in demand.layers.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        let layer = &network.layers[span.start + offset];
        let reads = layer.inputs.iter().map(|edge| {
            match edge.from.map(|from| from as usize).filter(|from| span.contains(from)) {
                Some(from) => network.layers[from].output.bytes(demand.layers[from - span.start].len()),
                None => network.cut(units.start).bytes(demand.input.len()),
            }
        });
        memory.activations = memory.activations.max(layer.output.bytes(computed.len()) + reads.sum::<u64>());
        let share = by_features && offset + 1 == demand.layers.len();
        memory.weights += match share {
            true => layer.weight_bytes * u64::from(rows.len()) / u64::from(layer.output.rows.max(1)),
            false => layer.weight_bytes,
        };
    }
    memory
}

/// Memory that `partition` takes on each worker, bytes.
pub fn partition_memory(network: &Network, partition: &Partition) -> Vec<u64> {
    let total = |worker| {
        let strips = partition.blocks.iter();
        let strips = strips.map(|block| strip_memory(network, &block.span(), block.rows(worker)));
        let sum = strips.fold(StripMemory::default(), |sum, strip| StripMemory {
            weights: sum.weights + strip.weights,
            activations: sum.activations.max(strip.activations),
        });
        sum.weights + sum.activations
    };
    (0..partition.workers()).map(total).collect()
}

/// The limits that could ever bind, and what was computed for them.
#[derive(Debug)]
pub(crate) struct Limits<'a> {
    network: &'a Network,
    /// By worker; `None` where everything fits.
    limits: Vec<Option<u64>>,
    strips: HashMap<(usize, usize, Rows), StripMemory>,
}

impl<'a> Limits<'a> {
    /// `memory` is by worker, in bytes, or empty for no limits.
    pub(crate) fn new(network: &'a Network, memory: &[u64], workers: usize) -> Self {
        let layers = network.layers.iter();
        let values = |layer: &crate::network::Layer| {
            let reads = layer.inputs.iter().map(|edge| {
                let cut = edge.from.map_or(network.input.cut, |from| network.layers[from as usize].output);
                cut.bytes(cut.rows)
            });
            layer.output.bytes(layer.output.rows) + reads.sum::<u64>()
        };
        // A layer may be in one block only, so this is the most that any partition asks of a worker.
        let most = network.weight_bytes() + layers.map(values).max().unwrap_or(0);
        let limits = (0..workers).map(|worker| memory.get(worker).copied().filter(|&limit| limit < most));
        Self { network, limits: limits.collect(), strips: HashMap::new() }
    }

    /// By how much `draft` exceeds the limits: 0 if it fits, else the sum of the excess shares.
    pub(crate) fn excess(&mut self, draft: &Draft) -> f64 {
        let mut excess = 0.0;
        for worker in 0..self.limits.len() {
            let Some(limit) = self.limits[worker] else { continue };
            let mut sum = StripMemory::default();
            for index in 0..draft.len() {
                let rows = draft.rows(index, worker);
                if !rows.is_empty() {
                    let strip = self.strip(draft.start(index), draft.ends[index], rows);
                    sum.weights += strip.weights;
                    sum.activations = sum.activations.max(strip.activations);
                }
            }
            let total = sum.weights + sum.activations;
            excess += total.saturating_sub(limit) as f64 / limit.max(1) as f64;
        }
        excess
    }

    fn strip(&mut self, from: usize, to: usize, rows: Rows) -> StripMemory {
        let network = self.network;
        *self.strips.entry((from, to, rows)).or_insert_with(|| strip_memory(network, &(from..to), rows))
    }
}

/// Whether `partition` fits the memory of every worker of `problem`.
pub(crate) fn fits(problem: &super::Problem<'_>, partition: &Partition) -> bool {
    if problem.memory.is_empty() {
        return true;
    }
    let asked = partition_memory(problem.network, partition);
    asked.iter().zip(problem.memory).all(|(asked, limit)| asked <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::{chain, named};
    use crate::plan::scenario::{LinkClass, costs, seed_like};
    use crate::plan::{Budget, Problem, planner};

    #[test]
    fn plans_respect_the_memory_of_every_worker() {
        let network = named("alexnet").unwrap();
        let costs = costs(&network, &seed_like(3, LinkClass::Gigabit), LinkClass::Gigabit);
        let free = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
        let budget = Budget { evaluations: 4000, seed: 1 };
        let unlimited = planner("auto").unwrap().plan(&free, budget).unwrap();
        let asked = partition_memory(&network, &unlimited.partition);
        let memory = [asked[0] / 2, 1 << 20, 1 << 30];
        let tight = Problem { memory: &memory, ..free };
        for name in ["auto", "anneal"] {
            let plan = planner(name).unwrap().plan(&tight, budget).unwrap();
            let asked = partition_memory(&network, &plan.partition);
            assert!(asked.iter().zip(memory).all(|(asked, limit)| *asked <= limit), "{name}: {asked:?}");
            assert!(plan.timeline.finish_ms >= unlimited.timeline.finish_ms);
        }
        let nothing = Problem { memory: &[1000; 3], ..tight };
        assert!(planner("auto").unwrap().plan(&nothing, budget).is_none());
    }

    #[test]
    fn a_strip_takes_its_weights_and_its_largest_layer() {
        let network = chain(16, 3);
        let memory = strip_memory(&network, &(0..2), Rows::new(0, 4));
        assert_eq!(memory.weights, 2 * 8 * 8 * 9 * 4);
        // The second layer reads 5 rows of 8 × 16 values and writes 4.
        let (first, second) = (4 * 16 * (6 * 3 + 5 * 8), 4 * 16 * 8 * (5 + 4));
        assert_eq!(memory.activations, first.max(second));
    }
}
