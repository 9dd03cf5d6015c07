//! What the lab's measurements say workers and links will take next.

use super::{Lab, WorkerState};
use crate::event::LinkShape;
use crate::id::{Node, WorkerId};
use crate::network::Network;
use crate::predict::{LinkCost, RatePerWorker, link_cost};

/// Runs looked back on: few, so that a throttled worker is seen within as many runs.
const LATE_RUNS: usize = 3;

impl Lab {
    /// Each worker's rate and link as last measured; `None` before a network is loaded.
    ///
    /// A worker that computes now is judged by its late layer times; one without rows by its time for the
    /// whole network, scaled by its CPU share; one never measured (it cannot hold the whole network) is
    /// taken for as slow as the slowest that was.
    pub fn costs(&self) -> Option<RatePerWorker> {
        let network = self.network.as_ref()?;
        let rates: Vec<Option<f64>> = self
            .workers
            .iter()
            .enumerate()
            .map(|(index, worker)| {
                let late = self.late_rate(network, WorkerId::at(index));
                late.or_else(|| single_rate(network, worker))
            })
            .collect();
        let slowest = rates.iter().flatten().copied().reduce(f64::min).unwrap_or(1.0);
        let links = self.workers.iter().enumerate();
        Some(RatePerWorker {
            macs_per_ms: rates.into_iter().map(|rate| rate.unwrap_or(slowest)).collect(),
            links: links.map(|(index, worker)| self.link_of(WorkerId::at(index), worker)).collect(),
            lab: link_cost(LinkShape::default(), 0.2, None),
        })
    }

    fn late_rate(&self, network: &Network, worker: WorkerId) -> Option<f64> {
        let mut macs = 0.0;
        let mut ms = 0.0;
        for layer in self.layers.iter().filter(|layer| layer.worker == worker) {
            let work = network.layers[layer.layer as usize].row_macs * u64::from(layer.rows);
            macs += work as f64;
            ms += layer.measured.late_median(LATE_RUNS)?;
        }
        (macs > 0.0 && ms > 0.0).then(|| macs / ms)
    }

    fn link_of(&self, id: WorkerId, worker: &WorkerState) -> LinkCost {
        let emulated = worker.info.emulation.as_ref().map(|emulation| emulation.link);
        let shape = worker.link_asked.or(emulated).unwrap_or_default();
        let measured = self.link(Node::Worker(id), Node::Lab);
        let rtt_ms = measured.map_or(0.2, |link| link.rtt_ms);
        link_cost(shape, rtt_ms, measured.and_then(|link| link.rate_mbps))
    }
}

fn single_rate(network: &Network, worker: &WorkerState) -> Option<f64> {
    let share = worker.throttle.percent / 100.0;
    Some(network.macs() as f64 / worker.single_compute_ms?.max(1e-3) * share)
}
