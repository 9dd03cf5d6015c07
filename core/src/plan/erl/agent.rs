//! The gradient-trained agent: samples several plans of a problem, judges each against their mean, and
//! climbs; a replay buffer keeps decisions that beat it, whoever took them.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::policy::{Decision, Mind, WEIGHTS};

/// Plans kept for replay.
const REMEMBERED: usize = 512;
/// Plans replayed at every step.
const REPLAYED: usize = 4;
/// How much a replayed plan counts beside a sampled one.
const REPLAY_WEIGHT: f64 = 0.2;
/// Step of Adam (Kingma and Ba 2015) and its averages.
const STEP: f64 = 0.001;
const FIRST: f64 = 0.9;
const SECOND: f64 = 0.999;
/// Spreads of ln latency below this are noise.
const LEAST_SPREAD: f64 = 0.01;

/// A policy with its optimiser and its memory.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) mind: Mind,
    gradient: Vec<f64>,
    momentum: Vec<f64>,
    square: Vec<f64>,
    steps: i32,
    replay: VecDeque<(Vec<Decision>, f64)>,
}

impl Agent {
    pub(crate) fn new(mind: Mind) -> Self {
        let zeros = || vec![0.0; WEIGHTS];
        let replay = VecDeque::with_capacity(REMEMBERED);
        Self { mind, gradient: zeros(), momentum: zeros(), square: zeros(), steps: 0, replay }
    }

    /// Takes up what its sampled plans of one problem teach; by ln latency and decisions.
    ///
    /// Returns the loss whose gradient it is: −mean(advantage · ln probability), averaged over decisions.
    pub(crate) fn judge(&mut self, plans: &[(f64, Vec<Decision>)]) -> f64 {
        let count = plans.len() as f64;
        let mean = plans.iter().map(|plan| plan.0).sum::<f64>() / count;
        let spread = (plans.iter().map(|plan| (plan.0 - mean).powi(2)).sum::<f64>() / count).sqrt();
        let (mut loss, mut decided) = (0.0, 0usize);
        for (latency, decisions) in plans {
            let advantage = (mean - latency) / (spread + LEAST_SPREAD);
            for decision in decisions {
                loss -= advantage * self.mind.log_probability(decision);
                self.mind.push(decision, advantage / count, &mut self.gradient);
            }
            decided += decisions.len();
        }
        loss / decided.max(1) as f64
    }

    /// Keeps decisions that were better by `advantage` (of ln latency) than its own.
    pub(crate) fn remember(&mut self, decisions: Vec<Decision>, advantage: f64) {
        if self.replay.len() == REMEMBERED {
            self.replay.pop_front();
        }
        self.replay.push_back((decisions, advantage.min(0.3)));
    }

    /// Adds what remembered plans teach.
    pub(crate) fn recall(&mut self, rng: &mut ChaCha8Rng) {
        for _ in 0..REPLAYED.min(self.replay.len()) {
            let (decisions, advantage) = &self.replay[rng.random_range(0..self.replay.len())];
            let weight = REPLAY_WEIGHT * advantage / (advantage + 0.05);
            for decision in decisions {
                self.mind.push(decision, weight, &mut self.gradient);
            }
        }
    }

    /// One step along what was gathered; the gradient's norm.
    pub(crate) fn climb(&mut self) -> f64 {
        self.steps += 1;
        let norm = self.gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = 1.0 / norm.max(1.0);
        let (first, second) = (1.0 - FIRST.powi(self.steps), 1.0 - SECOND.powi(self.steps));
        for at in 0..WEIGHTS {
            let slope = self.gradient[at] * scale;
            self.momentum[at] = FIRST * self.momentum[at] + (1.0 - FIRST) * slope;
            self.square[at] = SECOND * self.square[at] + (1.0 - SECOND) * slope * slope;
            let step = (self.momentum[at] / first) / ((self.square[at] / second).sqrt() + 1e-6);
            self.mind.weights[at] += STEP * step;
        }
        self.gradient.fill(0.0);
        norm
    }
}
