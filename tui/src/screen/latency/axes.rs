//! What the curve of latencies spans: which runs are seen, from when to when, from how many ms to how many.

use collab_core::lab::{Lab, RunSample};
use collab_core::time::Micros;
use ratatui::layout::Rect;

/// The longest time shown, s.
pub(super) const WINDOW: f64 = 60.0;
/// The shortest, so that the first runs do not fill the panel.
const LEAST_WINDOW: f64 = 5.0;
/// The time at the right end that is always seen in full, s.
const LATEST: f64 = 6.0;
/// The part of the time whose runs are seen in any case: a slow start or a straggler does not flatten them.
const SEEN: f64 = 0.8;
/// One device alone is drawn only up to this many times the slowest run.
const SINGLE_REACH: f64 = 2.5;

/// What the two axes span.
pub(super) struct Axes {
    /// From when, s.
    pub(super) from: f64,
    /// Until when, s.
    pub(super) until: f64,
    /// The least, ms.
    pub(super) low: f64,
    /// The most, ms.
    pub(super) high: f64,
}

impl Axes {
    /// Of the late runs; `None` if there was none within [`WINDOW`].
    pub(super) fn of(lab: &Lab) -> Option<Self> {
        let until = lab.now.secs();
        let first = visible(lab, 0.0).next()?.at.secs();
        let from = first.max(until - WINDOW).min(until - LEAST_WINDOW);
        let late = until - LATEST;
        let (mut low, mut high) = seen(visible(lab, from))?;
        if let Some((least, most)) = seen(visible(lab, late)) {
            (low, high) = (low.min(least), high.max(most));
        }
        if let Some(predicted) = lab.prediction() {
            (low, high) = (low.min(predicted.ms), high.max(predicted.ms.min(high * SINGLE_REACH)));
        }
        if let Some((_, single)) = lab.best_single_now()
            && single < high * SINGLE_REACH
        {
            (low, high) = (low.min(single), high.max(single));
        }
        let margin = ((high - low) * 0.08).max(high * 0.01).max(0.05);
        Some(Self { from, until, low: (low - margin).max(0.0), high: high + margin })
    }

    /// The row of `chart` where `ms` lies; `None` outside.
    pub(super) fn row(&self, ms: f64, chart: Rect) -> Option<u16> {
        let part = self.down(ms)?;
        Some(chart.y + ((part * f64::from(chart.height)) as u16).min(chart.height - 1))
    }

    /// From 0 at the top to 1 at the bottom; `None` outside.
    pub(super) fn down(&self, ms: f64) -> Option<f64> {
        let part = (self.high - ms) / (self.high - self.low);
        (0.0..=1.0).contains(&part).then_some(part)
    }

    /// From 0 at the left to 1 at the right; `None` outside.
    pub(super) fn along(&self, at: Micros) -> Option<f64> {
        let part = (at.secs() - self.from) / (self.until - self.from);
        (0.0..=1.0).contains(&part).then_some(part)
    }
}

/// Runs since `from`, s. Those that measured one worker after the other are seen only as long as there are no others: the
/// slowest alone would flatten all that is planned.
pub(super) fn visible(lab: &Lab, from: f64) -> impl Iterator<Item = &RunSample> {
    let is_planned = lab.runs.recent.iter().rev().any(|sample| !sample.measures);
    let samples = lab.runs.recent.iter();
    samples.filter(move |sample| sample.at.secs() >= from && !(is_planned && sample.measures))
}

/// The latencies to show: all but the rarest, and nothing further above those of [`SEEN`] of the time than these
/// are above the fastest.
fn seen<'a>(samples: impl Iterator<Item = &'a RunSample>) -> Option<(f64, f64)> {
    let mut times: Vec<f64> = samples.map(|sample| sample.ms).collect();
    times.sort_by(f64::total_cmp);
    let all: f64 = times.iter().sum();
    let at = |part: f64| {
        let mut sum = 0.0;
        let found = times.iter().copied().find(|ms| {
            sum += ms;
            sum >= part * all
        });
        found.or(times.last().copied())
    };
    let (low, usual, high) = (at(0.01)?, at(SEEN)?, at(0.99)?);
    Some((low, high.min(2.0 * usual - low)))
}

#[cfg(test)]
mod tests {
    use collab_core::id::{PartitionId, RunId};

    use super::*;

    fn samples(times: impl Iterator<Item = f64>) -> Vec<RunSample> {
        let sample = |ms| RunSample {
            run: RunId(0),
            partition: PartitionId(1),
            at: Micros(0),
            ms,
            predicted: None,
            measures: false,
        };
        times.map(sample).collect()
    }

    #[test]
    fn runs_that_measured_workers_are_seen_until_one_was_planned() {
        let mut lab = Lab::default();
        let sample = |ms: f64, measures| RunSample { measures, ..samples([ms].into_iter())[0] };
        lab.runs.recent.extend([sample(700.0, true), sample(300.0, true)]);
        assert_eq!(visible(&lab, 0.0).count(), 2);
        lab.runs.recent.extend([sample(90.0, false)]);
        assert_eq!(seen(visible(&lab, 0.0)), Some((90.0, 90.0)));
    }

    #[test]
    fn a_slow_start_leaves_the_panel_and_a_regime_that_lasts_does_not() {
        let usual = |count: usize| (0..count).map(|at| 90.0 + (at % 5) as f64);
        let started = samples((0..10).map(|_| 300.0).chain(usual(300)));
        assert_eq!(seen(started.iter()), Some((90.0, 98.0)));
        let throttled = samples((0..40).map(|_| 300.0).chain(usual(300)));
        assert_eq!(seen(throttled.iter()), Some((90.0, 300.0)));
        assert_eq!(seen(samples([7.0].into_iter()).iter()), Some((7.0, 7.0)));
        assert_eq!(seen([].iter()), None);
    }
}
