//! A partition as searches hold it: cuts and boundaries that can be changed in place.

use std::ops::Range;

use super::costing::{Costing, State};
use crate::partition::{Block, Partition};
use crate::rows::Rows;

/// Blocks by their last cut, each with the boundaries of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Draft {
    /// Where each block ends; the last entry is the number of units.
    pub(crate) ends: Vec<usize>,
    /// `workers + 1` boundaries for each block, as [`Block::bounds`].
    pub(crate) bounds: Vec<u32>,
    /// Boundaries of one block.
    pub(crate) stride: usize,
}

impl Draft {
    /// Without blocks, for `workers` workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { ends: Vec::new(), bounds: Vec::new(), stride: workers + 1 }
    }

    /// From a partition.
    pub fn of(partition: &Partition) -> Self {
        let mut draft = Self::new(partition.workers());
        for block in &partition.blocks {
            draft.push(block.units.1 as usize, &block.bounds);
        }
        draft
    }

    /// As a partition.
    pub fn partition(&self) -> Partition {
        let block = |index: usize| Block {
            units: (self.start(index) as u32, self.ends[index] as u32),
            bounds: self.block(index).to_vec(),
        };
        Partition { blocks: (0..self.len()).map(block).collect() }
    }

    /// How many blocks.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where block `index` starts.
    pub(crate) fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] }
    }

    /// The boundaries of block `index`.
    pub(crate) fn block(&self, index: usize) -> &[u32] {
        &self.bounds[index * self.stride..(index + 1) * self.stride]
    }

    /// The boundaries of block `index`.
    pub(crate) fn block_mut(&mut self, index: usize) -> &mut [u32] {
        &mut self.bounds[index * self.stride..(index + 1) * self.stride]
    }

    /// The rows of `worker` in block `index`.
    pub(crate) fn rows(&self, index: usize, worker: usize) -> Rows {
        let bounds = self.block(index);
        Rows { start: bounds[worker], end: bounds[worker + 1] }
    }

    /// Adds a block at the end.
    pub(crate) fn push(&mut self, end: usize, bounds: &[u32]) {
        self.ends.push(end);
        self.bounds.extend_from_slice(bounds);
    }

    /// Adds a block before block `index`.
    pub(crate) fn insert(&mut self, index: usize, end: usize, bounds: &[u32]) {
        self.ends.insert(index, end);
        let at = index * self.stride;
        self.bounds.splice(at..at, bounds.iter().copied());
    }

    /// Takes block `index` away; what follows must cover its units.
    pub(crate) fn remove(&mut self, index: usize) {
        self.ends.remove(index);
        self.bounds.drain(index * self.stride..(index + 1) * self.stride);
    }

    /// Which blocks are others than in `other`: from `first` on, before which all are the same, to the last that is; nothing if
    /// all are the same.
    pub(crate) fn differs_in(&self, other: &Self, first: usize) -> Option<Range<usize>> {
        if self.len() == other.len() && self.ends[first..] == other.ends[first..] {
            // Mostly only that block differs.
            let next = first + 1;
            if self.bounds[next * self.stride..] == other.bounds[next * self.stride..] {
                return (self.block(first) != other.block(first)).then_some(first..next);
            }
        }
        let pairs = (0..self.len()).rev().zip((0..other.len()).rev());
        let same = |&(own, its): &(usize, usize)| {
            self.ends[own] == other.ends[its] && self.block(own) == other.block(its)
        };
        Some(first..self.len() - pairs.take_while(same).count())
    }

    /// Becomes a copy of `other`, from which it differs in blocks `different` alone.
    pub(crate) fn copy_blocks(&mut self, other: &Self, different: Range<usize>) {
        let bounds = different.start * self.stride..different.end * self.stride;
        self.ends[different.clone()].copy_from_slice(&other.ends[different]);
        self.bounds[bounds.clone()].copy_from_slice(&other.bounds[bounds]);
    }

    /// Becomes a copy of `other` without allocating.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.ends.clone_from(&other.ends);
        self.bounds.clone_from(&other.bounds);
        self.stride = other.stride;
    }
}

