//! Our own model as the bench asks it: what the lab keeps of a worker.

use std::ops::Range;

use collab_core::network::Network;
use collab_core::predict::{
    Interval, LayerCost, Profile, TimedBlock, TimedLayer, WorkerMemory, assumed_shape,
};
use collab_core::rows::Rows;

use super::models::{Block, Predictor};
use super::{LEAST_BLOCK, LEAST_LAYER};

/// What is known of a device and one network.
pub struct Ours {
    memory: WorkerMemory,
    shape: Vec<LayerCost>,
    costs: Vec<LayerCost>,
    blocks: Interval,
    layers: Interval,
}

impl Ours {
    /// Nothing but the profile is known.
    pub fn cold(profile: &Profile, network: &Network) -> Self {
        let memory = WorkerMemory::new(network, Some(profile)).by_themselves();
        let shape = assumed_shape(network);
        let costs = memory.costs(network, &shape);
        Self { memory, shape, costs, blocks: Interval::default(), layers: Interval::default() }
    }

    fn block_ms(&self, block: &Block) -> f64 {
        let layers = block.layers.iter().map(|seen| self.costs[seen.layer].ms(seen.rows));
        let factor = self.memory.strips().factor(&block.units, block.rows, 1.0);
        factor * (layers.sum::<f64>() + self.memory.piece().ms(0, 0))
    }
}

impl Predictor for Ours {
    fn layer(&self, _network: &Network, layer: usize, rows: u32) -> f64 {
        self.costs[layer].ms(rows)
    }

    fn learn(&mut self, network: &Network, run: &[Block]) {
        // As a lab does: what is too short to be compared tells nothing of what is.
        for block in run {
            if block.ms >= LEAST_BLOCK {
                self.blocks.learn(block.ms / self.block_ms(block) - 1.0);
            }
            for seen in block.layers.iter().filter(|seen| seen.ms >= LEAST_LAYER) {
                self.layers.learn(seen.ms / self.costs[seen.layer].ms(seen.rows) - 1.0);
            }
        }
        let timed = |block: &Block| TimedBlock {
            units: block.units.clone(),
            rows: block.rows,
            layers: block
                .layers
                .iter()
                .map(|seen| TimedLayer { layer: seen.layer, rows: seen.rows, ms: seen.ms })
                .collect(),
            pieces: 1,
            spans_ms: Some(block.ms),
            ..TimedBlock::default()
        };
        self.memory.learn(network, &run.iter().map(timed).collect::<Vec<_>>(), 1.0, &self.shape);
        self.costs = self.memory.costs(network, &self.shape);
    }

    fn strip(&self, network: &Network, units: &Range<usize>, rows: Rows) -> f64 {
        let demand = network.demand(units, rows);
        let layers = network.layers_of(units).zip(&demand.layers);
        let layers = layers.map(|(layer, rows)| self.costs[layer].ms(rows.len())).sum::<f64>();
        self.memory.strips().factor(units, rows, 1.0) * (layers + self.memory.piece().ms(0, 0))
    }

    fn intervals(&self) -> Option<(f64, f64)> {
        Some((self.blocks.half(), self.layers.half()))
    }
}
