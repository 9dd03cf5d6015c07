//! Calibration: the layers of synthetic networks, timed as the layers of real strips are.
//!
//! Each network's strips run in turn, a few rounds of them, so that a layer finds the caches as another one left
//! them. An emulated device's times are its CPU times multiplied; nobody waits for them, so nothing is slept.

use std::time::{Duration, Instant};

use collab_core::network::Network;
use collab_core::rows::Rows;
use collab_core::wire::{Reply, TimedLayer};

use super::stretch::Pace;
use crate::engine::{Engine, Map, Strip, Synthetic};

/// Rounds after the first one, which warms up; the median counts.
const ROUNDS: usize = 3;

/// A strip with the values it reads and the times of its layers.
struct Timed {
    strip: Box<dyn Strip>,
    input: Map,
    /// Layer and rows.
    layers: Vec<(u32, u32)>,
    /// For each of the layers, a time for each round.
    rounds: Vec<Vec<Duration>>,
}

/// Times one synthetic network after the other; begins none after `budget`.
pub(super) fn calibrate(engine: &dyn Engine, pace: Pace, budget: Duration) -> Result<Reply, String> {
    let begun = Instant::now();
    let mut layers = Vec::new();
    let mut networks = 0;
    for index in 0.. {
        if index > 0 && begun.elapsed() >= budget {
            break;
        }
        let Some(synthetic) = engine.synthetic(index) else { break };
        for strip in time(synthetic?, pace)? {
            for ((layer, rows), times) in strip.layers.into_iter().zip(strip.rounds) {
                if rows > 0 {
                    let ms = (pace.scale(median(times)).as_secs_f64() * 1e3) as f32;
                    layers.push(TimedLayer { network: index as u32, layer, rows, ms });
                }
            }
        }
        networks += 1;
    }
    Ok(Reply::Calibrated { layers, networks, ms: begun.elapsed().as_secs_f64() * 1e3 })
}

fn time((model, strips): Synthetic, pace: Pace) -> Result<Vec<Timed>, String> {
    let network = model.network().clone();
    let prepare = |(units, rows): (std::ops::Range<usize>, Rows)| {
        let demand = network.demand(&units, rows);
        let first = network.layers_of(&units).start as u32;
        let layers: Vec<(u32, u32)> = (first..).zip(demand.layers.iter().map(|rows| rows.len())).collect();
        let rounds = vec![Vec::with_capacity(ROUNDS); layers.len()];
        let input = values(&network, units.start, demand.input)?;
        Ok(Timed { strip: model.strip(units, rows)?, input, layers, rounds })
    };
    let mut strips = strips.into_iter().map(prepare).collect::<Result<Vec<_>, String>>()?;
    let mut times = vec![Duration::ZERO; network.layers.len()];
    let mut clock = pace.clock();
    for round in 0..=ROUNDS {
        for timed in &mut strips {
            times.fill(Duration::ZERO);
            let (cut, rows) = (timed.input.cut(), timed.input.rows());
            let input = Map::from_values(cut, rows, timed.input.values()).map_err(|error| error.to_string())?;
            timed.strip.run(input, &mut clock, &mut times)?;
            if round > 0 {
                for ((layer, _), rounds) in timed.layers.iter().zip(&mut timed.rounds) {
                    rounds.push(times[*layer as usize]);
                }
            }
        }
    }
    Ok(strips)
}

/// Rows of the tensor at a cut, filled with values of either sign, the same every time.
fn values(network: &Network, cut: usize, rows: Rows) -> Result<Map, String> {
    let cut = network.cut(cut);
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let count = cut.row_values() * u64::from(rows.len());
    let values: Vec<f32> = (0..count).map(next).collect();
    Map::from_values(cut, rows, &values).map_err(|error| error.to_string())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
