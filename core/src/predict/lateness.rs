//! What is waited for beyond expected times, because a block that several workers share is done when the slowest is.
//!
//! Strips and transfers vary from run to run, and the latest of several is later than they are on average. A constant and
//! a share of the strip's own time stand for it: rows of a shared block come that much later to whoever waits for them.
//! Where nobody waits, as other rows came later or were computed meanwhile, nothing is lost, as in a run. A term this
//! simple leaves spans separable, so planners know it as well as the simulator, and do not exchange rows for nothing.

use serde::{Deserialize, Serialize};

/// How much later than expected a worker's rows of a shared block are there. Nothing is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// At every exchange, ms.
    pub exchange_ms: f64,
    /// Of the time that the strip is computed.
    pub share: f64,
}

impl Lateness {
    /// As fleets are before any of their partitions ran: so emulated devices of one host were, over eight networks and
    /// partitions of one to fifteen blocks.
    pub const USUAL: Self = Self { exchange_ms: 0.4, share: 0.03 };

    /// Milliseconds for a strip that is computed for `strip_ms`.
    #[inline]
    pub fn ms(&self, strip_ms: f64) -> f64 {
        self.exchange_ms + self.share * strip_ms
    }

    /// The same, `factor` times later.
    pub fn times(&self, factor: f64) -> Self {
        Self { exchange_ms: factor * self.exchange_ms, share: factor * self.share }
    }
}
