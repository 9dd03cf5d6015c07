//! Whether an event can have happened: files come from anybody, and what is folded is learnt from.

use super::geometry::is_whole;
use super::{BlockTimes, Event, Proposal, What};
use crate::command::Verb;
use crate::id::WorkerId;
use crate::wire::check_partition;

impl Event {
    /// Whether what it says can have been: times are no less than nothing and finite, CPU shares more than nothing and at
    /// most all, networks hang together. A lab tells only such events; one that is not is to be taken as damaged.
    pub fn is_possible(&self) -> bool {
        match &self.what {
            What::NetworkLoaded { network } => is_whole(network),
            What::WorkerJoined(info) => info.worker.index() < WorkerId::MAX,
            What::PartitionProposed(proposal) => {
                check_partition(&proposal.plan).is_ok() && is_predicted(proposal)
            }
            What::WorkerStatus(status) => is_share(status.throttle_percent),
            What::CommandGiven { verb: Verb::Throttle { percent, .. }, .. } => is_share(*percent),
            What::LinkMeasured { rtt_ms, rate_mbps, .. } => {
                is_time(*rtt_ms) && rate_mbps.is_none_or(|rate| rate > 0.0 && rate.is_finite())
            }
            What::SingleMeasured { ms, compute_ms, .. } => is_time(*ms) && is_time(*compute_ms),
            What::WorkerCalibrated { profile, .. } => {
                profile.coefficients.iter().all(|coefficient| is_time(coefficient.ms))
            }
            What::PartitionRehearsed { blocks, .. } => blocks.iter().all(are_timed),
            What::LayersTimed(timed) => timed.layers.iter().all(is_timed),
            What::SpanDone(span) => span.start_ms.is_finite() && span.end_ms.is_finite(),
            What::RunDone { ms, .. } => is_time(*ms),
            _ => true,
        }
    }
}

/// Whether all that a proposal predicts are times.
pub(crate) fn is_predicted(proposal: &Proposal) -> bool {
    proposal.predicted_ms.is_none_or(is_time)
        && proposal.spans.iter().all(|span| is_time(span.start_ms) && is_time(span.end_ms))
        && proposal.layers.iter().all(|layer| is_time(layer.ms))
}

/// A day, ms: nothing that is measured takes longer.
const LONGEST_MS: f64 = 86_400_000.0;

/// Whether something can have taken so long, ms.
pub(crate) fn is_time(ms: f64) -> bool {
    (0.0..=LONGEST_MS).contains(&ms)
}

fn is_share(percent: f64) -> bool {
    percent > 0.0 && percent <= 100.0
}

fn are_timed(block: &BlockTimes) -> bool {
    block.layers.iter().all(is_timed)
}

/// A layer, its rows and what they took, ms.
fn is_timed(&(_, _, ms): &(u32, u32, f32)) -> bool {
    is_time(f64::from(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LayersTimed;
    use crate::id::{RunId, WorkerId};
    use crate::time::Micros;

    #[test]
    fn a_layer_takes_no_less_than_nothing_and_no_longer_than_a_day() {
        let timed = |ms: f32| {
            let timed =
                LayersTimed { run: RunId(1), worker: WorkerId(0), block: 0, layers: vec![(0, 8, ms)] };
            Event { at: Micros(0), what: What::LayersTimed(timed) }.is_possible()
        };
        assert!(timed(0.0) && timed(12.5));
        for wrong in [-1.0, f32::NAN, f32::INFINITY, 1e30] {
            assert!(!timed(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_worker_has_some_of_its_cpu_and_no_more_than_all() {
        for (percent, possible) in [(100.0, true), (0.5, true), (0.0, false), (-1.0, false), (65535.0, false)]
        {
            assert_eq!(is_share(percent), possible, "{percent}");
        }
    }
}
