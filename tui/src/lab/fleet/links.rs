//! What links take, measured before anything runs over them.

use collab_core::event::What;
use collab_core::id::{Node, WorkerId};
use collab_worker::LinkSample;
use collab_worker::client::WorkerLink;

/// Bytes that measure a link's rate: a fifth of a second over the slowest preset.
const PROBE_BYTES: u64 = 1 << 20;
/// Fleets up to this size have every directed link between workers measured.
const MEASURED_PAIRS: usize = 4;

/// Measures every worker's way to the lab and back, and the ways between workers of a small fleet.
pub(in crate::lab) async fn measure(workers: &[(WorkerId, WorkerLink)]) -> Vec<What> {
    let between = workers.len() <= MEASURED_PAIRS;
    let mut measured = Vec::new();
    for (worker, link) in workers {
        let node = Node::Worker(*worker);
        // One that fails is not measured; the link's own errors are told elsewhere.
        let there = link.measure(PROBE_BYTES).await.ok();
        measured.extend(there.map(|sample| event(Node::Lab, node, sample)));
        let others = workers.iter().map(|(other, _)| *other).filter(|other| between && other != worker);
        for to in std::iter::once(Node::Lab).chain(others.map(Node::Worker)) {
            let sample = link.measure_to(to, PROBE_BYTES).await.ok();
            measured.extend(sample.map(|sample| event(node, to, sample)));
        }
    }
    measured
}

fn event(from: Node, to: Node, sample: LinkSample) -> What {
    What::LinkMeasured {
        from,
        to,
        rtt_ms: sample.rtt_us as f64 / 1e3,
        rate_mbps: sample.rate_mbps,
        offset_ms: sample.offset_us as f64 / 1e3,
    }
}
