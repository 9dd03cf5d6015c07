//! How well predictions hold: the figures of a set of pairs.

use serde::Serialize;

/// A prediction with what was then measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Predicted, ms.
    pub predicted: f64,
    /// The interval that should hold four of five measurements, ms.
    pub interval: Option<(f64, f64)>,
    /// Measured, ms.
    pub measured: f64,
}

/// The figures; errors are relative to what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Pairs.
    pub n: usize,
    /// Mean of |error|.
    pub mape: f64,
    /// Root of the mean of error².
    pub rmspe: f64,
    /// Share of |error| ≤ 0.05.
    pub within5: f64,
    /// Share of |error| ≤ 0.10.
    pub within10: f64,
    /// Mean of error: above 0 is predicted too long.
    pub bias: f64,
    /// Share of measurements within their interval, if all have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage80: Option<f64>,
}

/// The figures of these pairs; `None` without any that was measured to take time.
pub fn score<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Option<Score> {
    let pairs: Vec<&Pair> = pairs.into_iter().filter(|pair| pair.measured > 0.0).collect();
    let n = pairs.len();
    if n == 0 {
        return None;
    }
    let errors: Vec<f64> = pairs.iter().map(|pair| pair.predicted / pair.measured - 1.0).collect();
    let mean = |of: &dyn Fn(&f64) -> f64| errors.iter().map(of).sum::<f64>() / n as f64;
    let within = |most: f64| errors.iter().filter(|error| error.abs() <= most).count() as f64 / n as f64;
    let inside = |pair: &&Pair| {
        let (low, high) = pair.interval?;
        Some((low..=high).contains(&pair.measured))
    };
    let insides: Option<Vec<bool>> = pairs.iter().map(inside).collect();
    Some(Score {
        n,
        mape: mean(&|error| error.abs()),
        rmspe: mean(&|error| error * error).sqrt(),
        within5: within(0.05),
        within10: within(0.10),
        bias: mean(&|error| *error),
        coverage80: insides.map(|insides| insides.iter().filter(|inside| **inside).count() as f64 / n as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(predicted: f64, measured: f64) -> Pair {
        Pair { predicted, interval: Some((0.9 * predicted, 1.1 * predicted)), measured }
    }

    #[test]
    fn figures_are_relative_to_what_was_measured() {
        let pairs = [pair(1.04, 1.0), pair(1.801, 2.0), pair(4.0, 4.0), pair(3.0, 2.0)];
        let score = score(&pairs).unwrap();
        assert_eq!(score.n, 4);
        assert!((score.mape - (0.04 + 0.0995 + 0.0 + 0.5) / 4.0).abs() < 1e-12);
        assert!((score.bias - (0.04 - 0.0995 + 0.0 + 0.5) / 4.0).abs() < 1e-12);
        assert!((score.rmspe - ((0.0016_f64 + 0.0995 * 0.0995 + 0.25) / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!((score.within5, score.within10), (0.5, 0.75));
        assert_eq!(score.coverage80, Some(0.5));
    }

    #[test]
    fn nothing_measured_is_no_score_and_a_missing_interval_no_coverage() {
        assert_eq!(score(&[pair(1.0, 0.0)]), None);
        let bare = Pair { interval: None, ..pair(1.0, 1.0) };
        assert_eq!(score(&[bare, pair(1.0, 1.0)]).unwrap().coverage80, None);
    }
}
