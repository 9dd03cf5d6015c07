//! What one layer took on one worker, and what it should take for rows it was never computed for.

use serde::{Deserialize, Serialize};

use super::LayerCost;
use crate::event::is_time;

/// Numbers of rows remembered for a layer.
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
/// Errors are relative to times, and to this where they are shorter, ms.
const LEAST_MS: f64 = 1e-3;

/// The smoothed time of a layer for one number of rows, at full CPU share and the worker's scale of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Anchor {
    /// Pieces in which the rows were computed.
    pieces: u32,
    /// Rows of all pieces together.
    rows: u32,
    /// Milliseconds.
    ms: f32,
    /// Times it is smoothed over, as far as they count.
    times: u8,
}

/// A layer on a worker as it was measured for different numbers of rows, the latest first.
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

    /// Pieces, rows and smoothed ms of what was measured, the latest first.
    pub fn measured(&self) -> impl Iterator<Item = (u32, u32, f64)> + '_ {
        self.anchors.iter().map(|anchor| (anchor.pieces, anchor.rows, f64::from(anchor.ms)))
    }

    /// What as many rows in as many pieces took of late, ms at full share and scale 1.
    pub fn known(&self, pieces: u32, rows: u32) -> Option<f64> {
        let known = self.anchors.iter().find(|anchor| (anchor.pieces, anchor.rows) == (pieces, rows));
        known.map(|anchor| f64::from(anchor.ms))
    }

    /// Takes in what `rows` rows in `pieces` pieces took, ms at full share and scale 1. What is no time teaches nothing.
    pub fn learn(&mut self, pieces: u32, rows: u32, ms: f64) {
        if !is_time(ms) {
            return;
        }
        let known = self.anchors.iter().position(|anchor| (anchor.pieces, anchor.rows) == (pieces, rows));
        let anchor = match known {
            Some(at) => {
                let mut anchor = self.anchors.remove(at);
                anchor.take(ms);
                anchor
            }
            None => Anchor { pieces, rows, ms: ms as f32, times: 1 },
        };
        self.anchors.insert(0, anchor);
        if self.anchors.len() > ANCHORS {
            // The one of most rows holds the slope, so it stays; of the others the oldest goes.
            let most = self.anchors.iter().map(|anchor| anchor.rows).max();
            let oldest = self.anchors.iter().rposition(|anchor| Some(anchor.rows) != most);
            self.anchors.remove(oldest.unwrap_or(ANCHORS));
        }
    }

    /// How much longer than `prior` it takes, as far as that was measured.
    pub fn factor(&self, prior: LayerCost) -> Option<f64> {
        let anchor = self.anchors.first()?;
        let expected = prior.pieces_ms(anchor.pieces, anchor.rows);
        (expected > 0.0).then(|| f64::from(anchor.ms) / expected)
    }

    /// What it takes for any rows: through what was measured, in the shape of `prior`, the cost expected
    /// before anything was. `trusted` says that the prior was fitted for this worker: then the layer's
    /// factor is kept within bounds.
    pub fn cost(&self, prior: LayerCost, trusted: bool) -> LayerCost {
        let Some(factor) = self.factor(prior) else { return self.without_prior(prior) };
        let factor = if trusted { factor.clamp(FACTORS.0, FACTORS.1) } else { factor };
        let most = self.anchors.iter().map(|anchor| anchor.rows).max().unwrap_or(1);
        let (call, rows) = (prior.call_ms * factor, prior.row_ms * factor * f64::from(most));
        let call_weight =
            PRIOR_WEIGHT * ((call + LEAST_MS) / (call + CALL_DIFFERS * rows + LEAST_MS)).powi(2);
        let known = [(1, 0, call, call_weight), (0, most, rows, PRIOR_WEIGHT)];
        let measured = self.anchors.iter().map(|anchor| {
            let Anchor { pieces, rows, ms, times } = *anchor;
            (pieces, rows, f64::from(ms), f64::from(times).sqrt())
        });
        line(measured.chain(known))
    }

    fn without_prior(&self, prior: LayerCost) -> LayerCost {
        match self.anchors.iter().max_by_key(|anchor| anchor.rows) {
            Some(anchor) => {
                LayerCost { call_ms: 0.0, row_ms: f64::from(anchor.ms) / f64::from(anchor.rows.max(1)) }
            }
            None => prior,
        }
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

/// The line `call · pieces + row · rows`, neither negative, closest to weighted times in relative terms.
fn line(times: impl Iterator<Item = (u32, u32, f64, f64)>) -> LayerCost {
    let (mut cc, mut cr, mut rr, mut ct, mut rt) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (pieces, rows, ms, weight) in times {
        let weight = weight / (ms + LEAST_MS).powi(2);
        let (pieces, rows) = (f64::from(pieces), f64::from(rows));
        cc += weight * pieces * pieces;
        cr += weight * pieces * rows;
        rr += weight * rows * rows;
        ct += weight * pieces * ms;
        rt += weight * rows * ms;
    }
    let determinant = cc * rr - cr * cr;
    let both = if determinant > 1e-12 * cc * rr {
        ((ct * rr - rt * cr) / determinant, (rt * cc - ct * cr) / determinant)
    } else {
        (-1.0, -1.0)
    };
    match both {
        (call_ms, row_ms) if call_ms >= 0.0 && row_ms >= 0.0 => LayerCost { call_ms, row_ms },
        (call_ms, _) if call_ms < 0.0 => {
            LayerCost { call_ms: 0.0, row_ms: if rr > 0.0 { rt / rr } else { 0.0 } }
        }
        _ => LayerCost { call_ms: if cc > 0.0 { ct / cc } else { 0.0 }, row_ms: 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRIOR: LayerCost = LayerCost { call_ms: 0.1, row_ms: 0.05 };

    proptest! {
        #[test]
        fn costs_are_never_negative_and_near_what_was_measured_last(
            times in proptest::collection::vec((1u32..4, 4u32..200, 0.05f64..20.0), 1..12), trusted: bool,
        ) {
            let mut memory = LayerMemory::default();
            for (pieces, rows, ms) in times {
                memory.learn(pieces, rows.max(pieces), ms);
            }
            let cost = memory.cost(PRIOR, trusted);
            prop_assert!(cost.call_ms >= 0.0 && cost.row_ms >= 0.0, "{cost:?}");
            prop_assert!(memory.anchors.len() <= ANCHORS);
        }

        #[test]
        fn two_numbers_of_rows_give_the_layers_own_line(call in 0.0f64..2.0, row in 0.01f64..1.0) {
            let truth = LayerCost { call_ms: call, row_ms: row };
            let mut memory = LayerMemory::default();
            for _ in 0..8 {
                memory.learn(1, 112, truth.ms(112));
                memory.learn(2, 40, truth.pieces_ms(2, 40));
            }
            let found = memory.cost(PRIOR, false);
            for rows in [20, 40, 80, 112] {
                let error = found.ms(rows) / truth.ms(rows) - 1.0;
                prop_assert!(error.abs() < 0.08, "{rows} rows: {found:?} of {truth:?}");
            }
        }
    }

    #[test]
    fn one_measured_run_scales_the_shape_of_the_profile() {
        let mut memory = LayerMemory::default();
        memory.learn(1, 100, 1.2 * PRIOR.ms(100));
        let cost = memory.cost(PRIOR, true);
        assert!((cost.ms(30) / (1.2 * PRIOR.ms(30)) - 1.0).abs() < 1e-6, "{cost:?}");
    }

    #[test]
    fn more_times_than_are_counted_are_smoothed_over_as_many_as_count() {
        let mut anchor = Anchor { pieces: 1, rows: 8, ms: 1.0, times: u8::MAX };
        anchor.take(1.08);
        assert!(
            (f64::from(anchor.ms) - 1.01).abs() < 1e-6 && f64::from(anchor.times) == SMOOTHED,
            "{anchor:?}"
        );
    }

    #[test]
    fn an_outlier_moves_a_known_time_by_little() {
        let mut memory = LayerMemory::default();
        (0..10).for_each(|_| memory.learn(1, 50, 2.0));
        memory.learn(1, 50, 40.0);
        assert!((memory.cost(PRIOR, false).ms(50) / 2.0 - 1.0).abs() < 0.02);
    }
}
