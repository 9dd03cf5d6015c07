//! The policy: a cut net, a share net used for every worker alike, and weights that rank workers.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::features::{CUT_INPUTS, SHARE_INPUTS};
use super::net::{HIDDEN, Shape};
use crate::plan::genome::normal;

/// Decides whether a block ends at a cut.
pub(crate) const CUT: Shape = Shape { inputs: CUT_INPUTS, outputs: 1 };
/// Says how far a worker's share is bent and whether it takes part at all.
pub(crate) const SHARE: Shape = Shape { inputs: SHARE_INPUTS, outputs: 2 };
/// Workers are ranked by a weighted sum of: ln speed, ln link rate, delay.
pub(crate) const RANK: usize = 3;
/// Weights of a policy.
pub const WEIGHTS: usize = CUT.weights() + SHARE.weights() + RANK;

/// How far, at most, a share is bent: e to this power.
const REACH: f64 = 1.0;
/// The gate's bias: an untrained policy lets every worker take part.
const OPEN: f64 = 4.0;
/// Spread of sampled bends of one block.
pub(crate) const SPREAD: f64 = 0.06;
/// Spread of what is added to all sampled bends of a worker in one plan: shares that change from block to
/// block move rows, so only like changes show what a share is worth.
pub(crate) const LEANING: f64 = 0.1;

/// Weights that plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub(crate) weights: Vec<f32>,
}

/// One thing a policy decided, with what it saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// Whether to cut; `lean` is added to what the net says.
    Cut { input: [f64; CUT_INPUTS], lean: f64, cut: bool },
    /// How far a share is bent, and whether the worker takes part.
    Share { input: [f64; SHARE_INPUTS], bend: f64, takes_part: bool },
}

/// Weights as the nets compute with them.
#[derive(Clone, Debug)]
pub(crate) struct Mind {
    pub(crate) weights: Vec<f64>,
}

impl Policy {
    /// Random weights that hardly move the outputs yet: plans nearly as the table of its team says.
    pub fn random(rng: &mut impl Rng) -> Self {
        let outputs = |at: usize| match at < CUT.weights() {
            true => CUT.is_output(at),
            false => SHARE.is_output(at - CUT.weights()),
        };
        let mut weights: Vec<f32> =
            (0..WEIGHTS).map(|at| if outputs(at) { 0.05 } else { 0.3 } * normal(rng) as f32).collect();
        let rank = WEIGHTS - RANK;
        (weights[rank], weights[rank + 1], weights[rank + 2]) = (1.0, 0.0, 0.0);
        Self { weights }
    }

    pub(crate) fn mind(&self) -> Mind {
        Mind { weights: self.weights.iter().map(|&weight| f64::from(weight)).collect() }
    }
}

impl Mind {
    pub(crate) fn policy(&self) -> Policy {
        Policy { weights: self.weights.iter().map(|&weight| weight as f32).collect() }
    }

    /// The logit of cutting, without the lean.
    pub(crate) fn cut(&self, input: &[f64; CUT_INPUTS]) -> f64 {
        let (mut hidden, mut output) = ([0.0; HIDDEN], [0.0]);
        CUT.forward(&self.weights[..CUT.weights()], input, &mut hidden, &mut output);
        output[0]
    }

    /// The mean bend and the logit of taking part.
    pub(crate) fn share(&self, input: &[f64; SHARE_INPUTS]) -> (f64, f64) {
        let (mut hidden, mut output) = ([0.0; HIDDEN], [0.0; 2]);
        SHARE.forward(&self.weights[CUT.weights()..WEIGHTS - RANK], input, &mut hidden, &mut output);
        (REACH * output[0].tanh(), output[1] + OPEN)
    }

    /// How early a worker is taken into the team.
    pub(crate) fn rank(&self, features: [f64; RANK]) -> f64 {
        let weights = &self.weights[WEIGHTS - RANK..];
        weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
    }

    /// The logarithm of the probability (density) of `decision`.
    pub(crate) fn log_probability(&self, decision: &Decision) -> f64 {
        let choice = |logit: f64, yes: bool| -(if yes { -logit } else { logit }).exp().ln_1p();
        match decision {
            Decision::Cut { input, lean, cut } => choice(self.cut(input) + lean, *cut),
            Decision::Share { input, bend, takes_part } => {
                let (mean, logit) = self.share(input);
                let off = (bend - mean) / SPREAD;
                choice(logit, *takes_part) - if *takes_part { 0.5 * off * off } else { 0.0 }
            }
        }
    }

