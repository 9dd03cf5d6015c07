//! The last line of a run without a screen: what came of it.

use collab_core::event::{Answer, Class};
use collab_core::lab::Lab;
use serde::Serialize;

/// The last line of a headless run.
#[derive(Debug, Serialize)]
pub struct Summary {
    event: &'static str,
    /// Runs that ended with an output.
    pub runs: u64,
    /// Runs that ended without one.
    pub lost: u64,
    /// Median latency under the last partition, ms.
    pub p50_ms: Option<f64>,
    /// 95th percentile, ms.
    pub p95_ms: Option<f64>,
    /// The fastest worker alone, ms.
    pub best_single_ms: Option<f64>,
    /// `best_single_ms / p50_ms`.
    pub speedup: Option<f64>,
    /// The worst verdict of all comparisons.
    pub verdict: &'static str,
    /// The last run's classes.
    pub top: Option<Vec<Class>>,
    /// The last run's peak signal-to-noise ratio, dB.
    pub psnr_db: Option<f64>,
    /// Predicted against measured, blocks, as a fraction.
    pub block_mape: Option<f64>,
    /// Predicted against measured, layers, as a fraction.
    pub layer_mape: Option<f64>,
    /// The session's file.
    pub session: Option<String>,
}

impl Summary {
    /// Of what `lab` shows.
    pub fn of(lab: &Lab, session: Option<String>) -> Self {
        let quantile = |at: f64| rounded(lab.runs.quantile_ms(lab.current?, at));
        let p50_ms = quantile(0.5);
        let best_single_ms = rounded(lab.best_single().map(|(_, ms)| ms));
        let (top, psnr_db) = match &lab.answer {
            Some(Answer::Classes(classes)) => (Some(classes.clone()), None),
            Some(Answer::Picture { psnr_db, .. }) => (None, rounded(*psnr_db)),
            _ => (None, None),
        };
        Self {
            event: "summary",
            runs: lab.runs.done,
            lost: lab.runs.lost,
            p50_ms,
            p95_ms: quantile(0.95),
            best_single_ms,
            speedup: rounded(best_single_ms.zip(p50_ms).map(|(single, p50)| single / p50)),
            verdict: lab.runs.overall().unwrap_or("unchecked"),
            top,
            psnr_db,
            block_mape: rounded(lab.block_mape()),
            layer_mape: rounded(lab.layer_mape()),
            session,
        }
    }
}

/// To a thousandth: more digits would claim a precision that is not there.
fn rounded(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(|value| (value * 1e3).round() / 1e3)
}
