//! One run on this worker: which rows are there, which part can be computed, what goes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use collab_core::event::{BlockTimes, SpanKind};
use collab_core::id::{Node, RunId};
use collab_core::rows::Rows;
use collab_core::schedule::Transfer;
use collab_core::wire::{Encoding, RowsHeader, RunReport, WorkerSpan};

use super::assembly::{Piece, Source, assemble, covers, latest, serialize};
use super::{Arrival, Prepared};
use crate::engine::{Map, Spares};

/// A run in progress.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) partition: Arc<Prepared>,
    /// When the last rows came.
    pub(super) touched: Instant,
    /// When its first rows came, µs.
    begun_us: u64,
    /// The block being computed; past the last when all is done.
    block: usize,
    /// What is there of each block's input.
    inputs: Vec<Vec<Piece>>,
    /// The parts of the block that are still to be computed.
    todo: Vec<usize>,
    /// What is computed of the block.
    outputs: Vec<Map>,
    /// What is still to be sent of it.
    unsent: Vec<Transfer>,
    pub(super) report: RunReport,
}

/// Rows to be sent.
pub(super) struct Outgoing {
    pub(super) to: Node,
    pub(super) header: RowsHeader,
    pub(super) body: Vec<u8>,
}

impl Run {
    pub(super) fn new(arrival: &Arrival) -> Self {
        let partition = arrival.partition.clone();
        let blocks = partition.schedule.stages.len();
        let id = arrival.header.run;
        let mut run = Self {
            id,
            touched: Instant::now(),
            begun_us: arrival.at_us,
            block: 0,
            inputs: (0..blocks).map(|_| Vec::new()).collect(),
            todo: Vec::new(),
            outputs: Vec::new(),
            unsent: Vec::new(),
            report: RunReport { run: id, ..RunReport::default() },
            partition,
        };
        run.enter(0);
        run
    }

    /// Goes to the first block from `block` on in which this worker computes.
    fn enter(&mut self, block: usize) {
        let Some(block) = self.partition.next_block(block) else {
            self.block = self.inputs.len();
            return;
        };
        self.block = block;
        self.todo = (0..self.partition.parts[block].len()).collect();
        self.unsent = self.partition.plan(block).sends.clone();
    }

    /// Whether nothing is left to compute.
    pub(super) fn is_done(&self) -> bool {
        self.block >= self.inputs.len()
    }

    /// Takes rows in; those that are there already, or come too late to matter, are dropped.
    pub(super) fn accept(&mut self, arrival: Arrival) -> Result<(), String> {
        let RowsHeader { partition, block, rows, encoding, .. } = arrival.header;
        if partition != self.partition.id {
            let mine = self.partition.id;
            return Err(format!("{} runs it by partition {partition}, this worker by {mine}", arrival.from));
        }
        self.touched = Instant::now();
        let block = block as usize;
        let pieces = &mut self.inputs[block];
        let there = pieces.iter().any(|piece| !piece.rows.intersect(rows).is_empty());
        if block >= self.block && !there {
            let Arrival { from: peer, body, at_us, held, .. } = arrival;
            let from = Source::Received { peer, at_us, encoding, body, _held: held };
            pieces.push(Piece { rows, from });
        }
        Ok(())
    }

    /// The first part in the schedule's order whose input is there.
    pub(super) fn ready(&self) -> Option<usize> {
        let parts = self.partition.parts.get(self.block)?;
        self.todo.iter().copied().find(|&part| covers(&self.inputs[self.block], parts[part].need))
    }

    /// The block being computed.
    pub(super) fn block(&self) -> u32 {
        self.block as u32
    }

    /// Puts a part's input together.
    pub(super) fn input(&mut self, part: usize, spares: &Spares) -> Result<Map, String> {
        let partition = &self.partition;
        let need = partition.parts[self.block][part].need;
        let pieces = &mut self.inputs[self.block];
        let last = self.todo.len() == 1;
        assemble(pieces, (partition.cuts[self.block], need), partition.pixels.as_ref(), last, spares)
    }

