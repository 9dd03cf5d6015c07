//! A partition that is ready to run on this worker.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use collab_core::id::{Node, PartitionId};
use collab_core::network::{Cut, Pixels};
use collab_core::rows::Rows;
use collab_core::schedule::{Schedule, StripPlan};
use collab_core::wire::{Encoding, RowsHeader};

use crate::engine::Strip;

/// A strip that several partitions may use; only the computing thread runs it.
pub(crate) type SharedStrip = Arc<Mutex<Box<dyn Strip>>>;

/// A piece of a strip that is run before anything waits for it. A first run touches memory for the first time and
/// takes up to some times as long as later ones; what a later one takes tells what a run will.
pub(crate) struct Rehearsal {
    pub(crate) strip: SharedStrip,
    /// The tensor that it reads, and which rows of it.
    pub(crate) input: (Cut, Rows),
    /// How many layers the network has.
    pub(crate) layers: usize,
    /// Block and part.
    pub(crate) place: (usize, usize),
    /// Whether nothing follows: what was held goes.
    pub(crate) is_last: bool,
    /// Where its time goes; dropped with the last of them.
    pub(crate) timed: Sender<Rehearsed>,
}

/// What a piece of a strip took.
pub(crate) struct Rehearsed {
    /// Block and part.
    pub(crate) place: (usize, usize),
    /// By layer of the network, on the device as it is emulated and throttled.
    pub(crate) layers: Vec<Duration>,
    /// When the device has rested from it.
    pub(crate) rested: Instant,
}

/// A piece of a strip with what computes it.
pub(crate) struct Part {
    pub(crate) rows: Rows,
    pub(crate) need: Rows,
    pub(crate) strip: SharedStrip,
    /// The layers computed, each with its rows.
    pub(crate) layers: Vec<(u32, u32)>,
}

/// This worker's share of a partition.
pub(crate) struct Prepared {
    pub(crate) id: PartitionId,
    /// This worker's place.
    pub(crate) me: usize,
    pub(crate) schedule: Schedule,
    /// The tensor before each block, and the network's output.
    pub(crate) cuts: Vec<Cut>,
    /// The parts of each block, in the schedule's order.
    pub(crate) parts: Vec<Vec<Part>>,
    /// How pictures become the input.
    pub(crate) pixels: Option<Pixels>,
    /// How many layers the network has.
    pub(crate) layers: usize,
}

impl Prepared {
    /// What this worker does in a block.
    pub(crate) fn plan(&self, block: usize) -> &StripPlan {
        &self.schedule.stages[block].strips[self.me]
    }

    /// The first block from `block` on in which this worker computes.
    pub(crate) fn next_block(&self, block: usize) -> Option<usize> {
        (block..self.schedule.stages.len()).find(|&block| !self.plan(block).rows.is_empty())
    }

    /// Checks that the schedule has `from` send exactly these rows.
    pub(crate) fn check(&self, from: Node, header: &RowsHeader) -> Result<(), String> {
        let block = header.block as usize;
        let blocks = self.schedule.stages.len();
        if block >= blocks {
            return Err(format!("{from} sent rows for block {block}, partition {} has {blocks}", self.id));
        }
        let receives = &self.plan(block).receives;
        if !receives.iter().any(|transfer| transfer.peer == from && transfer.rows == header.rows) {
            let rows = header.rows;
            return Err(format!(
                "{from} sent rows {rows} for block {block}, which partition {} does not have it send",
                self.id
            ));
        }
        let encoded = header.encoding == Encoding::F32 || (block == 0 && self.pixels.is_some());
        let expected = header.encoding.bytes_of(self.cuts[block], header.rows);
        if !encoded || header.bytes != expected {
            return Err(format!(
                "{from} sent rows {} of block {block} as {} bytes of {:?}, expected {expected}",
                header.rows, header.bytes, header.encoding
            ));
        }
        Ok(())
    }
}
