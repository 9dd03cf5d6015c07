//! Our own model as the bench asks it: what the lab keeps of a worker.

use std::ops::Range;

use collab_core::network::Network;
use collab_core::predict::{
    Costs, FleetCosts, Interval, LayerCost, LinkCost, Profile, TimedBlock, TimedLayer, WorkerMemory,
    assumed_shape,
};
use collab_core::rows::Rows;

use super::models::{Block, Predictor};
use super::{LEAST_BLOCK, LEAST_LAYER};

/// What is known of a device and one network.
pub struct Ours {
    memory: WorkerMemory,
    shape: Vec<LayerCost>,
    /// Of the device as the only worker.
    costs: FleetCosts,
    blocks: Interval,
    layers: Interval,
}

impl Ours {
    /// Nothing but the profile is known.
    pub fn cold(profile: &Profile, network: &Network) -> Self {
        let memory = WorkerMemory::new(network, Some(profile)).by_themselves();
        let shape = assumed_shape(network);
        let costs = costs(&memory, network, &shape);
        Self { memory, shape, costs, blocks: Interval::default(), layers: Interval::default() }
    }
}

/// What the device takes; it sends nothing.
fn costs(memory: &WorkerMemory, network: &Network, shape: &[LayerCost]) -> FleetCosts {
    FleetCosts::new(vec![memory.costs(network, shape)], |_, _| LinkCost::new(1.0, 0.0))
}

impl Predictor for Ours {
    fn layer(&self, network: &Network, layer: usize, rows: u32) -> f64 {
        self.costs.layer(network, 0, layer).ms(rows)
    }

    fn layers(&self, network: &Network, units: &Range<usize>, rows: Rows) -> Vec<f64> {
        let mut layers = Vec::new();
        self.costs.strip_layers(network, 0, units, rows, &mut |_, _, ms| layers.push(ms));
        layers
    }

    fn learn(&mut self, network: &Network, run: &[Block]) {
        // As a lab does: what is too short to be compared tells nothing of what is.
        for block in run {
            let layers = self.layers(network, &block.units, block.rows);
            if block.ms >= LEAST_BLOCK {
                self.blocks.learn(block.ms / self.strip(network, &block.units, block.rows) - 1.0);
            }
            let first = network.layers_of(&block.units).start;
            for seen in block.layers.iter().filter(|seen| seen.ms >= LEAST_LAYER) {
                self.layers.learn(seen.ms / layers[seen.layer - first] - 1.0);
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
            bytes_in: network
                .cut(block.units.start)
                .bytes(network.demand(&block.units, block.rows).input.len()),
            bytes_made: network.cut(block.units.end).bytes(block.rows.len()),
            bytes_out: 0,
            spans_ms: Some(block.ms),
        };
        self.memory.learn(network, &run.iter().map(timed).collect::<Vec<_>>(), 1.0, &self.shape);
        self.costs = costs(&self.memory, network, &self.shape);
    }

    fn strip(&self, network: &Network, units: &Range<usize>, rows: Rows) -> f64 {
        let read = network.cut(units.start).bytes(network.demand(units, rows).input.len());
        let beside = self.costs.piece(0).ms(read, 0);
        let layers = self.layers(network, units, rows).iter().sum::<f64>();
        self.memory.strips().factor(units, rows, 1.0) * (layers + beside)
    }

    fn intervals(&self) -> Option<(f64, f64)> {
        Some((self.blocks.half(), self.layers.half()))
    }
}
