//! Timing strips outside of runs, by the clocks and the code that time them in runs.

use std::ops::Range;
use std::time::Duration;

use collab_core::network::Network;
use collab_core::rows::Rows;

use super::stretch::Pace;
use crate::engine::{Map, Model, Spares, Strip};

/// A strip with its layers' times.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedStrip {
    /// The block.
    pub units: Range<usize>,
    /// Rows of its output.
    pub rows: Rows,
    /// Every layer of the block, and how many rows of it are computed.
    pub layers: Vec<(u32, u32)>,
    /// What each round took.
    pub rounds: Vec<Round>,
}

/// What one round of a strip took, on the device as it is emulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// The strip, ms.
    pub ms: f64,
    /// Its layers in their order, ms.
    pub layers: Vec<f32>,
}

/// Runs strips in turn: all of them once to warm up, then `rounds` times.
///
/// An emulated device's times are its CPU times multiplied by `slowdown`; nobody waits for them, so nothing is
/// slept. Without one they are wall times. Every strip reads values that are the same every time.
///
/// # Errors
/// The engine's, as a sentence.
pub fn time_strips(
    model: &dyn Model,
    strips: &[(Range<usize>, Rows)],
    slowdown: Option<f64>,
    rounds: usize,
) -> Result<Vec<TimedStrip>, String> {
    run(model, strips, Pace::of(slowdown, 100.0), rounds, |_| ())
}

/// As [`time_strips`], at this pace; `before` is called, untimed, with the units of each strip that is about to run.
pub(super) fn run(
    model: &dyn Model,
    strips: &[(Range<usize>, Rows)],
    pace: Pace,
    rounds: usize,
    mut before: impl FnMut(&Range<usize>),
) -> Result<Vec<TimedStrip>, String> {
    let network = model.network().clone();
    let prepared = strips.iter().map(|(units, rows)| Ready::new(model, &network, units.clone(), *rows));
    let mut prepared = prepared.collect::<Result<Vec<_>, String>>()?;
    let mut clock = pace.clock(|| model.awaited());
    let mut times = vec![Duration::ZERO; network.layers.len()];
    for round in 0..=rounds {
        for ready in &mut prepared {
            before(&ready.timed.units);
            let took = ready.run(pace, &mut clock, &mut times)?;
            if round > 0 {
                ready.timed.rounds.push(took);
            }
        }
    }
    Ok(prepared.into_iter().map(|ready| ready.timed).collect())
}

/// A strip that can be run, with the values it reads.
pub(super) struct Ready {
    strip: Box<dyn Strip>,
    input: Map,
    spares: Spares,
    timed: TimedStrip,
}

impl Ready {
    pub(super) fn new(
        model: &dyn Model,
        network: &Network,
        units: Range<usize>,
        rows: Rows,
    ) -> Result<Self, String> {
        let demand = network.demand(&units, rows);
        let first = network.layers_of(&units).start as u32;
        let layers = (first..).zip(demand.layers.iter().map(|rows| rows.len())).collect();
        let input = values(network, units.start, demand.input)?;
        let strip = model.strip(units.clone(), rows)?;
        let timed = TimedStrip { units, rows, layers, rounds: Vec::new() };
        Ok(Self { strip, input, spares: Spares::default(), timed })
    }

    pub(super) fn run(
        &mut self,
        pace: Pace,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut [Duration],
    ) -> Result<Round, String> {
        times.fill(Duration::ZERO);
        let mut input = self.spares.map(self.input.cut(), self.input.rows());
        input.values_mut().copy_from_slice(self.input.values());
        let begun = clock();
        self.strip.run(input, clock, times)?;
        let whole = clock().saturating_sub(begun);
        let ms = |time: Duration| pace.scale(time).as_secs_f64() * 1e3;
        let layers = self.timed.layers.iter().map(|(layer, _)| ms(times[*layer as usize]) as f32).collect();
        Ok(Round { ms: ms(whole), layers })
    }
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