    /// Adds `weight` times the gradient of the decision's log-probability to `gradient`.
    pub(crate) fn push(&self, decision: &Decision, weight: f64, gradient: &mut [f64]) {
        let mut hidden = [0.0; HIDDEN];
        match decision {
            Decision::Cut { input, lean, cut } => {
                let (weights, gradient) = (&self.weights[..CUT.weights()], &mut gradient[..CUT.weights()]);
                let mut output = [0.0];
                CUT.forward(weights, input, &mut hidden, &mut output);
                let slope = weight * (f64::from(u8::from(*cut)) - sigmoid(output[0] + lean));
                CUT.backward(weights, input, &hidden, &[slope], gradient);
            }
            Decision::Share { input, bend, takes_part } => {
                let range = CUT.weights()..WEIGHTS - RANK;
                let (weights, gradient) = (&self.weights[range.clone()], &mut gradient[range]);
                let mut output = [0.0; 2];
                SHARE.forward(weights, input, &mut hidden, &mut output);
                let squashed = output[0].tanh();
                let pull =
                    (bend - REACH * squashed) / (SPREAD * SPREAD) * REACH * (1.0 - squashed * squashed);
                let taken = f64::from(u8::from(*takes_part));
                let slopes = [weight * taken * pull, weight * (taken - sigmoid(output[1] + OPEN))];
                SHARE.backward(weights, input, &hidden, &slopes, gradient);
            }
        }
    }

    /// Adds to `squares` how strongly each weight moves the outputs at the decision's inputs.
    pub(crate) fn sense(&self, decision: &Decision, squares: &mut [f64]) {
        let mut hidden = [0.0; HIDDEN];
        let mut add = |shape: Shape, start: usize, input: &[f64]| {
            let weights = &self.weights[start..start + shape.weights()];
            let mut output = [0.0; 2];
            shape.forward(weights, input, &mut hidden, &mut output[..shape.outputs]);
            for at in 0..shape.outputs {
                let mut slope = [0.0; 2];
                slope[at] = 1.0;
                let mut gradient = vec![0.0; shape.weights()];
                shape.backward(weights, input, &hidden, &slope[..shape.outputs], &mut gradient);
                let sums = squares[start..start + shape.weights()].iter_mut();
                sums.zip(gradient).for_each(|(sum, value)| *sum += value * value);
            }
        };
        match decision {
            Decision::Cut { input, .. } => add(CUT, 0, input),
            Decision::Share { input, .. } => add(SHARE, CUT.weights(), input),
        }
    }
}

/// `1 / (1 + e^−x)`.
pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn gradients_of_log_probabilities_agree_with_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for case in 0..40 {
            let mut mind = Policy::random(&mut rng).mind();
            let decision = match case % 2 {
                0 => Decision::Cut {
                    input: std::array::from_fn(|_| rng.random_range(-1.0..1.0)),
                    lean: rng.random_range(-1.0..1.0),
                    cut: rng.random_bool(0.5),
                },
                _ => Decision::Share {
                    input: std::array::from_fn(|_| rng.random_range(-1.0..1.0)),
                    bend: rng.random_range(-0.5..0.5),
                    takes_part: rng.random_bool(0.7),
                },
            };
            let mut gradient = vec![0.0; WEIGHTS];
            mind.push(&decision, 1.0, &mut gradient);
            for weight in (0..WEIGHTS).step_by(7) {
                let step = 1e-5;
                let kept = mind.weights[weight];
                mind.weights[weight] = kept + step;
                let above = mind.log_probability(&decision);
                mind.weights[weight] = kept - step;
                let below = mind.log_probability(&decision);
                mind.weights[weight] = kept;
                let numeric = (above - below) / (2.0 * step);
                let off = (numeric - gradient[weight]).abs();
                assert!(off < 1e-5 * (1.0 + numeric.abs()), "{weight}: {numeric} {}", gradient[weight]);
            }
        }
    }
}
