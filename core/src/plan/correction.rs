//! The critic: what measured runs say that the simulator gets wrong, by features of a partition.
//!
//! A ridge regression of ln(measured / predicted) on a few features. Before each partition is learnt from, it
//! is predicted without it, and so are two simpler ways: no correction, and the factor by which the last
//! partition missed. Whoever missed least so far corrects; so the critic counts only where it helps.

use std::collections::VecDeque;

use super::{Account, Plan};

/// Features of a partition: constant, ln of its blocks, transfers, recomputed rows, waiting, one owner.
const FEATURES: usize = 6;
/// Pull of every weight towards nothing, in measured partitions; of the constant, less.
const RIDGE: f64 = 0.2;
const RIDGE_CONSTANT: f64 = 0.05;
/// Measured partitions remembered.
const REMEMBERED: usize = 64;
/// Partitions judged before anyone but the last factor may correct.
const TRIAL: usize = 4;
/// The largest factor believed.
const LIMIT: f64 = 4.0;

/// What a partition looks like to the critic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features([f64; FEATURES]);

impl Features {
    /// Of a plan and where its time goes.
    pub fn of(plan: &Plan, account: &Account) -> Self {
        let part = |ms: f64, of: f64| if of > 0.0 { (ms / of).clamp(0.0, 2.0) } else { 0.0 };
        let compute: f64 = account.workers.iter().map(|worker| worker.compute_ms).sum();
        let used = (0..plan.partition.workers()).filter(|&worker| plan.partition.uses(worker)).count().max(1);
        Self([
            1.0,
            (plan.partition.blocks.len().max(1) as f64).ln() / 3.0,
            part(account.transfer_ms, account.finish_ms),
            part(account.halo_ms(), compute),
            part(account.wait_ms(), account.finish_ms * used as f64),
            f64::from(u8::from(plan.partition.single_owner().is_some())),
        ])
    }
}

/// Who corrects predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corrector {
    /// Nobody.
    Nobody,
    /// The factor by which the last measured partition missed.
    #[default]
    LastFactor,
    /// The regression.
    Critic,
}

/// How far each way was off over partitions that it had not seen: mean squares of ln latency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Misses {
    /// Partitions judged.
    pub judged: usize,
    /// Without correction.
    pub nobody: f64,
    /// By the last factor.
    pub last_factor: f64,
    /// By the regression: the critic's loss.
    pub critic: f64,
}

/// What was learnt from measured runs.
#[derive(Clone, Debug, Default)]
pub struct Correction {
    samples: VecDeque<([f64; FEATURES], f64)>,
    weights: [f64; FEATURES],
    misses: Misses,
}

impl Correction {
    /// Learns that a partition took `measured_over_predicted` times what the simulator said.
    ///
    /// Ratios that are no positive number are left out.
    pub fn learn(&mut self, features: &Features, measured_over_predicted: f64) {
        let target = measured_over_predicted.ln();
        if !target.is_finite() {
            return;
        }
        if !self.samples.is_empty() {
            let Misses { judged, nobody, last_factor, critic } = &mut self.misses;
            *judged += 1;
            // A slow mean, so that late partitions count more.
            let fresh = 1.0 / (*judged as f64).min(12.0);
            let judge = |mean: &mut f64, miss: f64| *mean += fresh * (miss * miss - *mean);
            judge(nobody, target);
            judge(last_factor, target - self.samples.back().map_or(0.0, |last| last.1));
            judge(critic, target - dot(&self.weights, &features.0));
        }
        if self.samples.len() == REMEMBERED {
            self.samples.pop_front();
        }
        self.samples.push_back((features.0, target));
        self.weights = fit(&self.samples);
    }

    /// What the simulator's latency is multiplied by.
    pub fn factor(&self, features: &Features) -> f64 {
        let ln = match self.corrector() {
            Corrector::Nobody => 0.0,
            Corrector::LastFactor => self.samples.back().map_or(0.0, |last| last.1),
            Corrector::Critic => dot(&self.weights, &features.0),
        };
        ln.exp().clamp(1.0 / LIMIT, LIMIT)
    }

