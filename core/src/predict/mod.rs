//! What a strip, a transfer and a layer should take.
//!
//! The contract between predictors and planners is [`Costs`]: a layer takes `call + rows · row` on a
//! worker, a transfer `delay + bytes / rate`. Because it is linear in rows, the cost of a fused span splits
//! into a term of its first row and a term of its last one, which is what lets planners cost a whole
//! partition in microseconds.
//!
//! [`RatePerWorker`] fills it in the simplest way that can be checked: one rate of multiply-accumulates per
//! worker, from its measured time for the whole network. Operators without multiply-accumulates are
//! therefore predicted as free; the screen says so.

mod cut;
mod fleet;
mod interval;
mod lateness;
mod layer;
pub mod nnls;
mod piece;
mod profile;
mod reference;
mod run;
mod scale;
mod sounding;
mod strip;
mod transfer;
mod variation;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

pub use cut::{CutCost, Portion};
pub use fleet::FleetCosts;
pub use interval::{COVERAGE, Interval};
pub use lateness::Lateness;
pub use layer::LayerMemory;
pub use piece::{PieceCost, PieceMemory};
pub use profile::{Coefficient, PROFILE_VERSION, Profile, Sample, fit};
pub use reference::ReferenceMemory;
pub use run::RunMemory;
pub use scale::Scale;
pub use sounding::sounding;
pub use strip::StripMemory;
pub use transfer::LinkMemory;
pub use variation::Variation;
pub use worker::{TimedBlock, TimedLayer, WorkerCosts, WorkerMemory, assumed_shape};

use serde::{Deserialize, Serialize};

use crate::event::{LinkShape, PredictedLayer};
use crate::id::Node;
use crate::network::Network;
use crate::partition::Partition;
use crate::rows::Rows;

/// The sentence that names this model on screens.
pub const MODEL: &str = "every worker's own layer times";

/// What one layer takes on one worker: `call_ms + rows · row_ms`. Neither is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerCost {
    /// Once for every piece in which the layer is computed, ms.
    pub call_ms: f64,
    /// For every output row, ms.
    pub row_ms: f64,
}

impl LayerCost {
    /// Milliseconds for `rows` rows; nothing for none.
    pub fn ms(&self, rows: u32) -> f64 {
        if rows == 0 { 0.0 } else { self.call_ms + f64::from(rows) * self.row_ms }
    }

    /// Milliseconds for `rows` rows in all, computed in `pieces` pieces.
    pub fn pieces_ms(&self, pieces: u32, rows: u32) -> f64 {
        f64::from(pieces) * self.call_ms + f64::from(rows) * self.row_ms
    }

    /// The same, `factor` times slower.
    pub fn times(&self, factor: f64) -> Self {
        Self { call_ms: factor * self.call_ms, row_ms: factor * self.row_ms }
    }
}

/// What planners and the simulator ask.
pub trait Costs: fmt::Debug + Sync {
    /// What layer `layer`, an index into the network's layers, takes on `worker`.
    fn layer(&self, network: &Network, worker: usize, layer: usize) -> LayerCost;

    /// What the sender's side of the link `from → to` takes.
    fn link(&self, from: Node, to: Node) -> LinkCost;

    /// What `worker` takes at cuts beside layers.
    fn at_cuts(&self, _worker: usize) -> CutCost {
        CutCost::default()
    }

    /// What `worker` takes for a piece of a strip beside all that.
    fn piece(&self, _worker: usize) -> PieceCost {
        PieceCost::default()
    }

    /// How much later than expected rows of a block are there that several workers share.
    fn lateness(&self) -> Lateness {
        Lateness::default()
    }

    /// How much longer `worker` takes for the rows `rows` of the block `units` than their layers and pieces.
    fn strip_factor(&self, _worker: usize, _units: &Range<usize>, _rows: Rows) -> f64 {
        1.0
    }

    /// Gives `each` every layer that `worker` computes for `rows` of the block `units`, recomputed halo included: its index,
    /// how many rows of it, and what they take, ms.
    fn strip_layers(
        &self,
        network: &Network,
        worker: usize,
        units: &Range<usize>,
        rows: Rows,
        each: &mut dyn FnMut(usize, u32, f64),
    ) {
        let at_cuts = self.at_cuts(worker);
        network.with_demand(units, rows, |input, layers| {
            for (layer, computed) in network.layers_of(units).zip(layers) {
                let (read, written) = network.bytes_at_cuts(units, layer, input.len(), rows.len());
                let cost = self.layer(network, worker, layer);
                each(layer, computed.len(), cost.ms(computed.len()) + at_cuts.ms(read, written));
            }
        });
    }

