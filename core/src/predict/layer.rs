//! What one layer took on one worker, and what it should take for rows it was never computed for.

use serde::{Deserialize, Serialize};

use super::LayerCost;
use super::cut::{Equations, LEAST_MS, Portion};
use crate::event::is_time;

/// Portions remembered for a layer.
const ANCHORS: usize = 3;
/// Times over which an anchor is smoothed.
const SMOOTHED: f64 = 8.0;
/// A time further off than this share of what is known moves it no further.
const MOST_MOVE: f64 = 0.1;
/// How far a layer may be from its profile: beyond, the profile tells nothing of it.
const FACTORS: (f64, f64) = (0.5, 2.0);
/// What a call and a row as they were known before count, each beside one measured time. Two numbers of rows alone are no
/// line to extrapolate: either differs by chance, and that by a few per cent of a map is more than most calls cost.
const PRIOR_WEIGHT: f64 = 0.05;
/// By what share of a whole map's rows a call may well differ from what was known: weights come from farther than expected.
const CALL_DIFFERS: f64 = 0.1;

/// The smoothed time of one portion of a layer, at full CPU share and the worker's scale of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Anchor {
    #[serde(flatten)]
    portion: Portion,
    /// Milliseconds.
    ms: f32,
    /// Times it is smoothed over, as far as they count.
    times: u8,
}

/// A layer on a worker as it was measured for different portions, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerMemory {
    anchors: Vec<Anchor>,
}

impl LayerMemory {
    /// Whether it was ever measured.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// What was measured and its smoothed ms, the latest first.
    pub fn measured(&self) -> impl Iterator<Item = (Portion, f64)> + '_ {
        self.anchors.iter().map(|anchor| (anchor.portion, f64::from(anchor.ms)))
    }

    /// What the same portion took of late, ms at full share and scale 1.
    pub fn known(&self, portion: Portion) -> Option<f64> {
        self.measured().find(|(known, _)| *known == portion).map(|(_, ms)| ms)
    }

    /// Takes in what a portion took, ms at full share and scale 1. What is no time teaches nothing.
    pub fn learn(&mut self, portion: Portion, ms: f64) {
        if !is_time(ms) {
            return;
        }
        let anchor = match self.anchors.iter().position(|anchor| anchor.portion == portion) {
            Some(at) => {
                let mut anchor = self.anchors.remove(at);
                anchor.take(ms);
                anchor
            }
            None => Anchor { portion, ms: ms as f32, times: 1 },
        };
        self.anchors.insert(0, anchor);
        if self.anchors.len() > ANCHORS {
            // The one of most rows holds the slope, so it stays; of the others the oldest goes.
            let most = self.most_rows();
            let oldest = self.anchors.iter().rposition(|anchor| anchor.portion.rows != most);
            self.anchors.remove(oldest.unwrap_or(ANCHORS));
        }
    }

    /// How much longer than `prior` it takes, as far as that was measured.
    pub fn factor(&self, prior: LayerCost) -> Option<f64> {
        let anchor = self.anchors.first()?;
        let expected = prior.pieces_ms(anchor.portion.pieces, anchor.portion.rows);
        (expected > 0.0).then(|| f64::from(anchor.ms) / expected)
    }

    /// All that was measured, and how much its times are of any.
    ///
    /// In the shape of `prior`, the cost expected before anything was. `trusted` says that the prior was fitted for this
    /// worker: then the layer's factor is kept within bounds.
    pub(super) fn equations(&self, prior: LayerCost, trusted: bool) -> (Equations, f64) {
        let mut equations = Equations::default();
        for Anchor { portion, ms, times } in &self.anchors {
            equations.add(*portion, f64::from(*ms), f64::from(*times).sqrt());
        }
        let most = self.most_rows();
        if let Some(factor) = self.factor(prior) {
            let factor = if trusted { factor.clamp(FACTORS.0, FACTORS.1) } else { factor };
            let (call, rows) = (prior.call_ms * factor, prior.row_ms * factor * f64::from(most));
            let call_weight =
                PRIOR_WEIGHT * ((call + LEAST_MS) / (call + CALL_DIFFERS * rows + LEAST_MS)).powi(2);
            equations.add(Portion { pieces: 1, ..Portion::default() }, call, call_weight);
            equations.add(Portion { rows: most, ..Portion::default() }, rows, PRIOR_WEIGHT);
        } else {
            // What has no price takes time by its rows only.
            equations.add(Portion { pieces: 1, ..Portion::default() }, 0.0, 1.0);
        }
        (equations, self.measured().map(|(_, ms)| ms).sum())
    }

    fn most_rows(&self) -> u32 {
        self.anchors.iter().map(|anchor| anchor.portion.rows).max().unwrap_or(1)
    }
}

