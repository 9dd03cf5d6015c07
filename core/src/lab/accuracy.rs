//! How well predictions hold: what was predicted before a run against what it then took.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::runs::CurrentRun;
use super::{Lab, Prediction, push_bounded};
use crate::event::SpanKind;
use crate::id::{Node, WorkerId};
use crate::predict::Interval;

/// Late runs over which errors are averaged.
const LATE_RUNS: usize = 15;
/// Blocks shorter than this are the clock's matter, ms: they are not counted.
const LEAST_BLOCK_MS: f64 = 1.0;
/// Layers shorter than this likewise, ms.
const LEAST_LAYER_MS: f64 = 0.05;
/// Transfers that should be shorter than this, and were, likewise, ms; of shorter ones errors are a share of this, because
/// clocks agree to a fifth of it.
const LEAST_TRANSFER_MS: f64 = 0.5;
/// Layers of a worker that a run adds to the interval: more would only repeat the same run.
const LAYERS_A_RUN: usize = 6;

/// Relative errors, counted: predicted / measured − 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u32,
    /// The sum of |error|.
    pub absolute: f32,
    /// The sum of errors.
    pub signed: f32,
    /// How many were within 5 %.
    pub within5: u32,
    /// How many were within 10 %.
    pub within10: u32,
}

impl Tally {
    fn add(&mut self, error: f64) {
        self.count += 1;
        self.absolute += error.abs() as f32;
        self.signed += error as f32;
        self.within5 += u32::from(error.abs() <= 0.05);
        self.within10 += u32::from(error.abs() <= 0.1);
    }

    fn merge(self, other: Tally) -> Tally {
        Tally {
            count: self.count + other.count,
            absolute: self.absolute + other.absolute,
            signed: self.signed + other.signed,
            within5: self.within5 + other.within5,
            within10: self.within10 + other.within10,
        }
    }

    /// The mean of |predicted / measured − 1|.
    pub fn mape(&self) -> Option<f64> {
        self.mean(self.absolute)
    }

    /// The mean of predicted / measured − 1.
    pub fn bias(&self) -> Option<f64> {
        self.mean(self.signed)
    }

    fn mean(&self, sum: f32) -> Option<f64> {
        (self.count > 0).then(|| f64::from(sum) / f64::from(self.count))
    }
}

/// Predictions of one worker's blocks and layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerAccuracy {
    /// Blocks and layers of late runs, latest last.
    late: VecDeque<(Tally, Tally)>,
    /// Of its blocks.
    pub blocks: Interval,
    /// Of its layers.
    pub layers: Interval,
}

/// Predictions made before runs against what they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// By worker.
    workers: Vec<WorkerAccuracy>,
    /// Of late runs, predicted / measured − 1, latest last.
    runs: VecDeque<f32>,
    /// Transfers of late runs, latest last.
    #[serde(default)]
    transfers: VecDeque<Tally>,
    interval: Interval,
}

impl Accuracy {
    /// One worker's.
    pub fn worker(&self, worker: usize) -> Option<&WorkerAccuracy> {
        self.workers.get(worker)
    }

    /// The interval of whole runs.
    pub fn run_interval(&self) -> &Interval {
        &self.interval
    }

    /// The mean of |predicted / measured − 1| over late whole runs.
    pub fn run_mape(&self) -> Option<f64> {
        let sum: f64 = self.runs.iter().map(|error| f64::from(error.abs())).sum();
        (!self.runs.is_empty()).then(|| sum / self.runs.len() as f64)
    }

    /// Late whole runs.
    pub fn runs(&self) -> Tally {
        let mut tally = Tally::default();
        self.runs.iter().for_each(|error| tally.add(f64::from(*error)));
        tally
    }

    /// Transfers of late runs.
    pub fn transfers(&self) -> Tally {
        self.transfers.iter().copied().fold(Tally::default(), Tally::merge)
    }

    /// Blocks of late runs on all workers.
    pub fn blocks(&self) -> Tally {
        self.late().map(|(blocks, _)| blocks).fold(Tally::default(), Tally::merge)
    }

    /// Layers of late runs on all workers.
    pub fn layers(&self) -> Tally {
        self.late().map(|(_, layers)| layers).fold(Tally::default(), Tally::merge)
    }

    fn late(&self) -> impl Iterator<Item = (Tally, Tally)> + '_ {
        self.workers.iter().flat_map(|worker| worker.late.iter().copied())
    }

    /// Nothing of the partitions before tells how well the next is predicted, but the intervals stay.
    pub(super) fn forget_late(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.late.clear());
        self.runs.clear();
        self.transfers.clear();
    }
}

