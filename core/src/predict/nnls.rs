//! Non-negative least squares with robust relative weighting.
//!
//! A device's time is a sum of costs, none of which is negative; allowing negative ones fits better and
//! predicts worse. Errors are relative to the time measured, because a strip of 0.1 ms counts as much as one
//! of 10 ms, and a few samples may be grossly wrong, because another program ran. They are relative to the time
//! fitted, not to the one measured: a sample that took too long by chance would weigh less than one that took too
//! little, and everything would be predicted too short, by the square of the noise.

/// Where relative weights stop growing: errors below this many ms are the clock's, not the model's.
const FLOOR_MS: f64 = 0.05;
/// Huber's constant: 95 % efficiency on Gaussian noise.
const HUBER: f64 = 1.345;
/// Rounds of reweighting.
const ROUNDS: usize = 12;

/// A sample fitted as less than this share of what it took is weighted as if it were fitted so.
const LEAST_SHARE: f64 = 0.25;

/// Fits `y ≈ rows · x` with `x ≥ 0`, errors weighted by 1/(fitted + 0.05) and by Huber's weight.
///
/// Every row has as many columns as the first; `y` is in ms. Without rows the answer is empty.
pub fn fit_relative(rows: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    let mut relative: Vec<f64> = y.iter().map(|y| 1.0 / (y.max(0.0) + FLOOR_MS)).collect();
    let mut weights = vec![1.0; y.len()];
    let mut x = Vec::new();
    for _ in 0..ROUNDS {
        let scaled: Vec<f64> =
            relative.iter().zip(&weights).map(|(relative, weight)| relative * weight).collect();
        x = solve(rows, y, &scaled);
        let fitted: Vec<f64> = rows.iter().map(|row| dot(row, &x)).collect();
        for ((relative, fitted), y) in relative.iter_mut().zip(&fitted).zip(y) {
            *relative = 1.0 / (fitted.max(LEAST_SHARE * y).max(0.0) + FLOOR_MS);
        }
        let residuals: Vec<f64> = (0..y.len()).map(|at| (fitted[at] - y[at]) * relative[at]).collect();
        let spread = median(residuals.iter().map(|residual| residual.abs()).collect()) * 1.4826;
        if spread <= 1e-9 {
            break;
        }
        for (weight, residual) in weights.iter_mut().zip(&residuals) {
            let far = residual.abs() / (HUBER * spread);
            // The square root, because a weight multiplies the error before it is squared.
            *weight = if far <= 1.0 { 1.0 } else { far.recip().sqrt() };
        }
    }
    x
}

