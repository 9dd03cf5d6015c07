//! How much what a worker takes differs from run to run: the machine's restlessness.

use serde::{Deserialize, Serialize};

/// What one run moves what is known at least.
const RATE: f64 = 0.1;
/// A strip that is further off, as a logarithm, counts for no more.
const MOST_OFF: f64 = 0.5;

/// The mean of |ln(taken / remembered)| over a worker's strips, smoothed over runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    mean: f64,
    runs: u32,
}

impl Variation {
    /// The mean, as a logarithm; `None` before any strip ran a second time.
    pub fn mean(&self) -> Option<f64> {
        (self.runs > 0).then_some(self.mean)
    }

    /// Takes in what the strips of a run took and what they took before, ms; the longer one takes, the more it counts.
    pub fn learn(&mut self, pairs: impl Iterator<Item = (f64, f64)>) {
        let sound = pairs.filter(|(taken, known)| *taken > 0.0 && *known > 0.0);
        let (off, weight) = sound.fold((0.0, 0.0), |(off, weight), (taken, known)| {
            (off + known * (taken / known).ln().abs().min(MOST_OFF), weight + known)
        });
        if weight > 0.0 {
            self.runs = self.runs.saturating_add(1);
            self.mean += (off / weight - self.mean) * RATE.max(1.0 / f64::from(self.runs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_a_tenth_from_run_to_run_is_known_to_after_a_few_runs() {
        let mut variation = Variation::default();
        assert_eq!(variation.mean(), None);
        variation.learn(std::iter::empty());
        assert_eq!(variation.mean(), None, "nothing ran a second time");
        for at in 0..20 {
            let off = if at % 2 == 0 { 1.1 } else { 1.0 / 1.1 };
            variation.learn([(5.0 * off, 5.0), (0.01, 0.02), (f64::NAN, 1.0)].into_iter());
        }
        let mean = variation.mean().unwrap();
        assert!((mean / 1.1f64.ln() - 1.0).abs() < 0.05, "short strips count for little: {mean}");
    }

    #[test]
    fn one_wild_run_is_no_restlessness() {
        let mut variation = Variation::default();
        (0..20).for_each(|_| variation.learn([(1.02, 1.0)].into_iter()));
        variation.learn([(50.0, 1.0)].into_iter());
        assert!(variation.mean().unwrap() < 0.08, "{variation:?}");
    }
}