    /// Who corrects now.
    pub fn corrector(&self) -> Corrector {
        let Misses { judged, nobody, last_factor, critic } = self.misses;
        if judged < TRIAL {
            Corrector::LastFactor
        } else if critic < last_factor.min(nobody) {
            Corrector::Critic
        } else if nobody < last_factor {
            Corrector::Nobody
        } else {
            Corrector::LastFactor
        }
    }

    /// How far each way was off.
    pub fn misses(&self) -> Misses {
        self.misses
    }
}

fn dot(weights: &[f64; FEATURES], features: &[f64; FEATURES]) -> f64 {
    weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
}

/// Weights that minimise Σ(miss²) + Σ(ridge · weight²), by Cholesky's decomposition of the normal equations.
fn fit(samples: &VecDeque<([f64; FEATURES], f64)>) -> [f64; FEATURES] {
    let mut matrix = [[0.0; FEATURES]; FEATURES];
    let mut right = [0.0; FEATURES];
    for (features, target) in samples {
        for row in 0..FEATURES {
            right[row] += features[row] * target;
            for column in 0..FEATURES {
                matrix[row][column] += features[row] * features[column];
            }
        }
    }
    for (at, row) in matrix.iter_mut().enumerate() {
        row[at] += if at == 0 { RIDGE_CONSTANT } else { RIDGE };
    }
    // The ridge makes the matrix positive definite, so every root is of a positive number.
    for column in 0..FEATURES {
        for row in column..FEATURES {
            let known: f64 = (0..column).map(|at| matrix[row][at] * matrix[column][at]).sum();
            let rest = matrix[row][column] - known;
            matrix[row][column] = if row == column { rest.sqrt() } else { rest / matrix[column][column] };
        }
    }
    for row in 0..FEATURES {
        let known: f64 = (0..row).map(|at| matrix[row][at] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    for row in (0..FEATURES).rev() {
        let known: f64 = (row + 1..FEATURES).map(|at| matrix[at][row] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn features(rng: &mut ChaCha8Rng) -> Features {
        let mut values: [f64; FEATURES] = std::array::from_fn(|_| rng.random_range(0.0..1.0));
        values[0] = 1.0;
        Features(values)
    }

    #[test]
    fn what_depends_on_features_is_left_to_the_critic() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut correction = Correction::default();
        let truth = |features: &Features| (0.05 + 0.4 * features.0[2] - 0.2 * features.0[3]).exp();
        for _ in 0..60 {
            let seen = features(&mut rng);
            correction.learn(&seen, truth(&seen));
        }
        assert_eq!(correction.corrector(), Corrector::Critic);
        let misses = correction.misses();
        assert!(misses.critic < 0.1 * misses.last_factor.min(misses.nobody), "{misses:?}");
        for _ in 0..20 {
            let seen = features(&mut rng);
            let off = (correction.factor(&seen) / truth(&seen)).ln().abs();
            assert!(off < 0.05, "{off}");
        }
    }

    #[test]
    fn a_critic_that_does_not_help_does_not_correct() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut noise = Correction::default();
        for _ in 0..40 {
            let seen = features(&mut rng);
            noise.learn(&seen, rng.random_range(0.95f64..1.0 / 0.95));
        }
        assert_ne!(noise.corrector(), Corrector::LastFactor, "the last factor is the noisiest");
        assert!((noise.factor(&features(&mut rng)) - 1.0).abs() < 0.05);
        let mut drift = Correction::default();
        (0..40).for_each(|step| drift.learn(&features(&mut rng), 1.5f64.powf(f64::from(step) / 8.0)));
        assert_eq!(drift.corrector(), Corrector::LastFactor);
    }

    #[test]
    fn the_first_measured_partition_corrects_by_its_factor_and_no_number_teaches_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut correction = Correction::default();
        let seen = features(&mut rng);
        [0.0, f64::NAN, f64::INFINITY, -1.0].into_iter().for_each(|ratio| correction.learn(&seen, ratio));
        assert_eq!(correction.factor(&seen), 1.0);
        correction.learn(&seen, 1.25);
        assert!((correction.factor(&features(&mut rng)) - 1.25).abs() < 1e-12);
        assert_eq!(correction.misses().judged, 0);
    }
}
