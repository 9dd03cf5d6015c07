//! What a run should take, said before it: the whole, every span, every block, every layer.

use serde::{Deserialize, Serialize};

use crate::event::{PredictedLayer, PredictedSpan, SpanKind};
use crate::id::{Node, WorkerId};
use crate::network::Network;
use crate::predict::Costs;
use crate::schedule::Schedule;
use crate::simulate::Timeline;

/// A run's prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// From the first byte sent to the last received, ms.
    pub ms: f64,
    /// Four of five runs should be no further off than this share of it.
    pub half: f64,
    /// Every interval on every node.
    pub spans: Vec<PredictedSpan>,
    /// Every layer on every worker that computes it, all pieces together.
    pub layers: Vec<PredictedLayer>,
}

impl Prediction {
    pub(super) fn new(
        network: &Network,
        schedule: &Schedule,
        costs: &dyn Costs,
        timeline: Timeline,
        factor: f64,
        half: f64,
    ) -> Self {
        let layers = layers(network, schedule, costs);
        Self { ms: factor * timeline.finish_ms, half, spans: timeline.spans, layers }
    }

    /// The bounds that four of five runs should be within, ms.
    pub fn bounds(&self) -> (f64, f64) {
        (self.ms * (1.0 - self.half), self.ms * (1.0 + self.half))
    }

    /// What `worker` should compute for `block`, all pieces together, ms; `None` if it has no rows of it.
    pub fn block_ms(&self, worker: WorkerId, block: u32) -> Option<f64> {
        let of_block = self.spans.iter().filter(|span| {
            span.node == Node::Worker(worker) && span.block == block && span.kind == SpanKind::Compute
        });
        of_block.map(|span| span.end_ms - span.start_ms).reduce(|sum, ms| sum + ms)
    }

    /// What `worker` should take for `layer` of `block`, ms.
    pub fn layer_ms(&self, worker: WorkerId, block: u32, layer: u32) -> Option<f64> {
        let key = (worker, block, layer);
        let found = self.layers.iter().find(|at| (at.worker, at.block, at.layer) == key);
        found.map(|at| at.ms)
    }
}

/// Every layer, in as many pieces as the schedule says.
fn layers(network: &Network, schedule: &Schedule, costs: &dyn Costs) -> Vec<PredictedLayer> {
    let mut layers: Vec<PredictedLayer> = Vec::new();
    for (block, stage) in schedule.stages.iter().enumerate() {
        let units = stage.units.0 as usize..stage.units.1 as usize;
        for (worker, strip) in stage.strips.iter().enumerate() {
            let begin = layers.len();
            for (index, part) in strip.parts.iter().enumerate() {
                let mut at = begin;
                costs.strip_layers(network, worker, &units, part.rows, &mut |layer, rows, ms| {
                    if index == 0 {
                        layers.push(PredictedLayer::new(worker, block, layer, rows, ms));
                    } else {
                        layers[at].rows += rows;
                        layers[at].ms += ms;
                    }
                    at += 1;
                });
            }
        }
    }
    layers
}
