//! Runs: the one in flight, and the history of latencies.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Prediction, push_bounded};
use crate::event::{LayersTimed, Span, Verdict};
use crate::id::{PartitionId, RunId};
use crate::time::Micros;

/// Latencies kept for the curve.
const SAMPLES: usize = 1200;
/// Runs whose late spans are still waited for.
const IN_FLIGHT: usize = 8;

/// One run's latency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSample {
    /// Which.
    pub run: RunId,
    /// What it ran.
    pub partition: PartitionId,
    /// When it ended.
    pub at: Micros,
    /// Latency, ms.
    pub ms: f64,
    /// What was predicted before it, ms, and the share of it that four of five runs should be within.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<(f32, f32)>,
    /// Whether its partition only measured workers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub measures: bool,
}

/// A run in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurrentRun {
    /// Which.
    pub run: RunId,
    /// What it runs.
    pub partition: PartitionId,
    /// On which input.
    pub input: String,
    /// When it began.
    pub started: Micros,
    /// The CPU share of every worker when it began, 0…1.
    #[serde(default)]
    pub shares: Vec<f64>,
    /// What was predicted before it.
    #[serde(default)]
    pub predicted: Option<Arc<Prediction>>,
    /// The spans reported of it so far.
    pub spans: Vec<Span>,
    /// The layer times reported of it so far.
    #[serde(default)]
    pub layers: Vec<LayersTimed>,
}

/// Counts and latencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// Runs that ended with an output.
    pub done: u64,
    /// Runs that ended without one.
    pub lost: u64,
    /// Runs compared with the single device, by verdict: bit-equal, within, differs.
    pub checked: [u64; 3],
    /// Late latencies, latest last.
    pub recent: VecDeque<RunSample>,
    /// Runs in flight, oldest first.
    pub in_flight: VecDeque<CurrentRun>,
}

impl Runs {
    /// A run that begins again, because it lost a worker, keeps the moment at which it first began.
    pub(super) fn start(&mut self, run: CurrentRun) {
        match self.in_flight.iter_mut().find(|current| current.run == run.run) {
            Some(again) => *again = CurrentRun { started: again.started, ..run },
            None => push_bounded(&mut self.in_flight, run, IN_FLIGHT),
        }
    }

    pub(super) fn take_layers(&mut self, timed: &LayersTimed) -> Option<&CurrentRun> {
        let current = self.in_flight.iter_mut().find(|current| current.run == timed.run)?;
        current.layers.push(timed.clone());
        Some(current)
    }

    pub(super) fn take_span(&mut self, span: &Span) {
        if let Some(current) = self.in_flight.iter_mut().find(|current| current.run == span.run) {
            current.spans.push(*span);
        }
    }

    /// Takes the end of a run in; `measures` says which partitions only measure workers.
    pub(super) fn finish(
        &mut self,
        (run, ms, verdict): (RunId, f64, Verdict),
        at: Micros,
        measures: impl Fn(PartitionId) -> bool,
    ) -> Option<CurrentRun> {
        self.done += 1;
        match verdict {
            Verdict::Unchecked => {}
            Verdict::BitEqual => self.checked[0] += 1,
            Verdict::Within(_) => self.checked[1] += 1,
            Verdict::Differs(_) => self.checked[2] += 1,
        }
        let current = self.take(run)?;
        let predicted = current.predicted.as_ref().map(|known| (known.ms as f32, known.half as f32));
        let (partition, measures) = (current.partition, measures(current.partition));
        let sample = RunSample { run, partition, at, ms, predicted, measures };
        push_bounded(&mut self.recent, sample, SAMPLES);
        Some(current)
    }

    pub(super) fn lose(&mut self, run: RunId) {
        self.lost += 1;
        self.take(run);
    }

    fn take(&mut self, run: RunId) -> Option<CurrentRun> {
        let index = self.in_flight.iter().position(|current| current.run == run)?;
        self.in_flight.remove(index)
    }

    /// The last run that ended.
    pub fn last(&self) -> Option<&RunSample> {
        self.recent.back()
    }

    /// The `quantile` (0…1) of the late latencies of `partition`, ms, by nearest rank.
    pub fn quantile_ms(&self, partition: PartitionId, quantile: f64) -> Option<f64> {
        let of_it = self.recent.iter().filter(|sample| sample.partition == partition);
        nearest_rank(of_it.map(|sample| sample.ms).collect(), quantile)
    }

    /// The median of the last `count` latencies of `partition`, ms; `None` before it ran so often.
    pub fn late_median(&self, partition: PartitionId, count: usize) -> Option<f64> {
        let late = self.recent.iter().rev().filter(|sample| sample.partition == partition);
        let late: Vec<f64> = late.take(count).map(|sample| sample.ms).collect();
        (late.len() == count).then(|| nearest_rank(late, 0.5)).flatten()
    }

    /// The median of the late latencies of runs that began since `moment`, ms; `None` if they are fewer than `least`.
    pub fn median_since(&self, moment: Micros, least: usize) -> Option<f64> {
        let began = |sample: &RunSample| sample.at.secs() - sample.ms / 1e3;
        let since = self.recent.iter().filter(|sample| began(sample) >= moment.secs());
        let since: Vec<f64> = since.map(|sample| sample.ms).collect();
        (since.len() >= least).then(|| nearest_rank(since, 0.5)).flatten()
    }

    /// All comparisons together: the worst verdict met, `None` if nothing was compared.
    pub fn overall(&self) -> Option<&'static str> {
        match self.checked {
            [_, _, differs] if differs > 0 => Some("differs"),
            [_, within, _] if within > 0 => Some("within"),
            [equal, _, _] if equal > 0 => Some("bit-equal"),
            _ => None,
        }
    }
}

/// The `quantile` (0…1) of `values` by nearest rank.
pub(super) fn nearest_rank(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (quantile * values.len() as f64).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}
