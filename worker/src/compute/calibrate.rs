//! Calibration: the layers of synthetic networks, timed as the layers of real strips are.
//!
//! Each network's strips run in turn, a few rounds of them, so that a layer finds the caches as another one left
//! them.

use std::time::{Duration, Instant};

use collab_core::wire::TimedLayer;

use super::stretch::Pace;
use super::timing::{self, TimedStrip};
use crate::client::Calibrated;
use crate::engine::Engine;

/// Rounds of each strip after the first one, which warms up; the median counts.
const ROUNDS: usize = 5;

/// Times the engine's synthetic networks here and now, as a worker on this machine does that emulates a device of
/// this slowdown, or none.
///
/// # Errors
/// The engine's, as a sentence.
pub fn calibrate(engine: &dyn Engine, slowdown: Option<f64>, budget: Duration) -> Result<Calibrated, String> {
    run(engine, Pace::of(slowdown, 100.0), budget)
}

/// Times one synthetic network after the other; begins none after `budget`.
pub(super) fn run(engine: &dyn Engine, pace: Pace, budget: Duration) -> Result<Calibrated, String> {
    let begun = Instant::now();
    let mut layers = Vec::new();
    let mut networks = 0;
    while networks == 0 || begun.elapsed() < budget {
        let Some(synthetic) = engine.synthetic(networks as usize) else { break };
        let (model, strips) = synthetic?;
        for strip in timing::run(&*model, &strips, pace, ROUNDS)? {
            layers.extend(timed(networks, &strip));
        }
        networks += 1;
    }
    Ok(Calibrated { layers, networks, ms: begun.elapsed().as_secs_f64() * 1e3 })
}

/// The layers of which a strip computes rows, each with the median of its times.
fn timed(network: u32, strip: &TimedStrip) -> impl Iterator<Item = TimedLayer> {
    let layers = strip.layers.iter().enumerate().filter(|(_, (_, rows))| *rows > 0);
    layers.map(move |(at, &(layer, rows))| {
        let mut times: Vec<f32> = strip.rounds.iter().map(|round| round.layers[at]).collect();
        times.sort_by(f32::total_cmp);
        TimedLayer { network, layer, rows, ms: times.get(times.len() / 2).copied().unwrap_or_default() }
    })
}
