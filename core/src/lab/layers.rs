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
    /// What it should take, ms.
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
        let in_flight = self.runs.in_flight.iter().find(|current| current.run == timed.run);
        let of_current = in_flight.is_some_and(|current| Some(current.partition) == self.current);
        if !of_current {
            return;
        }
        for &(layer, rows, ms) in &timed.layers {
            let key = (layer, timed.worker);
            let index = match self.layers.binary_search_by_key(&key, |state| (state.layer, state.worker)) {
                Ok(index) => index,
                Err(index) => {
                    let predicted_ms = self.predicted_layer(timed.worker, layer);
                    let state = LayerState {
                        worker: timed.worker,
                        block: timed.block,
                        layer,
                        rows,
                        measured: Samples::default(),
                        predicted_ms,
                    };
                    self.layers.insert(index, state);
                    index
                }
            };
            push_bounded(&mut self.layers[index].measured.ms, ms, SAMPLES);
        }
    }

    fn predicted_layer(&self, worker: WorkerId, layer: u32) -> Option<f64> {
        let predicted = &self.running()?.layers;
        predicted.iter().find(|at| at.worker == worker && at.layer == layer).map(|at| at.ms)
    }
}
