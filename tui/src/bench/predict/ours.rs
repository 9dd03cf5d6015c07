//! Our own model as the bench asks it: a fitted profile, and a factor for each layer once the network ran.

use collab_core::network::Network;
use collab_core::predict::Profile;

use super::models::{Predictor, Seen};

/// How far a layer may be from its profile.
const LIMITS: (f64, f64) = (0.5, 2.0);

/// A profile with factors.
#[derive(Clone)]
pub struct Ours {
    profile: Profile,
    factors: Vec<f64>,
}

impl Ours {
    /// Nothing but the profile is known.
    pub fn cold(profile: Profile, network: &Network) -> Self {
        Self { profile, factors: vec![1.0; network.layers.len()] }
    }
}

impl Predictor for Ours {
    fn layer(&self, network: &Network, layer: usize, rows: u32) -> f64 {
        self.factors[layer] * self.profile.cost(&network.work(layer)).ms(rows)
    }

    fn learn(&mut self, network: &Network, seen: &[Seen]) {
        for seen in seen {
            let predicted = self.profile.cost(&network.work(seen.layer)).ms(seen.rows);
            if predicted > 0.0 {
                self.factors[seen.layer] = (seen.ms / predicted).clamp(LIMITS.0, LIMITS.1);
            }
        }
    }
}