impl WorkerAccuracy {
    /// The mean of |predicted / measured − 1| over blocks of late runs.
    pub fn block_mape(&self) -> Option<f64> {
        self.late.iter().map(|(blocks, _)| *blocks).fold(Tally::default(), Tally::merge).mape()
    }
}

impl Lab {
    /// Mean of |predicted − measured| / measured over layers of late runs, predicted before each.
    pub fn layer_mape(&self) -> Option<f64> {
        self.accuracy.layers().mape()
    }

    /// The same over blocks of at least 1 ms: the time that each worker computed each.
    pub fn block_mape(&self) -> Option<f64> {
        self.accuracy.blocks().mape()
    }

    /// The same over whole runs.
    pub fn run_mape(&self) -> Option<f64> {
        self.accuracy.run_mape()
    }

    /// One worker's blocks.
    pub fn worker_mape(&self, worker: usize) -> Option<f64> {
        self.accuracy.worker(worker)?.block_mape()
    }

    /// Compares a run with what was predicted before it.
    pub(super) fn judge(&mut self, run: &CurrentRun, run_ms: f64) {
        let Some(predicted) = run.predicted.as_deref() else { return };
        self.accuracy.workers.resize_with(self.workers.len(), WorkerAccuracy::default);
        for (index, accuracy) in self.accuracy.workers.iter_mut().enumerate() {
            let worker = WorkerId::at(index);
            let blocks = judge_blocks(run, predicted, worker, &mut accuracy.blocks);
            let layers = judge_layers(run, predicted, worker, &mut accuracy.layers);
            if blocks.count + layers.count > 0 {
                push_bounded(&mut accuracy.late, (blocks, layers), LATE_RUNS);
            }
        }
        let transfers = self.judge_transfers(run);
        if transfers.count > 0 {
            push_bounded(&mut self.accuracy.transfers, transfers, LATE_RUNS);
        }
        if run_ms > 0.0 && predicted.ms > 0.0 {
            push_bounded(&mut self.accuracy.runs, (predicted.ms / run_ms - 1.0) as f32, LATE_RUNS);
            self.accuracy.interval.learn(run_ms / predicted.ms - 1.0);
        }
    }

    /// Transfers against what links should take, as learnt from earlier runs.
    fn judge_transfers(&self, run: &CurrentRun) -> Tally {
        let mut tally = Tally::default();
        for transfer in self.transfers(&run.spans).into_iter().filter(|transfer| transfer.ms > 0.0) {
            let cost = self.link_cost(transfer.from, transfer.to);
            let expected = cost.delay_ms + cost.sending_ms(transfer.bytes);
            if expected.max(transfer.ms) >= LEAST_TRANSFER_MS {
                tally.add((expected - transfer.ms) / transfer.ms.max(LEAST_TRANSFER_MS));
            }
        }
        tally
    }
}

fn judge_blocks(
    run: &CurrentRun,
    predicted: &Prediction,
    worker: WorkerId,
    interval: &mut Interval,
) -> Tally {
    let mut tally = Tally::default();
    let computed = |block: u32| {
        let of_block = run.spans.iter().filter(|span| {
            span.node == Node::Worker(worker) && span.block == block && span.kind == SpanKind::Compute
        });
        of_block.map(|span| span.end_ms - span.start_ms).sum::<f64>()
    };
    for timed in run.layers.iter().filter(|timed| timed.worker == worker) {
        let measured = computed(timed.block);
        let Some(expected) = predicted.block_ms(worker, timed.block) else { continue };
        if measured >= LEAST_BLOCK_MS && expected > 0.0 {
            tally.add(expected / measured - 1.0);
            interval.learn(measured / expected - 1.0);
        }
    }
    tally
}

fn judge_layers(
    run: &CurrentRun,
    predicted: &Prediction,
    worker: WorkerId,
    interval: &mut Interval,
) -> Tally {
    let mut tally = Tally::default();
    let timed = run.layers.iter().filter(|timed| timed.worker == worker);
    let layers = timed.flat_map(|timed| timed.layers.iter().map(|&(layer, _, ms)| (timed.block, layer, ms)));
    let pairs: Vec<(f64, f64)> = layers
        .filter_map(|(block, layer, ms)| Some((predicted.layer_ms(worker, block, layer)?, f64::from(ms))))
        .filter(|(expected, measured)| *measured >= LEAST_LAYER_MS && *expected > 0.0)
        .collect();
    for (at, (expected, measured)) in pairs.iter().enumerate() {
        tally.add(expected / measured - 1.0);
        // Other layers every run, so that in time all have their turn.
        let turn = (at + run.run.0 as usize) % pairs.len().div_ceil(LAYERS_A_RUN).max(1);
        if turn == 0 {
            interval.learn(measured / expected - 1.0);
        }
    }
    tally
}
