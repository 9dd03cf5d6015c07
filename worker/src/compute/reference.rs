//! A small strip that is timed while there is nothing else to do, so that a device that drifts is seen without runs.

use std::time::Duration;

use super::stretch::{Pace, Processor};
use super::timing::Ready;
use crate::engine::Engine;

/// Which strip of the first synthetic network: a part of its first layers, a fraction of a millisecond of the host.
const STRIP: usize = 1;
/// Rounds, of which the quickest counts: the others found cold caches or were disturbed.
const ROUNDS: usize = 6;

/// The strip, ready to be timed.
pub(super) struct Reference {
    ready: Ready,
    times: Vec<Duration>,
}

impl Reference {
    /// `None` if the engine has no such strip.
    pub(super) fn new(engine: &dyn Engine) -> Option<Self> {
        let (model, strips) = engine.synthetic(0)?.ok()?;
        let (units, rows) = strips.get(STRIP).or(strips.first())?.clone();
        let network = model.network().clone();
        let ready = Ready::new(&*model, &network, units, rows).ok()?;
        Some(Self { ready, times: vec![Duration::ZERO; network.layers.len()] })
    }

    /// What it takes now, ms.
    pub(super) fn time(&mut self, pace: Pace, processor: &Processor) -> Option<f64> {
        let mut clock = pace.clock(|| processor.awaited());
        let rounds = (0..ROUNDS).map(|_| self.ready.run(pace, &mut clock, &mut self.times));
        let rounds = rounds.collect::<Result<Vec<_>, _>>().ok()?;
        rounds.iter().map(|round| round.ms).min_by(f64::total_cmp)
    }
}
