//! How much slower a worker is than when it was measured: heat, load, another frequency.
//!
//! A throttle that the operator commanded is known and not part of it.

use serde::{Deserialize, Serialize};

use super::nnls::median;

/// What one run moves the scale at least, of how far it is off.
const RATE: f64 = 0.25;
/// Runs in a row that must be far off, and on the same side, before the scale jumps…
const JUMP_AFTER: usize = 3;
/// …by at least this, as a logarithm…
const FAR: f64 = 0.08;
/// …and this many times what runs differ by anyway.
const FAR_SPREADS: f64 = 4.0;
/// A single run is taken for no further off than this many spreads.
const BELIEVED_SPREADS: f64 = 3.0;
/// Before this many runs a jump is the prediction's error, not a change of the worker.
const SETTLED: u32 = 8;
/// Runs differ by at least this, as a logarithm…
const LEAST_SPREAD: f64 = 0.01;
/// …and one run counts for no more than this; what it moves what is known of that.
const MOST_SPREAD: f64 = 0.5;
const SPREAD_RATE: f64 = 0.1;

/// No worker gets so many times slower or faster, as a logarithm.
const MOST_LOG: f64 = 50.0;

/// A worker's scale, as a logarithm: 0 is as fast as when it was measured, ln 2 half as fast.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    log: f64,
    /// Late runs against the scale of then, latest last, while they are far off.
    far: Vec<f64>,
    /// What runs differ by from the scale, smoothed.
    spread: f64,
    /// Runs since the beginning or the last jump.
    runs: u32,
    /// Runs since the beginning.
    #[serde(default)]
    seen: u32,
}

impl Scale {
    /// Whether a worker can have it: one that was read need not have been learnt.
    pub(super) fn is_possible(&self) -> bool {
        let mut logs = self.far.iter().chain([&self.log, &self.spread]);
        self.far.len() < JUMP_AFTER && logs.all(|log| log.abs() <= MOST_LOG)
    }

    /// Times take this much longer than at first.
    pub fn factor(&self) -> f64 {
        self.log.exp()
    }

    /// Its logarithm.
    pub fn log(&self) -> f64 {
        self.log
    }

    /// Moves it, because something else than a run showed a change.
    pub fn shift(&mut self, log: f64) {
        self.log += log;
        self.far.clear();
        self.runs = 0;
    }

    /// Whether the last run was far off, and it is not known yet whether the worker changed.
    pub fn is_doubted(&self) -> bool {
        !self.far.is_empty()
    }

    /// What runs differ by from the scale: the mean of |measured / predicted − 1|, nearly.
    pub fn spread(&self) -> f64 {
        self.spread.max(LEAST_SPREAD)
    }

    /// Takes in a run's measured time over the time predicted with the scale of now. A change point gives
    /// the factor by which the worker became slower, unless it is so early that the prediction was wrong.
    pub fn learn(&mut self, ratio: f64) -> Option<f64> {
        if !(ratio.is_finite() && ratio > 0.0) {
            return None;
        }
        let off = ratio.ln();
        let spread = self.spread();
        self.runs = self.runs.saturating_add(1);
        self.seen = self.seen.saturating_add(1);
        if off.abs() > FAR.max(FAR_SPREADS * spread) {
            if self.far.last().is_some_and(|last| last.signum() != off.signum()) {
                self.differ();
            }
            self.far.push(off);
            if self.far.len() < JUMP_AFTER {
                return None;
            }
            let jump = median(self.far.clone());
            self.far = vec![jump];
            // A worker that jumps again and again is restless: the next one has to be further off.
            self.differ();
            self.log += jump;
            self.runs = 0;
            return (self.seen > SETTLED).then(|| jump.exp());
        }
        self.differ();
        let believed = off.clamp(-BELIEVED_SPREADS * spread, BELIEVED_SPREADS * spread);
        self.log += believed * RATE.max(1.0 / f64::from(self.runs + 1));
        self.far.push(off);
        self.differ();
        None
    }