    /// Takes a part's output in, and gives what can be sent now.
    pub(super) fn finish(
        &mut self,
        part: usize,
        output: Map,
        spares: &Spares,
    ) -> Result<Vec<Outgoing>, String> {
        self.todo.retain(|&todo| todo != part);
        self.outputs.push(output);
        let held = |rows: Rows| {
            let there = self.outputs.iter().map(|map| map.rows().intersect(rows).len());
            there.sum::<u32>() == rows.len()
        };
        let (now, later): (Vec<_>, Vec<_>) = self.unsent.iter().partition(|send| held(send.rows));
        self.unsent = later;
        now.into_iter().map(|send| self.outgoing(send, spares)).collect()
    }

    fn outgoing(&self, send: Transfer, spares: &Spares) -> Result<Outgoing, String> {
        let body = serialize(&self.outputs, send.rows, spares)?;
        let header = RowsHeader {
            run: self.id,
            partition: self.partition.id,
            block: self.block as u32 + 1,
            rows: send.rows,
            encoding: Encoding::F32,
            bytes: body.len() as u64,
        };
        Ok(Outgoing { to: send.peer, header, body })
    }

    /// Goes on to the next block if this one is computed.
    pub(super) fn advance(&mut self) {
        if !self.todo.is_empty() || self.is_done() {
            return;
        }
        self.inputs[self.block].clear();
        let outputs = std::mem::take(&mut self.outputs);
        let next = self.block + 1;
        if next < self.inputs.len() {
            let kept = self.partition.plan(next).kept;
            let kept = outputs.into_iter().filter(|map| !map.rows().intersect(kept).is_empty());
            self.inputs[next].extend(kept.map(|map| Piece { rows: map.rows(), from: Source::Own(map) }));
        }
        self.enter(next);
    }

    /// Notes that a part's rows were waited for from when the worker had nothing to compute, `idle_us`, until it began
    /// the part; not if they were there before.
    pub(super) fn note_wait(&mut self, part: usize, idle_us: u64, begun_us: u64) {
        let last = latest(&self.inputs[self.block], self.partition.parts[self.block][part].need);
        let Some((_, peer, rows)) = last.filter(|(came_us, _, _)| *came_us > idle_us) else { return };
        let since_us = idle_us.max(self.begun_us);
        if begun_us > since_us {
            self.note(SpanKind::Wait, Some(peer), rows, (since_us, begun_us));
        }
    }

    /// Notes that a part was computed.
    pub(super) fn note_computed(&mut self, part: usize, start_us: u64, end_us: u64) {
        let rows = self.partition.parts[self.block][part].rows;
        self.note(SpanKind::Compute, None, rows, (start_us, end_us));
    }

    fn note(&mut self, kind: SpanKind, peer: Option<Node>, rows: Rows, (start_us, end_us): (u64, u64)) {
        let (run, block, bytes) = (self.id, self.block(), 0);
        self.report.spans.push(WorkerSpan { run, kind, block, peer, rows, start_us, end_us, bytes });
    }

    /// Notes a part's layer times; those of a block's parts are added up.
    pub(super) fn note_layers(&mut self, part: usize, times: &[Duration]) {
        let block = self.block as u32;
        let layers = &self.partition.parts[self.block][part].layers;
        if self.report.blocks.last().is_none_or(|times| times.block != block) {
            let none = layers.iter().map(|(layer, _)| (*layer, 0, 0.0)).collect();
            self.report.blocks.push(BlockTimes { block, layers: none });
        }
        let Some(sums) = self.report.blocks.last_mut() else { return };
        for ((_, rows, ms), (layer, more)) in sums.layers.iter_mut().zip(layers) {
            *rows += more;
            *ms += (times[*layer as usize].as_secs_f64() * 1e3) as f32;
        }
    }
}
