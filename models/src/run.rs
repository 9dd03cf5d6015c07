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
}
