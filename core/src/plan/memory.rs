//! Which partitions fit the memory that workers have for maps.
//!
//! A worker loads all of a network before anything is planned and keeps every layer's weights, whatever its share. So
//! what a partition asks of it beyond that is the maps of the block where they take most ([`super::peak`]), and the
//! worker itself refuses by the same count.

use std::collections::HashMap;

use super::draft::Draft;
use super::peak::{maps_of_partition, maps_of_strip};
use crate::network::Network;
use crate::partition::Partition;
use crate::rows::Rows;

/// The limits that could ever bind, and what was computed for them.
#[derive(Clone, Debug)]
pub(crate) struct Limits<'a> {
    network: &'a Network,
    /// By worker; `None` where everything fits.
    limits: Vec<Option<u64>>,
    strips: HashMap<(usize, usize, Rows), u64>,
}

impl<'a> Limits<'a> {
    /// `memory` is by worker, in bytes, or empty for no limits.
    pub(crate) fn new(network: &'a Network, memory: &[u64], workers: usize) -> Self {
        // A block has its input, its output, and maps of its layers.
        let maps = network.layers.iter().map(|layer| layer.output.bytes(layer.output.rows)).sum::<u64>();
        let cuts = (0..=network.units.len()).map(|at| network.cut(at).bytes(network.cut(at).rows));
        let most = maps + 3 * cuts.max().unwrap_or(0);
        let limits = (0..workers).map(|worker| memory.get(worker).copied().filter(|&limit| limit < most));
        Self { network, limits: limits.collect(), strips: HashMap::new() }
    }

    /// Whether there is a partition that exceeds them.
    pub(crate) fn bind(&self) -> bool {
        self.limits.iter().any(Option::is_some)
    }

    /// By how much `draft` exceeds the limits: 0 if it fits, else the sum of the excess shares.
    pub(crate) fn excess(&mut self, draft: &Draft) -> f64 {
        let mut excess = 0.0;
        for worker in 0..self.limits.len() {
            let Some(limit) = self.limits[worker] else { continue };
            let mut most = 0;
            for index in 0..draft.len() {
                let rows = draft.rows(index, worker);
                if !rows.is_empty() {
                    most = most.max(self.strip(draft.start(index), draft.ends[index], rows));
                }
            }
            excess += most.saturating_sub(limit) as f64 / limit.max(1) as f64;
        }
        excess
    }

    fn strip(&mut self, from: usize, to: usize, rows: Rows) -> u64 {
        let network = self.network;
        *self.strips.entry((from, to, rows)).or_insert_with(|| maps_of_strip(network, &(from..to), rows))
    }
}

/// Whether `partition` fits the memory of every worker of `problem`.
pub(crate) fn fits(problem: &super::Problem<'_>, partition: &Partition) -> bool {
    if problem.memory.is_empty() {
        return true;
    }
    let asked = maps_of_partition(problem.network, partition);
    asked.iter().zip(problem.memory).all(|(asked, limit)| asked <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::named;
    use crate::plan::scenario::{LinkClass, costs, seed_like};
    use crate::plan::{Budget, Problem, planner};

    #[test]
    fn plans_respect_the_memory_of_every_worker() {
        let network = named("alexnet").unwrap();
        let costs = costs(&network, &seed_like(3, LinkClass::Gigabit), LinkClass::Gigabit);
        let free = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
        let budget = Budget { evaluations: 4000, seed: 1, ..Budget::default() };
        let unlimited = planner("auto").unwrap().plan(&free, budget).unwrap();
        let asked = maps_of_partition(&network, &unlimited.partition);
        let memory = [asked[0] / 2, 1 << 20, 1 << 30];
        let tight = Problem { memory: &memory, ..free };
        for name in ["auto", "anneal"] {
            let plan = planner(name).unwrap().plan(&tight, budget).unwrap();
            let asked = maps_of_partition(&network, &plan.partition);
            assert!(asked.iter().zip(memory).all(|(asked, limit)| *asked <= limit), "{name}: {asked:?}");
            assert!(plan.timeline.finish_ms >= unlimited.timeline.finish_ms);
        }
        let nothing = Problem { memory: &[1000; 3], ..tight };
        assert!(planner("auto").unwrap().plan(&nothing, budget).is_none());
    }
}
