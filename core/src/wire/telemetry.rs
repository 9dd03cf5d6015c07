//! What a worker reports, without being asked and without an acknowledgement.

use serde::{Deserialize, Serialize};

use super::{MAX_BLOCKS, Message, StatusReport, check_count, check_rows, check_text};
use crate::event::{BlockTimes, SpanKind, is_time};
use crate::id::{Node, RunId, WorkerId};
use crate::rows::Rows;

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Telemetry {
    /// What the worker computed in a run and what it waited for, when it has nothing left to do in it.
    Computed(RunReport),
    /// Rows went out.
    Sent(WorkerSpan),
    /// Rows came in: from the first byte to the last; the peer is the sender.
    Arrived(WorkerSpan),
    /// The worker gave a run up.
    Failed {
        /// Which.
        run: RunId,
        /// A sentence.
        reason: String,
    },
    /// The link to another worker was lost; it is being dialled again.
    PeerLost {
        /// Which.
        peer: WorkerId,
        /// A sentence.
        reason: String,
    },
    /// The link to another worker is there.
    PeerJoined {
        /// Which.
        peer: WorkerId,
    },
    /// Its state, once a second.
    Status(StatusReport),
}

/// What a worker did in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Which run.
    pub run: RunId,
    /// Computing and waiting, in order.
    pub spans: Vec<WorkerSpan>,
    /// The layers' times, block by block.
    pub blocks: Vec<BlockTimes>,
}

/// An interval on a worker, in µs of its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpan {
    /// Which run.
    pub run: RunId,
    /// What it did.
    pub kind: SpanKind,
    /// The block computed or waited for, whose output was sent, or whose input arrived. What the lab sends
    /// is the input of block 0, and counts as sent in it.
    pub block: u32,
    /// The other end of a transfer.
    pub peer: Option<Node>,
    /// The rows computed, sent, received or waited for.
    pub rows: Rows,
    /// Start, µs.
    pub start_us: u64,
    /// End, µs.
    pub end_us: u64,
    /// Bytes transferred.
    pub bytes: u64,
}

impl WorkerSpan {
    fn check(&self) -> Result<(), String> {
        check_rows(self.rows)?;
        if self.end_us < self.start_us {
            return Err(format!("a span ends at {} before its start at {}", self.end_us, self.start_us));
        }
        Ok(())
    }
}

/// Fails if there are too many blocks, or a time is none.
pub(super) fn check_times(blocks: &[BlockTimes]) -> Result<(), String> {
    check_count("blocks", blocks.len(), MAX_BLOCKS)?;
    let times = blocks.iter().flat_map(|block| &block.layers);
    match times.copied().find(|(_, _, ms)| !is_time(f64::from(*ms))) {
        Some((layer, _, ms)) => Err(format!("layer {layer} took {ms} ms")),
        None => Ok(()),
    }
}

impl Message for Telemetry {
    const NAME: &'static str = "report";

    fn check(&self) -> Result<(), String> {
        match self {
            Telemetry::Computed(report) => {
                report.spans.iter().try_for_each(WorkerSpan::check)?;
                check_times(&report.blocks)
            }
            Telemetry::Sent(span) | Telemetry::Arrived(span) => span.check(),
            Telemetry::Failed { reason, .. } | Telemetry::PeerLost { reason, .. } => {
                check_text("reason", reason)
            }
            Telemetry::PeerJoined { .. } => Ok(()),
            Telemetry::Status(status) => status.check(),
        }
    }
}