    /// Milliseconds that `worker` computes for `rows` of the block `units`.
    fn strip_ms(&self, network: &Network, worker: usize, units: &Range<usize>, rows: Rows) -> f64 {
        let mut sum = 0.0;
        self.strip_layers(network, worker, units, rows, &mut |_, _, ms| sum += ms);
        sum
    }

    /// The predicted time of every layer that `partition` makes a worker compute.
    fn layers(&self, network: &Network, partition: &Partition) -> Vec<PredictedLayer> {
        let mut layers = Vec::new();
        for (block, plan) in partition.blocks.iter().enumerate() {
            for worker in plan.owners() {
                self.strip_layers(
                    network,
                    worker,
                    &plan.span(),
                    plan.rows(worker),
                    &mut |layer, rows, ms| {
                        layers.push(PredictedLayer::new(worker, block, layer, rows, ms));
                    },
                );
            }
        }
        layers
    }
}

/// A transfer takes `delay + bytes / rate`; the sender is occupied for `bytes / rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkCost {
    /// From the last byte sent to the last byte there, ms.
    pub delay_ms: f64,
    /// Bytes per ms.
    pub bytes_per_ms: f64,
}

impl LinkCost {
    /// From megabits per second and milliseconds.
    pub fn new(rate_mbps: f64, delay_ms: f64) -> Self {
        Self { delay_ms, bytes_per_ms: rate_mbps * 125.0 }
    }

    /// Milliseconds that `bytes` occupy the sender.
    pub fn sending_ms(&self, bytes: u64) -> f64 {
        bytes as f64 / self.bytes_per_ms
    }
}

/// One rate per worker and one link per sender.
#[derive(Clone, Debug, PartialEq)]
pub struct RatePerWorker {
    /// Multiply-accumulates per ms, by worker.
    pub macs_per_ms: Vec<f64>,
    /// What each worker sends over.
    pub links: Vec<LinkCost>,
    /// What the lab sends over.
    pub lab: LinkCost,
}

impl RatePerWorker {
    /// From each worker's measured time for the whole network, ms.
    pub fn from_singles(network: &Network, singles_ms: &[f64], links: Vec<LinkCost>, lab: LinkCost) -> Self {
        let macs = network.macs() as f64;
        let macs_per_ms = singles_ms.iter().map(|ms| macs / ms.max(1e-3)).collect();
        Self { macs_per_ms, links, lab }
    }
}

impl Costs for RatePerWorker {
    fn layer(&self, network: &Network, worker: usize, layer: usize) -> LayerCost {
        LayerCost { call_ms: 0.0, row_ms: network.layers[layer].row_macs as f64 / self.macs_per_ms[worker] }
    }

    fn link(&self, from: Node, _to: Node) -> LinkCost {
        match from {
            Node::Lab => self.lab,
            Node::Worker(worker) => self.links[worker.index()],
        }
    }
}

/// Every layer of every worker on its own, one link per sender.
#[derive(Clone, Debug, PartialEq)]
pub struct PerLayer {
    /// By worker, then by layer of the network it was made for.
    pub layers: Vec<Vec<LayerCost>>,
    /// What each worker sends over.
    pub links: Vec<LinkCost>,
    /// What the lab sends over.
    pub lab: LinkCost,
}

impl Costs for PerLayer {
    fn layer(&self, _network: &Network, worker: usize, layer: usize) -> LayerCost {
        self.layers[worker][layer]
    }

    fn link(&self, from: Node, _to: Node) -> LinkCost {
        match from {
            Node::Lab => self.lab,
            Node::Worker(worker) => self.links[worker.index()],
        }
    }
}

/// The rate taken for a link that is neither paced nor measured, Mbit/s: a wired gigabit network.
pub const ASSUMED_MBPS: f64 = 940.0;

/// The cost of a link that is paced to `shape`, with `rtt_ms` measured between its ends.
pub fn link_cost(shape: LinkShape, rtt_ms: f64, measured_mbps: Option<f64>) -> LinkCost {
    let rate = shape.rate_mbps.or(measured_mbps).unwrap_or(ASSUMED_MBPS);
    LinkCost::new(rate, (rtt_ms / 2.0).max(shape.delay_ms))
}

/// Adds to a history and forgets its oldest part.
fn push_bounded<T>(queue: &mut VecDeque<T>, value: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(value);
}
