//! Running a prepared graph and timing its layers within one run.

use std::time::Duration;

use collab_core::network::Network;

/// Time spent in each layer of a network, summed over runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerTimes(Vec<Duration>);

impl LayerTimes {
    /// No time in any layer of `network`.
    pub fn new(network: &Network) -> Self {
        Self(vec![Duration::ZERO; network.layers.len()])
    }

    /// Back to no time.
    pub fn clear(&mut self) {
        self.0.fill(Duration::ZERO);
    }

    /// Time of every layer, in the network's order.
    pub fn layers(&self) -> &[Duration] {
        &self.0
    }

    /// Time of all layers.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, layer: u32, time: Duration) {
        if let Some(slot) = self.0.get_mut(layer as usize) {
            *slot += time;
        }
    }

    /// Adds `time` to `layers` that were computed together, in proportion to `laps`; the last gets what is left of it.
    pub(crate) fn share(&mut self, layers: &[u32], time: Duration, laps: &[Duration]) {
        let all = laps.iter().sum::<Duration>().as_secs_f64();
        let Some((&last, others)) = layers.split_last() else { return };
        let mut rest = time;
        for (&layer, lap) in others.iter().zip(laps) {
            let part = if all > 0.0 { lap.as_secs_f64() / all } else { 1.0 / laps.len() as f64 };
            let own = time.mul_f64(part).min(rest);
            self.add(layer, own);
            rest -= own;
        }
        self.add(last, rest);
    }
}