impl Anchor {
    fn take(&mut self, ms: f64) {
        let known = f64::from(self.ms);
        let move_by = (ms - known).clamp(-MOST_MOVE * known, MOST_MOVE * known);
        let next = match self.times {
            // First runs are slow for reasons that do not come back: memory touched for the first time.
            1 => ms.min(known),
            // About the middle of three: one less than the least of two leaves that in the middle.
            2 => known + move_by.max(0.0) / 2.0,
            times => known + move_by / (f64::from(times) + 1.0).min(SMOOTHED),
        };
        self.ms = next as f32;
        self.times = self.times.saturating_add(1).min(SMOOTHED as u8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::predict::CutCost;

    const PRIOR: LayerCost = LayerCost { call_ms: 0.1, row_ms: 0.05 };

    fn portion(pieces: u32, rows: u32) -> Portion {
        Portion { pieces, rows, ..Portion::default() }
    }

    fn cost(memory: &LayerMemory, trusted: bool) -> LayerCost {
        memory.equations(PRIOR, trusted).0.line(CutCost::default())
    }

    proptest! {
        #[test]
        fn costs_are_never_negative_and_near_what_was_measured_last(
            times in proptest::collection::vec((1u32..4, 4u32..200, 0.05f64..20.0), 1..12), trusted: bool,
        ) {
            let mut memory = LayerMemory::default();
            for (pieces, rows, ms) in times {
                memory.learn(portion(pieces, rows.max(pieces)), ms);
            }
            let cost = cost(&memory, trusted);
            prop_assert!(cost.call_ms >= 0.0 && cost.row_ms >= 0.0, "{cost:?}");
            prop_assert!(memory.anchors.len() <= ANCHORS);
        }

        #[test]
        fn two_numbers_of_rows_give_the_layers_own_line(call in 0.0f64..2.0, row in 0.01f64..1.0) {
            let truth = LayerCost { call_ms: call, row_ms: row };
            let mut memory = LayerMemory::default();
            for _ in 0..8 {
                memory.learn(portion(1, 112), truth.ms(112));
                memory.learn(portion(2, 40), truth.pieces_ms(2, 40));
            }
            let found = cost(&memory, false);
            for rows in [20, 40, 80, 112] {
                let error = found.ms(rows) / truth.ms(rows) - 1.0;
                prop_assert!(error.abs() < 0.08, "{rows} rows: {found:?} of {truth:?}");
            }
        }
    }

    #[test]
    fn one_measured_run_scales_the_shape_of_the_profile() {
        let mut memory = LayerMemory::default();
        memory.learn(portion(1, 100), 1.2 * PRIOR.ms(100));
        let cost = cost(&memory, true);
        assert!((cost.ms(30) / (1.2 * PRIOR.ms(30)) - 1.0).abs() < 1e-6, "{cost:?}");
    }

    #[test]
    fn more_times_than_are_counted_are_smoothed_over_as_many_as_count() {
        let mut anchor = Anchor { portion: portion(1, 8), ms: 1.0, times: u8::MAX };
        anchor.take(1.08);
        assert!(
            (f64::from(anchor.ms) - 1.01).abs() < 1e-6 && f64::from(anchor.times) == SMOOTHED,
            "{anchor:?}"
        );
    }

    #[test]
    fn an_outlier_moves_a_known_time_by_little() {
        let mut memory = LayerMemory::default();
        (0..10).for_each(|_| memory.learn(portion(1, 50), 2.0));
        memory.learn(portion(1, 50), 40.0);
        assert!((cost(&memory, false).ms(50) / 2.0 - 1.0).abs() < 0.02);
    }
}
