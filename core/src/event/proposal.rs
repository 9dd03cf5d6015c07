//! A partition that could run, and what is predicted of it.

use serde::{Deserialize, Serialize};

use super::SpanKind;
use crate::id::{Node, PartitionId, WorkerId};
use crate::partition::Partition;

/// A partition with a number, a planner and what it should take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number.
    pub partition: PartitionId,
    /// Which planner made it: `best-single`, `equal`, `proportional`, `given`, …
    pub planner: String,
    /// The blocks.
    pub plan: Partition,
    /// One run's latency, ms, if it can be predicted.
    pub predicted_ms: Option<f64>,
    /// The predicted timeline of one run.
    pub spans: Vec<PredictedSpan>,
    /// The predicted time of every layer on every worker that computes it.
    pub layers: Vec<PredictedLayer>,
    /// Why it should be better, or what it costs: a sentence.
    pub reason: String,
}

impl Proposal {
    /// The planner's name of partitions that measure one worker alone.
    pub const ALONE: &str = "alone";
    /// The planner's name of partitions that measure all workers together.
    pub const SOUNDING: &str = "sounding";

    /// Whether it only measures workers.
    pub fn measures(&self) -> bool {
        [Self::ALONE, Self::SOUNDING].contains(&self.planner.as_str())
    }
}

/// A predicted interval on a node; times in ms from the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedSpan {
    /// Where.
    pub node: Node,
    /// What it does.
    pub kind: SpanKind,
    /// The block, from 0.
    pub block: u32,
    /// The other end of a transfer.
    pub peer: Option<Node>,
    /// Start, ms.
    pub start_ms: f64,
    /// End, ms.
    pub end_ms: f64,
    /// Bytes sent.
    pub bytes: u64,
}

/// A layer's predicted time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedLayer {
    /// On which worker.
    pub worker: WorkerId,
    /// In which block.
    pub block: u32,
    /// Which, as an index into the network's layers.
    pub layer: u32,
    /// Rows computed, recomputed halo included.
    pub rows: u32,
    /// Time, ms.
    pub ms: f64,
}

impl PredictedLayer {
    /// Of the worker, the block and the layer at these places, ms.
    pub(crate) fn new(worker: usize, block: usize, layer: usize, rows: u32, ms: f64) -> Self {
        Self { worker: WorkerId::at(worker), block: block as u32, layer: layer as u32, rows, ms }
    }
}
