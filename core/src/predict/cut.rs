//! What layers take at cuts, beyond what they take inside a block.
//!
//! Inside a block a layer finds its input where the layer before has just left it, in the layout that suits both. A block's
//! first layer reads a map that was received or put together, its last one writes a map into memory that nothing holds any
//! more, both in the layout that is sent. Layers of one network on one worker share a price for each of these bytes, so all of
//! them tell it together: each layer's own line is eliminated from the least squares of its times, and what is left of all
//! layers has two unknowns. A layer measured at a cut and inside a block tells it best, but where most of them take more at
//! cuts than the shape of their profile allows for, that tells it as well.

use serde::{Deserialize, Serialize};

use super::LayerCost;

/// Errors are relative to times, and to this where they are shorter, ms.
pub(super) const LEAST_MS: f64 = 1e-3;
/// What the prices known before count beside all that was measured: they hold where nothing tells the two apart.
const PRIOR_WEIGHT: f64 = 1e-4;
/// Rounds of fitting; which costs are zero is settled after two or three.
const ROUNDS: usize = 6;

/// What a block's first layer takes for reading what the block is given, and its last for writing what the block yields, beside
/// what they take inside a block. Neither is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CutCost {
    /// For every byte that a block's first layer reads of the block's input, ms.
    pub read_ms: f64,
    /// For every byte that its last layer writes of the block's output, ms.
    pub write_ms: f64,
}

impl CutCost {
    /// Milliseconds for so many bytes.
    pub fn ms(&self, read: u64, written: u64) -> f64 {
        self.read_ms * read as f64 + self.write_ms * written as f64
    }

    /// The same, `factor` times slower.
    pub fn times(&self, factor: f64) -> Self {
        Self { read_ms: factor * self.read_ms, write_ms: factor * self.write_ms }
    }

    /// The prices that the times of all layers tell together, each weighted by the second number; `prior` where they say
    /// nothing.
    pub(super) fn fit(layers: &[(Equations, f64)], prior: Self) -> Self {
        let mut cost = prior;
        for _ in 0..ROUNDS {
            let (mut matrix, mut right) = ([[0.0; 2]; 2], [0.0; 2]);
            for (layer, weight) in layers {
                let (own, sum) = layer.reduced(cost);
                for row in 0..2 {
                    (0..2).for_each(|column| matrix[row][column] += weight * own[row][column]);
                    let held = PRIOR_WEIGHT * layer.matrix[row + 2][row + 2];
                    matrix[row][row] += weight * held;
                    right[row] += weight * (sum[row] + held * [prior.read_ms, prior.write_ms][row]);
                }
            }
            let [read_ms, write_ms] = nonnegative(matrix, right);
            let told =
                |row: usize, price: f64, prior: f64| if matrix[row][row] > 0.0 { price } else { prior };
            let next = Self {
                read_ms: told(0, read_ms, prior.read_ms),
                write_ms: told(1, write_ms, prior.write_ms),
            };
            if next == cost {
                break;
            }
            cost = next;
        }
        cost
    }
}

/// What was computed of a layer in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// In how many pieces.
    pub pieces: u32,
    /// Rows of all pieces together.
    pub rows: u32,
    /// Bytes of the block's input if the layer is its first, of all pieces together.
    #[serde(default)]
    pub read: u64,
    /// Bytes of the block's output if it is its last.
    #[serde(default)]
    pub written: u64,
}

impl Portion {
    /// Milliseconds, of a layer that takes `cost`.
    pub fn ms(&self, cost: LayerCost, at_cuts: CutCost) -> f64 {
        cost.pieces_ms(self.pieces, self.rows) + at_cuts.ms(self.read, self.written)
    }
}

/// The normal equations of one layer's times: of a call, a row, a byte read and a byte written.
#[derive(Clone, Debug, Default)]
pub(super) struct Equations {
    matrix: [[f64; 4]; 4],
    right: [f64; 4],
}

impl Equations {
    /// Takes in that a portion took `ms`, which counts `weight` in relative terms.
    pub(super) fn add(&mut self, Portion { pieces, rows, read, written }: Portion, ms: f64, weight: f64) {
        let weight = weight / (ms + LEAST_MS).powi(2);
        let amounts = [f64::from(pieces), f64::from(rows), read as f64, written as f64];
        for (row, amount) in amounts.iter().enumerate() {
            (0..4).for_each(|column| self.matrix[row][column] += weight * amount * amounts[column]);
            self.right[row] += weight * amount * ms;
        }
    }

    /// The layer's line that fits best if cuts take that much.
    pub(super) fn line(&self, at_cuts: CutCost) -> LayerCost {
        let Self { matrix: m, right } = self;
        let rest = |row: usize| right[row] - m[row][2] * at_cuts.read_ms - m[row][3] * at_cuts.write_ms;
        let [call_ms, row_ms] = nonnegative([[m[0][0], m[0][1]], [m[1][0], m[1][1]]], [rest(0), rest(1)]);
        LayerCost { call_ms, row_ms }
    }

    /// What is left for the two prices of cuts once the layer's own costs follow them, as long as those that are zero near
    /// `at_cuts` stay so.
    fn reduced(&self, at_cuts: CutCost) -> ([[f64; 2]; 2], [f64; 2]) {
        let line = self.line(at_cuts);
        let Self { matrix: mut m, mut right } = *self;
        for (pivot, cost) in [line.call_ms, line.row_ms].into_iter().enumerate() {
            if cost <= 0.0 || m[pivot][pivot] <= 1e-12 * self.matrix[pivot][pivot] {
                continue;
            }
            for row in pivot + 1..4 {
                let factor = m[row][pivot] / m[pivot][pivot];
                (pivot..4).for_each(|column| m[row][column] -= factor * m[pivot][column]);
                right[row] -= factor * right[pivot];
            }
        }
        ([[m[2][2], m[2][3]], [m[3][2], m[3][3]]], [right[2], right[3]])
    }
}

