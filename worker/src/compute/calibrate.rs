//! Calibration: the layers of synthetic networks, timed as the layers of real strips are.
//!
//! Each network's strips run in turn, a few rounds of them, so that a layer finds the caches as another one left
//! them. Synthetic networks are small, so what a network's weights cost that no cache holds would not be seen: where such
//! a network begins anew, other memory has passed by.

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use collab_core::network::{Network, Term};
use collab_core::wire::TimedLayer;

use super::stretch::Pace;
use super::timing::{self, TimedStrip};
use crate::client::Calibrated;
use crate::engine::Engine;

/// Bytes that pass by before a network begins anew whose weights no cache is to hold: with its own, more than caches hold.
const PASSED_BY: usize = 64 << 20;
/// Bytes of which one is read to have all pass by.
const CACHE_LINE: usize = 64;

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
    let mut other: Vec<u8> = Vec::new();
    while networks == 0 || begun.elapsed() < budget {
        let Some(synthetic) = engine.synthetic(networks as usize) else { break };
        let (model, strips) = synthetic?;
        let large = (0..model.network().layers.len()).any(|layer| reads_memory(model.network(), layer));
        let pass_by = |units: &Range<usize>| {
            if large && units.start == 0 {
                other.resize(PASSED_BY, 1);
                black_box(other.iter().step_by(CACHE_LINE).map(|&value| u64::from(value)).sum::<u64>());
            }
        };
        for strip in timing::run(&*model, &strips, pace, ROUNDS, pass_by)? {
            layers.extend(timed(networks, &strip));
        }
        networks += 1;
    }
    Ok(Calibrated { layers, networks, ms: begun.elapsed().as_secs_f64() * 1e3 })
}

/// Whether a layer's weights are counted as coming from memory.
fn reads_memory(network: &Network, layer: usize) -> bool {
    network.work(layer).iter().any(|work| work.term == Term::MemoryBytes)
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
