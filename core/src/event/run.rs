//! What is told of a run: times of layers, spans, and whether the output is right.

use serde::{Deserialize, Serialize};

use crate::id::{Node, RunId, WorkerId};
use crate::rows::Rows;

/// A worker's times of one block in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayersTimed {
    /// Which run.
    pub run: RunId,
    /// Which worker.
    pub worker: WorkerId,
    /// Which block.
    pub block: u32,
    /// Layer index, rows computed, ms: on the device as it is emulated and throttled.
    pub layers: Vec<(u32, u32, f32)>,
}

/// The times of one block's layers on one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockTimes {
    /// Which block.
    pub block: u32,
    /// Layer index, rows computed, ms: on the device as it is emulated and throttled.
    pub layers: Vec<(u32, u32, f32)>,
}

/// What a node does in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Computes rows of a block.
    Compute,
    /// Sends rows to another node.
    Send,
    /// Waits for rows.
    Wait,
    /// Receives rows, from their first byte to their last. The block is the one that reads them; what the lab
    /// receives is read by one past the last.
    Receive,
}

/// An interval on a node; times in ms from the run's start on the lab's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Which run.
    pub run: RunId,
    /// Where.
    pub node: Node,
    /// What it did.
    pub kind: SpanKind,
    /// In which block.
    pub block: u32,
    /// The other end of a transfer.
    pub peer: Option<Node>,
    /// The rows computed, sent, received, or waited for.
    pub rows: Rows,
    /// Start, ms; may be slightly negative by clock error.
    pub start_ms: f64,
    /// End, ms.
    pub end_ms: f64,
    /// Bytes sent or received.
    pub bytes: u64,
}

/// A collaborative output against the single-device output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not compared.
    #[default]
    Unchecked,
    /// The same bits.
    BitEqual,
    /// Not the same bits, but within 1e-5 of the output's range: `max |difference| / range`.
    Within(f64),
    /// Further apart: `max |difference| / range`.
    Differs(f64),
}

impl Verdict {
    /// The largest `|difference| / range` still called [`Verdict::Within`].
    pub const TOLERANCE: f64 = 1e-5;

    /// As exports write it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Unchecked => "unchecked",
            Verdict::BitEqual => "bit-equal",
            Verdict::Within(_) => "within",
            Verdict::Differs(_) => "differs",
        }
    }
}
