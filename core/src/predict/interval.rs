//! How far off predictions are: an interval that is meant to hold four of five of what follows.
//!
//! Conformal: the half-width is a quantile of late errors, so nothing is assumed about their distribution;
//! and which quantile is itself corrected by how often the interval held, so that it stays right when
//! conditions change (adaptive conformal inference, Gibbs and Candès 2021).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The share of measurements that the interval should hold.
pub const COVERAGE: f64 = 0.8;
/// Errors remembered.
const ERRORS: usize = 40;
/// Outcomes over which the coverage is told.
const OUTCOMES: usize = 100;
/// What one outcome moves the quantile.
const STEP: f64 = 0.02;
/// Errors before there is an interval from them.
const ENOUGH: usize = 5;
/// The half-width told until then.
const UNKNOWN: f64 = 0.2;

/// An interval around a prediction, as a share of it, and how well it held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// |measured / predicted − 1| of late, latest last.
    errors: VecDeque<f32>,
    /// The quantile that holds [`COVERAGE`] of what follows.
    level: f64,
    /// Whether late measurements were inside, latest last.
    held: VecDeque<bool>,
}

impl Default for Interval {
    fn default() -> Self {
        Self { errors: VecDeque::new(), level: COVERAGE, held: VecDeque::new() }
    }
}

impl Interval {
    /// The half-width as a share of the prediction.
    pub fn half(&self) -> f64 {
        if self.errors.len() < ENOUGH {
            return UNKNOWN;
        }
        let mut errors: Vec<f32> = self.errors.iter().copied().collect();
        errors.sort_by(f32::total_cmp);
        let rank = (self.level * (errors.len() + 1) as f64).ceil() as usize;
        match errors.get(rank.saturating_sub(1)) {
            Some(error) => f64::from(*error),
            // Beyond every error there was: as much further as the level is beyond 1.
            None => f64::from(errors[errors.len() - 1]) * 1.5,
        }
    }

    /// The share of late measurements that were inside, and of how many.
    pub fn coverage(&self) -> Option<(f64, usize)> {
        let inside = self.held.iter().filter(|held| **held).count();
        (!self.held.is_empty()).then(|| (inside as f64 / self.held.len() as f64, self.held.len()))
    }

    /// Takes in how a measurement compares with the prediction made before it: measured / predicted − 1.
    pub fn learn(&mut self, error: f64) {
        if !error.is_finite() {
            return;
        }
        let error = error.abs();
        if self.errors.len() >= ENOUGH {
            let held = error <= self.half();
            super::push_bounded(&mut self.held, held, OUTCOMES);
            let missed = if held { 0.0 } else { 1.0 };
            self.level = (self.level + STEP * (missed - (1.0 - COVERAGE))).clamp(0.5, 1.0);
        }
        super::push_bounded(&mut self.errors, error as f32, ERRORS);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The share of errors inside the interval told before each.
    fn coverage(mut error: impl FnMut(usize, &mut ChaCha8Rng) -> f64, count: usize) -> f64 {
        let mut inside = 0;
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut interval = Interval::default();
            for at in 0..count + 10 {
                let error = error(at, &mut rng);
                inside += usize::from(at >= 10 && f64::abs(error) <= interval.half());
                interval.learn(error);
            }
        }
        inside as f64 / (20 * count) as f64
    }

    #[test]
    fn four_of_five_are_inside_whatever_the_errors_look_like() {
        let even = coverage(|_, rng| 0.1 * rng.random_range(-1.0..1.0), 200);
        let heavy = coverage(|_, rng| 0.01 / rng.random_range(0.01f64..1.0), 200);
        let loaded = coverage(|at, rng| if at > 100 { 0.3 } else { 0.03 } * rng.random_range(-1.0..1.0), 200);
        for (name, coverage) in [("even", even), ("heavy", heavy), ("loaded", loaded)] {
            assert!((0.75..0.85).contains(&coverage), "{name}: {coverage}");
        }
    }

    #[test]
    fn load_widens_it_within_a_few_runs() {
        let mut interval = Interval::default();
        (0..40).for_each(|at| interval.learn(0.01 * f64::from(at % 5)));
        let calm = interval.half();
        (0..10).for_each(|_| interval.learn(0.5));
        assert!(interval.half() > 5.0 * calm, "{calm} {}", interval.half());
    }
}
