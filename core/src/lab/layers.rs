//! Layers as they were timed, beside what was predicted.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Lab, push_bounded};
use crate::event::LayersTimed;
use crate::id::WorkerId;

/// Times kept for each layer on each worker.
const SAMPLES: usize = 15;

/// Late measured times, ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Latest last.
    pub ms: VecDeque<f32>,
}

impl Samples {
    /// The median of the last `count`, ms.
    pub fn late_median(&self, count: usize) -> Option<f64> {
        let late = self.ms.iter().rev().take(count);
        super::runs::nearest_rank(late.map(|ms| f64::from(*ms)).collect(), 0.5)
    }

    /// The median, ms.
    pub fn median(&self) -> Option<f64> {
        super::runs::nearest_rank(self.ms.iter().map(|ms| f64::from(*ms)).collect(), 0.5)
    }
}

/// A layer on a worker, under the running partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerState {
    /// On which worker.
    pub worker: WorkerId,
    /// In which block.
    pub block: u32,
    /// Index into the network's layers.
    pub layer: u32,
    /// Rows computed, recomputed halo included.
    pub rows: u32,
    /// What it took, one value a run.
    pub measured: Samples,
    /// What it should take, as predicted before the last run, ms.
    pub predicted_ms: Option<f64>,
}

impl LayerState {
    /// Predicted against measured, as a fraction of the measured: +0.1 is 10 % too high.
    pub fn error(&self) -> Option<f64> {
        let measured = self.measured.median()?;
        (measured > 0.0).then_some(())?;
        Some(self.predicted_ms? / measured - 1.0)
    }
}

impl Lab {
    pub(super) fn take_layers(&mut self, timed: &LayersTimed) {
        let current = self.current;
        let run = self.runs.take_layers(timed).filter(|run| Some(run.partition) == current);
        let Some(run) = run else { return };
        let predicted = run.predicted.clone();
        let known = self.network.as_ref().map_or(0, |network| network.layers.len());
        for &(layer, rows, ms) in timed.layers.iter().filter(|timed| (timed.0 as usize) < known) {
            let key = (layer, timed.worker);
            let index = match self.layers.binary_search_by_key(&key, |state| (state.layer, state.worker)) {
                Ok(index) => index,
                Err(index) => {
                    let state = LayerState {
                        worker: timed.worker,
                        block: timed.block,
                        layer,
                        rows,
                        measured: Samples::default(),
                        predicted_ms: None,
                    };
                    self.layers.insert(index, state);
                    index
                }
            };
            let state = &mut self.layers[index];
            push_bounded(&mut state.measured.ms, ms, SAMPLES);
            let expected = predicted.as_ref();
            state.predicted_ms =
                expected.and_then(|expected| expected.layer_ms(timed.worker, timed.block, layer));
        }
    }
}