/// The pair, neither negative, that minimises the squares of which these are the normal equations.
fn nonnegative(m: [[f64; 2]; 2], right: [f64; 2]) -> [f64; 2] {
    let determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    if determinant > 1e-12 * m[0][0] * m[1][1] {
        let both = [
            (right[0] * m[1][1] - right[1] * m[0][1]) / determinant,
            (right[1] * m[0][0] - right[0] * m[1][0]) / determinant,
        ];
        if both.iter().all(|&value| value >= 0.0) {
            return both;
        }
    }
    // On an axis the squares are less by `right² / m` than where both are zero.
    let alone = |at: usize| if m[at][at] > 0.0 { (right[at] / m[at][at]).max(0.0) } else { 0.0 };
    let (first, second) = (alone(0), alone(1));
    if first * right[0] > second * right[1] { [first, 0.0] } else { [0.0, second] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRUTH: CutCost = CutCost { read_ms: 4e-8, write_ms: 1.6e-7 };

    fn at(rows: u32, first: bool, last: bool) -> Portion {
        let bytes = |there: bool| if there { 40_000 * u64::from(rows) } else { 0 };
        Portion { pieces: 1, rows, read: bytes(first), written: bytes(last) }
    }

    /// The equations of a layer measured at these places.
    fn measured(cost: LayerCost, places: &[Portion]) -> (Equations, f64) {
        let mut equations = Equations::default();
        for place in places {
            equations.add(*place, place.ms(cost, TRUTH), 1.0);
        }
        (equations, 1.0)
    }

    #[test]
    fn layers_measured_inside_blocks_and_at_cuts_tell_what_cuts_take() {
        let layers: Vec<(Equations, f64)> = (1..8u32)
            .map(|layer| {
                let cost = LayerCost { call_ms: 0.05, row_ms: 0.02 * f64::from(layer) };
                measured(
                    cost,
                    &[at(90, false, false), at(30, layer % 2 == 0, layer % 2 == 1), at(9, true, true)],
                )
            })
            .collect();
        let found = CutCost::fit(&layers, CutCost::default());
        for (found, truth) in [(found.read_ms, TRUTH.read_ms), (found.write_ms, TRUTH.write_ms)] {
            assert!((found / truth - 1.0).abs() < 0.02, "{found} of {truth}");
        }
        for (layer, (equations, _)) in (1..8u32).zip(&layers) {
            let line = equations.line(found);
            assert!((line.ms(60) / (0.05 + 1.2 * f64::from(layer)) - 1.0).abs() < 0.01, "{line:?}");
        }
    }

    #[test]
    fn what_was_never_at_a_cut_leaves_what_was_known_before() {
        let cost = LayerCost { call_ms: 0.05, row_ms: 0.02 };
        let inside = measured(cost, &[at(90, false, false), at(30, false, false)]);
        assert_eq!(CutCost::fit(&[inside], TRUTH), TRUTH);
        assert_eq!(CutCost::fit(&[], TRUTH), TRUTH);
    }

    proptest! {
        #[test]
        fn costs_are_never_negative_whatever_was_measured(
            times in proptest::collection::vec(
                proptest::collection::vec((1u32..200, any::<bool>(), any::<bool>(), 0.0f64..20.0), 1..4), 1..12),
        ) {
            let layers: Vec<(Equations, f64)> = times.iter().map(|times| {
                let mut equations = Equations::default();
                times.iter().for_each(|&(rows, first, last, ms)| equations.add(at(rows, first, last), ms, 1.0));
                (equations, 1.0)
            }).collect();
            let found = CutCost::fit(&layers, CutCost::default());
            prop_assert!(found.read_ms >= 0.0 && found.write_ms >= 0.0, "{found:?}");
            for (equations, _) in &layers {
                let line = equations.line(found);
                prop_assert!(line.call_ms >= 0.0 && line.row_ms >= 0.0, "{line:?}");
            }
        }

        #[test]
        fn the_best_pair_is_no_worse_than_any_other(a in -2.0f64..2.0, b in -2.0f64..2.0, c in -2.0f64..2.0,
            d in -2.0f64..2.0, e in -2.0f64..2.0, f in -2.0f64..2.0, x in 0.0f64..3.0, y in 0.0f64..3.0)
        {
            // Three equations `p · first + q · second = r`.
            let rows = [(a, b, c), (d, e, f), (1.0, 0.5, -0.5)];
            let squares = |pair: [f64; 2]| -> f64 {
                rows.iter().map(|(p, q, r)| (p * pair[0] + q * pair[1] - r).powi(2)).sum()
            };
            let sum = |of: &dyn Fn(&(f64, f64, f64)) -> f64| rows.iter().map(of).sum::<f64>();
            let cross = sum(&|row| row.0 * row.1);
            let best = nonnegative(
                [[sum(&|row| row.0 * row.0), cross], [cross, sum(&|row| row.1 * row.1)]],
                [sum(&|row| row.0 * row.2), sum(&|row| row.1 * row.2)],
            );
            prop_assert!(squares(best) <= squares([x, y]) + 1e-9, "{best:?}");
        }
    }
}