/// Minimises `Σ (weight · (row · x − y))²` over `x ≥ 0`, by Lawson and Hanson's active sets.
fn solve(rows: &[Vec<f64>], y: &[f64], weights: &[f64]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    let norms: Vec<f64> = (0..columns)
        .map(|column| {
            let squares = rows.iter().zip(weights).map(|(row, weight)| (row[column] * weight).powi(2));
            squares.sum::<f64>().sqrt()
        })
        .collect();
    let scale = |column: usize| if norms[column] > 0.0 { norms[column].recip() } else { 0.0 };
    // The normal equations of columns of length one.
    let mut gram = vec![vec![0.0; columns]; columns];
    let mut target = vec![0.0; columns];
    for ((row, y), weight) in rows.iter().zip(y).zip(weights) {
        let row: Vec<f64> = row.iter().enumerate().map(|(at, value)| value * weight * scale(at)).collect();
        for (at, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            target[at] += value * y * weight;
            gram[at].iter_mut().zip(&row).for_each(|(sum, other)| *sum += value * other);
        }
    }
    let mut passive = vec![false; columns];
    let mut x = vec![0.0; columns];
    for _ in 0..3 * columns {
        let gradient = |at: usize, x: &[f64]| target[at] - dot(&gram[at], x);
        let next = (0..columns)
            .filter(|&at| !passive[at] && norms[at] > 0.0)
            .map(|at| (at, gradient(at, &x)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((next, _)) = next.filter(|(_, gain)| *gain > 1e-10) else { break };
        passive[next] = true;
        x = walk(&gram, &target, &mut passive, x);
    }
    x.iter().enumerate().map(|(at, value)| value * scale(at)).collect()
}

/// From the feasible `x` towards the least squares of the passive columns; those that would become negative
/// on the way stay at zero.
fn walk(gram: &[Vec<f64>], target: &[f64], passive: &mut [bool], mut x: Vec<f64>) -> Vec<f64> {
    loop {
        let free: Vec<usize> = (0..passive.len()).filter(|&at| passive[at]).collect();
        let solution = cholesky(gram, target, &free);
        let step = free
            .iter()
            .zip(&solution)
            .filter(|(_, value)| **value <= 0.0)
            .map(|(&at, value)| x[at] / (x[at] - value).max(f64::MIN_POSITIVE))
            .fold(1.0, f64::min);
        for (&at, value) in free.iter().zip(&solution) {
            x[at] += step * (value - x[at]);
        }
        if step >= 1.0 {
            return x;
        }
        for &at in &free {
            if x[at] <= 1e-14 {
                x[at] = 0.0;
                passive[at] = false;
            }
        }
    }
}

/// Solves the normal equations of the columns `free`. Columns have length one, so the small ridge only
/// decides between columns that the samples cannot tell apart.
fn cholesky(gram: &[Vec<f64>], target: &[f64], free: &[usize]) -> Vec<f64> {
    const RIDGE: f64 = 1e-9;
    let size = free.len();
    let mut lower = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let known: f64 = (0..column).map(|at| lower[row][at] * lower[column][at]).sum();
            let rest = gram[free[row]][free[column]] - known;
            lower[row][column] =
                if row == column { (rest + RIDGE).max(RIDGE).sqrt() } else { rest / lower[column][column] };
        }
    }
    let mut solution = vec![0.0; size];
    for row in 0..size {
        let known: f64 = (0..row).map(|at| lower[row][at] * solution[at]).sum();
        solution[row] = (target[free[row]] - known) / lower[row][row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|at| lower[at][row] * solution[at]).sum();
        solution[row] = (solution[row] - known) / lower[row][row];
    }
    solution
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn samples(seed: u64, count: usize, truth: &[f64], noise: f64) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<Vec<f64>> =
            (0..count).map(|_| truth.iter().map(|_| rng.random_range(0.0f64..4.0).exp()).collect()).collect();
        let y =
            rows.iter().map(|row| dot(row, truth) * (1.0 + noise * rng.random_range(-1.0..1.0))).collect();
        (rows, y)
    }

    proptest! {
        #[test]
        fn what_is_a_sum_of_non_negative_costs_is_found_again(
            seed in 0u64..1000, truth in proptest::collection::vec(prop_oneof![Just(0.0), 0.01f64..2.0], 1..8),
        ) {
            prop_assume!(truth.iter().any(|value| *value > 0.0));
            let (rows, y) = samples(seed, 60, &truth, 0.0);
            let found = fit_relative(&rows, &y);
            for (found, truth) in found.iter().zip(&truth) {
                prop_assert!((found - truth).abs() < 1e-4, "{found} {truth}");
            }
        }

        #[test]
        fn no_coefficient_is_negative_and_no_descent_is_left(seed in 0u64..1000, columns in 1usize..8) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let row = |rng: &mut ChaCha8Rng| (0..columns).map(|_| rng.random_range(0.0..5.0)).collect();
            let rows: Vec<Vec<f64>> = (0..30).map(|_| row(&mut rng)).collect();
            let y: Vec<f64> = (0..30).map(|_| rng.random_range(0.0..3.0)).collect();
            let weights = vec![1.0; 30];
            let x = solve(&rows, &y, &weights);
            let errors: Vec<f64> = rows.iter().zip(&y).map(|(row, y)| y - dot(row, &x)).collect();
            for column in 0..columns {
                prop_assert!(x[column] >= 0.0);
                let descent: f64 = rows.iter().zip(&errors).map(|(row, error)| row[column] * error).sum();
                prop_assert!(descent <= 1e-4, "more of {column} would fit better: {descent}");
                prop_assert!(x[column] == 0.0 || descent.abs() < 1e-4, "{column}: {descent}");
            }
        }
    }

    #[test]
    fn a_tenth_of_wild_samples_does_not_move_the_fit() {
        let truth = [0.5, 0.02, 1.0];
        let (rows, mut y) = samples(3, 200, &truth, 0.02);
        y.iter_mut().step_by(10).for_each(|y| *y *= 4.0);
        let found = fit_relative(&rows, &y);
        let predicted: f64 = rows.iter().map(|row| dot(row, &found)).sum();
        let real: f64 = rows.iter().map(|row| dot(row, &truth)).sum();
        assert!((predicted / real - 1.0).abs() < 0.03, "{found:?}");
    }
}
