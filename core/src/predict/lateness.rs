//! What is waited for beyond expected times, because a block that several workers share is done when the slowest is.
//!
//! Strips and transfers vary from run to run, and the latest of several is later than they are on average. A constant and
//! a share of the strip's own time stand for it: rows of a shared block come that much later to whoever waits for them.
//! Where nobody waits, as other rows came later or were computed meanwhile, nothing is lost, as in a run. A term this
//! simple leaves spans separable, so planners know it as well as the simulator, and do not exchange rows for nothing.
//!
//! The latest of three that vary alike is later than they are on average by 0.85 of their standard deviation, which is
//! what they differ from their mean by, nearly. So the share is how much workers' times vary, as far as that is known.

use serde::{Deserialize, Serialize};

/// What the share may be: no machine is calmer, and none so restless that its strips tell nothing.
const SHARES: (f64, f64) = (0.01, 0.3);

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

    /// As it is usual of workers whose times differ by `variation` of them from run to run.
    pub fn of(variation: f64) -> Self {
        Self { share: variation.clamp(SHARES.0, SHARES.1), ..Self::USUAL }
    }

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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_latest_of_three_is_later_by_about_what_they_vary() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut late, mut off) = (0.0, 0.0);
        let rounds = 20_000;
        for _ in 0..rounds {
            // Sums of several even numbers are nearly normal.
            let mut draw = || (0..6).map(|_| rng.random_range(-0.05..0.05)).sum::<f64>();
            let three = [draw(), draw(), draw()];
            late += three.iter().copied().fold(f64::MIN, f64::max) / f64::from(rounds);
            off += three.iter().map(|x| x.abs()).sum::<f64>() / 3.0 / f64::from(rounds);
        }
        let said = Lateness::of(off).ms(1.0) - Lateness::USUAL.exchange_ms;
        assert!((said / late - 1.0).abs() < 0.1, "said {said}, was {late}");
    }

    #[test]
    fn no_machine_is_taken_for_still_or_for_hopeless() {
        for (variation, share) in [(0.0, SHARES.0), (0.05, 0.05), (7.0, SHARES.1)] {
            assert_eq!(Lateness::of(variation).share, share);
        }
    }
}
