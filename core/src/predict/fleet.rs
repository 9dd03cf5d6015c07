//! The costs of a whole fleet, as planners and the simulator ask for them.

use std::ops::Range;

use super::{Costs, CutCost, Lateness, LayerCost, LinkCost, PieceCost, StripMemory, WorkerCosts};
use crate::id::Node;
use crate::network::Network;
use crate::rows::Rows;

/// Every layer of every worker on its own, every directed link on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetCosts {
    /// By worker, for the network it was made for.
    workers: Vec<WorkerCosts>,
    /// By sender, then by receiver; the lab is the last of both.
    links: Vec<LinkCost>,
    /// By worker; empty where strips are taken for the sum of their layers.
    strips: Vec<StripMemory>,
    /// The share of its CPU that each worker has, 0…1.
    shares: Vec<f64>,
    lateness: Lateness,
}

impl FleetCosts {
    /// From what every worker takes, and what every directed link does.
    pub fn new(workers: Vec<WorkerCosts>, link: impl Fn(Node, Node) -> LinkCost) -> Self {
        let nodes = workers.len() + 1;
        let node = |at: usize| match at + 1 == nodes {
            true => Node::Lab,
            false => Node::Worker(crate::id::WorkerId::at(at)),
        };
        let links = (0..nodes * nodes).map(|at| link(node(at / nodes), node(at % nodes))).collect();
        let shares = vec![1.0; workers.len()];
        Self { workers, links, strips: Vec::new(), shares, lateness: Lateness::default() }
    }

    /// Has strips that ran take what they took. Without it strips are separable, as planners need them.
    pub fn with_strips(self, strips: Vec<StripMemory>) -> Self {
        Self { strips, ..self }
    }

    /// Has what several workers share come later than expected.
    pub fn with_lateness(self, lateness: Lateness) -> Self {
        Self { lateness, ..self }
    }

    /// Makes a worker compute `factor` times slower.
    pub fn slow(&mut self, worker: usize, factor: f64) {
        if let Some(WorkerCosts { layers, at_cuts, piece }) = self.workers.get_mut(worker) {
            layers.iter_mut().for_each(|cost| *cost = cost.times(factor));
            *at_cuts = at_cuts.times(factor);
            *piece = piece.times(factor);
            self.shares[worker] /= factor;
        }
    }

    fn place(&self, node: Node) -> usize {
        match node {
            Node::Lab => self.workers.len(),
            Node::Worker(worker) => worker.index(),
        }
    }
}

impl Costs for FleetCosts {
    fn layer(&self, _network: &Network, worker: usize, layer: usize) -> LayerCost {
        self.workers[worker].layers[layer]
    }

    fn link(&self, from: Node, to: Node) -> LinkCost {
        self.links[self.place(from) * (self.workers.len() + 1) + self.place(to)]
    }

    fn at_cuts(&self, worker: usize) -> CutCost {
        self.workers[worker].at_cuts
    }

    fn piece(&self, worker: usize) -> PieceCost {
        self.workers[worker].piece
    }

    fn lateness(&self) -> Lateness {
        self.lateness
    }

    fn strip_factor(&self, worker: usize, units: &Range<usize>, rows: Rows) -> f64 {
        self.strips.get(worker).map_or(1.0, |strips| strips.factor(units, rows, self.shares[worker]))
    }
}