    /// Runs that were no change are how runs differ.
    fn differ(&mut self) {
        for off in self.far.drain(..) {
            self.spread += (off.abs().min(MOST_SPREAD) - self.spread) * SPREAD_RATE;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Runs of a worker that is `truth` times slower; the last prediction's error and the changes told.
    fn follow(scale: &mut Scale, rng: &mut ChaCha8Rng, truth: f64, runs: usize) -> (f64, Vec<f64>) {
        let mut changes = Vec::new();
        for _ in 0..runs {
            let noise = 1.0 + 0.03 * rng.random_range(-1.0..1.0);
            changes.extend(scale.learn(truth * noise / scale.factor()));
        }
        (scale.factor() / truth - 1.0, changes)
    }

    #[test]
    fn a_scale_that_no_worker_can_have_is_told_from_one_that_was_learnt() {
        let mut learnt = Scale::default();
        for ratio in [1.0, 1.02, 1.7, 1.7, 1.7, 0.3] {
            learnt.learn(ratio);
        }
        assert!(learnt.is_possible(), "{learnt:?}");
        for log in [f64::NAN, f64::INFINITY, 1e30, -60.0] {
            assert!(!Scale { log, ..learnt.clone() }.is_possible(), "{log}");
            assert!(!Scale { far: vec![log], ..learnt.clone() }.is_possible(), "{log}");
        }
        assert!(!Scale { far: vec![0.1; JUMP_AFTER], ..learnt }.is_possible());
    }

    #[test]
    fn a_slower_worker_is_followed_within_five_runs_and_told_once() {
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut scale = Scale::default();
            follow(&mut scale, &mut rng, 1.0, 20);
            for truth in [1.7, 1.0, 0.6] {
                let (error, changes) = follow(&mut scale, &mut rng, truth, 5);
                assert!(error.abs() < 0.05, "seed {seed}, {truth}: {error}");
                assert_eq!(changes.len(), 1, "seed {seed}, {truth}: {changes:?}");
                follow(&mut scale, &mut rng, truth, 10);
            }
        }
    }

    #[test]
    fn a_restless_worker_is_told_a_few_times_and_then_left_alone() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut scale = Scale::default();
            follow(&mut scale, &mut rng, 1.0, 20);
            let mut told = 0;
            for at in 0..60 {
                let truth = if at % 2 == 0 { 1.25 } else { 1.0 };
                let runs = rng.random_range(2..7);
                told += follow(&mut scale, &mut rng, truth, runs).1.len();
            }
            assert!(told <= 6, "seed {seed}: {told} of 60");
        }
    }

    #[test]
    fn slow_drift_is_followed_without_being_called_a_change() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut scale = Scale::default();
        for step in 0..100 {
            let truth = 1.0 + 0.004 * f64::from(step);
            let (error, changes) = follow(&mut scale, &mut rng, truth, 1);
            assert!(changes.is_empty() && error.abs() < 0.05, "{step}: {error} {changes:?}");
        }
    }

    #[test]
    fn one_wild_run_does_not_move_it() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut scale = Scale::default();
        follow(&mut scale, &mut rng, 1.0, 20);
        let before = scale.factor();
        assert_eq!(scale.learn(3.0), None);
        assert_eq!(scale.factor(), before);
        assert!(follow(&mut scale, &mut rng, 1.0, 1).0.abs() < 0.03);
    }

    #[test]
    fn a_prediction_that_was_wrong_from_the_beginning_is_mended_without_a_word() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut scale = Scale::default();
        let (error, changes) = follow(&mut scale, &mut rng, 2.2, 6);
        assert!(error.abs() < 0.05 && changes.is_empty(), "{error} {changes:?}");
        let (_, changes) = follow(&mut scale, &mut rng, 2.2, 10);
        assert!(changes.is_empty(), "{changes:?}");
        let (_, changes) = follow(&mut scale, &mut rng, 1.0, 5);
        assert_eq!(changes.len(), 1, "a change is told: {changes:?}");
    }
}
