//! What a transfer takes on a directed link, from transfers that were measured.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::nnls::{fit_relative, median};
use super::{ASSUMED_MBPS, LinkCost, push_bounded};
use crate::event::LinkShape;

/// Transfers remembered for a link.
const SAMPLES: usize = 16;
/// Transfers before they count more than what the link is said to do.
const ENOUGH: usize = 4;
/// A link that is not paced shows its rate only once transfers are this different in size.
const SPREAD: f64 = 4.0;

/// Late transfers over a directed link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkMemory {
    /// Bytes, and ms from the first byte sent until the rows were there.
    transfers: VecDeque<(u32, f32)>,
}

impl LinkMemory {
    /// Takes in a transfer that somebody waited for: its bytes, and ms from its first byte to its arrival.
    pub fn learn(&mut self, bytes: u64, ms: f64) {
        if ms.is_finite() && ms >= 0.0 {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            push_bounded(&mut self.transfers, (bytes, ms as f32), SAMPLES);
        }
    }

    /// Forgets everything: the link is another one from now on.
    pub fn forget(&mut self) {
        self.transfers.clear();
    }

    /// Delay and rate of a link paced to `shape`, with `rtt_ms` between its ends when idle and the rate
    /// measured when it was set up, if it was.
    pub fn cost(&self, shape: LinkShape, rtt_ms: f64, measured_mbps: Option<f64>) -> LinkCost {
        let said = shape.rate_mbps.or(measured_mbps).unwrap_or(ASSUMED_MBPS);
        let idle = LinkCost::new(said, (rtt_ms / 2.0).max(shape.delay_ms));
        if self.transfers.len() < ENOUGH {
            return idle;
        }
        let sizes = || self.transfers.iter().map(|(bytes, _)| f64::from(*bytes));
        let differ = sizes().fold(0.0, f64::max) > SPREAD * sizes().fold(f64::INFINITY, f64::min).max(1.0);
        if shape.rate_mbps.is_none() && differ {
            let rows: Vec<Vec<f64>> = sizes().map(|bytes| vec![1.0, bytes]).collect();
            let times: Vec<f64> = self.transfers.iter().map(|(_, ms)| f64::from(*ms)).collect();
            if let [delay_ms, byte_ms] = fit_relative(&rows, &times)[..]
                && byte_ms > 0.0
            {
                return self.late(LinkCost { delay_ms, bytes_per_ms: byte_ms.recip() });
            }
        }
        // The rate is known: what is left is delay, and its median does not mind a transfer held up once.
        let left = |(bytes, ms): &(u32, f32)| f64::from(*ms) - idle.sending_ms(u64::from(*bytes));
        let delay_ms = median(self.transfers.iter().map(left).collect());
        if delay_ms < 0.0 && shape.rate_mbps.is_none() {
            // Faster than the rate that was measured when the link was set up, whatever disturbed that.
            let rate = |(bytes, ms): &(u32, f32)| f64::from(*bytes) / f64::from(ms.max(1e-3));
            return self.late(LinkCost {
                delay_ms: shape.delay_ms,
                bytes_per_ms: median(self.transfers.iter().map(rate).collect()),
            });
        }
        self.late(LinkCost { delay_ms: delay_ms.max(shape.delay_ms), ..idle })
    }

    /// With what transfers are later than usual, on average but for the latest: who waits for several, one after the
    /// other, waits for their sum, of which the middle is no part.
    fn late(&self, usual: LinkCost) -> LinkCost {
        let over =
            |(bytes, ms): &(u32, f32)| f64::from(*ms) - usual.delay_ms - usual.sending_ms(u64::from(*bytes));
        let mut over: Vec<f64> = self.transfers.iter().map(over).collect();
        over.sort_by(f64::total_cmp);
        over.pop();
        let mean = over.iter().sum::<f64>() / over.len().max(1) as f64;
        LinkCost { delay_ms: usual.delay_ms + mean.max(0.0), ..usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACED: LinkShape = LinkShape { rate_mbps: Some(100.0), delay_ms: 1.0 };

    #[test]
    fn a_paced_link_keeps_its_rate_and_learns_its_delay() {
        let mut link = LinkMemory::default();
        assert_eq!(link.cost(PACED, 0.2, None), LinkCost::new(100.0, 1.0));
        for at in 0..10u64 {
            let bytes = 20_000 + 5_000 * at;
            let late = if at == 4 { 8.0 } else { 0.0 };
            link.learn(bytes, bytes as f64 / 12_500.0 + 1.6 + late);
        }
        let cost = link.cost(PACED, 0.2, None);
        assert_eq!(cost.bytes_per_ms, 12_500.0);
        assert!((cost.delay_ms - 1.6).abs() < 1e-3, "{cost:?}");
    }

    #[test]
    fn a_link_that_is_not_paced_shows_its_rate_in_transfers_of_different_sizes() {
        let mut link = LinkMemory::default();
        for at in 0..12u64 {
            let bytes = 1_000 << (at % 10);
            link.learn(bytes, 0.3 + bytes as f64 / 50_000.0);
        }
        let cost = link.cost(LinkShape::default(), 0.2, Some(940.0));
        assert!(
            (cost.delay_ms - 0.3).abs() < 0.01 && (cost.bytes_per_ms / 5e4 - 1.0).abs() < 0.05,
            "{cost:?}"
        );
    }

    #[test]
    fn a_link_that_is_faster_than_it_was_said_to_be_is_believed_after_a_few_transfers() {
        let mut link = LinkMemory::default();
        for _ in 0..8 {
            link.learn(150_000, 0.6);
        }
        let cost = link.cost(LinkShape::default(), 0.1, Some(940.0));
        let total = cost.delay_ms + cost.sending_ms(150_000);
        assert!((total / 0.6 - 1.0).abs() < 0.02, "{total} ms by {cost:?}");
    }
}
