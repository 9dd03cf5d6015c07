//! A strip that a worker times while it is idle, so that its pace is known to have changed before it runs again.

use serde::{Deserialize, Serialize};

use super::Scale;

/// What the strip takes, and the worker's scale when that was last so.
///
/// One strip is a poor clock: it only tells of a change that it sees several times in a row and that stands out from what
/// its times differ by anyway, which is followed as the worker's own pace is. Runs may have shown the same change before;
/// what they moved the worker's scale by since is not counted again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReferenceMemory {
    /// What it took at first, at full share, ms.
    first_ms: Option<f64>,
    /// Its times against that.
    scale: Scale,
    /// The logarithm of the worker's own scale when it last took what was expected.
    then: f64,
}

impl ReferenceMemory {
    /// Takes in what it took, ms at full share, while the worker's scale had the logarithm `log`. A change gives what that
    /// is to be moved by.
    pub fn learn(&mut self, ms: f64, log: f64) -> Option<f64> {
        if !(ms.is_finite() && ms > 0.0) {
            return None;
        }
        let first_ms = *self.first_ms.get_or_insert(ms);
        let change = self.scale.learn(ms / (first_ms * self.scale.factor()));
        if self.scale.is_doubted() {
            return None;
        }
        let seen_in_runs = log - std::mem::replace(&mut self.then, log);
        let unseen = change?.ln() - seen_in_runs;
        self.then += unseen;
        Some(unseen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells every time; the sum of what the worker's scale is to be moved by.
    fn tell(memory: &mut ReferenceMemory, times: &[f64], log: f64) -> f64 {
        times.iter().filter_map(|ms| memory.learn(*ms, log)).sum()
    }

    #[test]
    fn a_change_is_told_once_it_was_seen_three_times() {
        let mut memory = ReferenceMemory::default();
        assert_eq!(tell(&mut memory, &[1.0; 12], 0.0), 0.0);
        assert_eq!(tell(&mut memory, &[1.5, 1.5], 0.0), 0.0);
        assert!((tell(&mut memory, &[1.5, 1.5, 1.5], 0.0) - 1.5f64.ln()).abs() < 0.01);
    }

    #[test]
    fn what_runs_have_shown_is_not_counted_again() {
        let mut memory = ReferenceMemory::default();
        tell(&mut memory, &[1.0; 12], 0.0);
        assert!(tell(&mut memory, &[1.5; 4], 1.5f64.ln()).abs() < 0.01);
    }

    #[test]
    fn a_strip_that_is_never_the_same_tells_nothing() {
        let mut memory = ReferenceMemory::default();
        let times: Vec<f64> =
            (0..90).map(|at| [0.8, 0.4, 0.2, 0.25, 0.6, 0.5, 0.2, 0.3, 0.7][at % 9]).collect();
        assert_eq!(tell(&mut memory, &times, 0.0), 0.0);
    }
}