/// Two states to alternate between.
#[derive(Debug)]
pub struct Pair(State, State);

impl Costing<'_> {
    /// Room for [`Costing::latency`].
    pub fn pair(&self) -> Pair {
        Pair(self.state(), self.state())
    }

    /// The simulated latency of `draft`, ms.
    pub fn latency(&mut self, draft: &Draft, pair: &mut Pair) -> f64 {
        let Pair(first, second) = pair;
        let (mut now, mut next) = (first, second);
        self.open(draft.ends[0], draft.block(0), now);
        for index in 1..draft.len() {
            self.step(now, draft.ends[index], draft.block(index), next);
            (now, next) = (next, now);
        }
        self.finish(now)
    }

    /// The same, if `state` is that of its first `placed` blocks.
    pub(crate) fn latency_from(
        &mut self,
        state: &State,
        draft: &Draft,
        placed: usize,
        Pair(now, next): &mut Pair,
    ) -> f64 {
        if placed == draft.len() {
            return self.finish(state);
        }
        self.step(state, draft.ends[placed], draft.block(placed), now);
        for index in placed + 1..draft.len() {
            self.step(now, draft.ends[index], draft.block(index), next);
            std::mem::swap(now, next);
        }
        self.finish(now)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::id::Node;
    use crate::network::Network;
    use crate::network::samples::{ZOO, named, random};
    use crate::plan::Problem;
    use crate::plan::search::Search;
    use crate::predict::{Costs, CutCost, Lateness, LayerCost, LinkCost, PieceCost};

    /// Any costs that are linear in rows, a link for every ordered pair.
    #[derive(Debug)]
    pub(crate) struct AnyCosts {
        layers: Vec<Vec<LayerCost>>,
        links: Vec<LinkCost>,
        pieces: Vec<(CutCost, PieceCost)>,
        lateness: Lateness,
    }

    impl AnyCosts {
        pub(crate) fn random(rng: &mut impl Rng, network: &Network, workers: usize) -> Self {
            let layer = |rng: &mut _| LayerCost {
                call_ms: RngExt::random_range(rng, 0.0..0.05),
                row_ms: RngExt::random_range(rng, 0.001..0.3),
            };
            let layers = (0..workers).map(|_| network.layers.iter().map(|_| layer(rng)).collect()).collect();
            let link = |rng: &mut _| {
                LinkCost::new(RngExt::random_range(rng, 1.0..2000.0), RngExt::random_range(rng, 0.0..1.0))
            };
            let piece = |rng: &mut _| {
                let at_cuts = CutCost {
                    read_ms: RngExt::random_range(rng, 0.0..1e-6),
                    write_ms: RngExt::random_range(rng, 0.0..1e-6),
                };
                let piece = PieceCost {
                    call_ms: RngExt::random_range(rng, 0.0..0.1),
                    in_ms: RngExt::random_range(rng, 0.0..1e-6),
                    out_ms: RngExt::random_range(rng, 0.0..1e-5),
                };
                (at_cuts, piece)
            };
            Self {
                layers,
                links: (0..(workers + 1) * (workers + 1)).map(|_| link(rng)).collect(),
                pieces: (0..workers).map(|_| piece(rng)).collect(),
                lateness: Lateness {
                    exchange_ms: rng.random_range(0.0..0.5),
                    share: rng.random_range(0.0..0.05),
                },
            }
        }
    }

    impl Costs for AnyCosts {
        fn layer(&self, _network: &Network, worker: usize, layer: usize) -> LayerCost {
            self.layers[worker][layer]
        }

        fn at_cuts(&self, worker: usize) -> CutCost {
            self.pieces[worker].0
        }

        fn piece(&self, worker: usize) -> PieceCost {
            self.pieces[worker].1
        }

        fn lateness(&self) -> Lateness {
            self.lateness
        }

        fn link(&self, from: Node, to: Node) -> LinkCost {
            let workers = self.layers.len();
            let at = |node| if let Node::Worker(worker) = node { worker.index() } else { workers };
            self.links[at(from) * (workers + 1) + at(to)]
        }
    }

    /// Any partition of `network`, idle workers and single owners included.
    pub(crate) fn any_partition(rng: &mut impl Rng, network: &Network, workers: usize) -> Partition {
        let mut blocks = Vec::new();
        let mut from = 0;
        while from < network.units.len() {
            let to = rng.random_range(from + 1..=network.units.len().min(from + 4));
            let rows = network.cut(to).rows;
            let whole = matches!(network.units[to - 1].split, crate::network::Split::Whole(_));
            let alone = whole || rng.random_bool(0.15);
            let owner = rng.random_range(0..workers);
            let near = rng.random_bool(0.6);
            let weights: Vec<f64> = (0..workers)
                .map(|worker| match alone {
                    true => f64::from(u8::from(worker == owner)),
                    false if near => 1.0 + 0.1 * rng.random_range(0.0..1.0),
                    false if rng.random_bool(0.3) => 0.0,
                    false => rng.random_range(0.1..1.0),
                })
                .collect();
            let weights = if weights.iter().sum::<f64>() > 0.0 { weights } else { vec![1.0; workers] };
            blocks.push(Block::shared(from..to, rows, &weights));
            from = to;
        }
        Partition { blocks }
    }

    /// Has `check` look at searches for `rounds` random networks and a few workers each.
    pub(crate) fn on_any_problems(
        rng: &mut ChaCha8Rng,
        rounds: usize,
        mut check: impl FnMut(&mut Search<'_>, &mut ChaCha8Rng),
    ) {
        for _ in 0..rounds {
            let network = random(rng, 9, 64);
            let workers = rng.random_range(2..6);
            let costs = AnyCosts::random(rng, &network, workers);
            let allowed = vec![true; workers];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            check(&mut Search::new(&problem).unwrap(), rng);
        }
    }

    fn agree(rng: &mut ChaCha8Rng, network: &Network, workers: usize, rounds: usize) -> usize {
        let costs = AnyCosts::random(rng, network, workers);
        let allowed = vec![true; workers];
        let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
        let mut costing = Costing::new(&problem);
        let mut pair = costing.pair();
        let mut divided = 0;
        for _ in 0..rounds {
            let partition = any_partition(rng, network, workers);
            partition.check(network, workers).unwrap();
            let draft = Draft::of(&partition);
            assert_eq!(draft.partition(), partition);
            let quick = costing.latency(&draft, &mut pair);
            let plan = problem.cost(partition);
            let real = plan.timeline.finish_ms;
            assert!(
                (quick - real).abs() <= 1e-9 * real,
                "{} {}: {quick} {real}",
                network.name,
                plan.partition
            );
            let schedule = crate::schedule::Schedule::new(network, &plan.partition);
            let strips = schedule.stages.iter().flat_map(|stage| &stage.strips);
            divided += strips.filter(|strip| strip.parts.len() > 1).count();
        }
        divided
    }

    #[test]
    fn a_planners_cost_is_the_simulated_schedule_on_random_networks() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut divided = 0;
        for _ in 0..300 {
            let network = random(&mut rng, 9, 96);
            let workers = rng.random_range(1..7);
            divided += agree(&mut rng, &network, workers, 8);
        }
        assert!(divided > 100, "only {divided} strips were divided into parts");
    }

    #[test]
    fn a_planners_cost_is_the_simulated_schedule_on_known_networks() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for name in ZOO {
            let network = named(name).unwrap();
            for workers in [1, 3, 8] {
                agree(&mut rng, &network, workers, 6);
            }
        }
    }
}
