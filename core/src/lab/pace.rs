//! What the lab's measurements say workers and links will take next, and what it learns from each run.

use super::Lab;
use super::runs::CurrentRun;
use crate::event::{LayersTimed, Level, LinkShape, SpanKind};
use crate::id::{Node, PartitionId, WorkerId};
use crate::network::Network;
use crate::partition::Partition;
use crate::predict::{FleetCosts, LayerCost, LinkCost, LinkMemory, RunMemory, TimedBlock, TimedLayer};
use crate::predict::{WorkerMemory, assumed_shape, link_cost};
use crate::schedule::{Schedule, StripPlan};
use crate::simulate::simulate;

use super::prediction::Prediction;

/// A change of pace beyond this is worth a sentence.
const WORTH_TELLING: f64 = 1.1;

impl Lab {
    /// Each worker's layers and each link as last learnt; `None` before anything is known of any worker.
    ///
    /// A worker never measured (it cannot hold the whole network) is taken for as slow as the slowest that
    /// was.
    pub fn costs(&self) -> Option<FleetCosts> {
        let network = self.network.as_ref()?;
        let shape = assumed_shape(network);
        let known: Vec<Option<Vec<LayerCost>>> = (0..self.workers.len())
            .map(|worker| self.learnt.get(worker).filter(|memory| memory.is_known()))
            .map(|memory| Some(memory?.costs(network, &shape)))
            .collect();
        let total = |costs: &[LayerCost]| -> f64 {
            let layers = costs.iter().zip(&network.layers);
            layers.map(|(cost, layer)| cost.ms(layer.output.rows)).sum()
        };
        let slowest = known.iter().flatten().max_by(|a, b| total(a).total_cmp(&total(b)))?.clone();
        let layers: Vec<Vec<LayerCost>> =
            known.into_iter().map(|costs| costs.unwrap_or_else(|| slowest.clone())).collect();
        let pieces = self.learnt.iter().map(WorkerMemory::piece).collect();
        let mut costs = FleetCosts::new(layers, pieces, |from, to| self.link_cost(from, to));
        for (index, worker) in self.workers.iter().enumerate() {
            costs.slow(index, 100.0 / worker.throttle.percent.max(1.0));
        }
        Some(costs)
    }

    /// What a run of `plan` should take as far as is known now; `None` if a worker it uses was never measured.
    pub fn predict(&self, plan: &Partition) -> Option<Prediction> {
        let known = self.partitions.iter().find(|(_, known)| known.plan == *plan);
        self.predict_as(plan, known.map(|(id, _)| *id))
    }

    fn predict_as(&self, plan: &Partition, partition: Option<PartitionId>) -> Option<Prediction> {
        let network = self.network.as_ref()?;
        let used = (0..plan.workers()).filter(|&worker| plan.uses(worker));
        if !used.into_iter().all(|worker| self.learnt.get(worker).is_some_and(WorkerMemory::is_known)) {
            return None;
        }
        let strips = self.learnt.iter().map(|memory| memory.strips().clone()).collect();
        let costs = self.costs()?.with_strips(strips);
        let schedule = Schedule::new(network, plan);
        let timeline = simulate(network, &schedule, &costs);
        let factor = self.run_memory.factor(partition);
        let half = self.accuracy.run_interval().half();
        Some(Prediction::new(network, &schedule, &costs, timeline, factor, half))
    }

    /// The same for a partition that is known under a number; before anything was measured, what its
    /// proposal said.
    pub(super) fn predict_partition(&self, partition: PartitionId) -> Option<Prediction> {
        let known = self.partitions.get(&partition)?;
        self.predict_as(&known.plan, Some(partition)).or_else(|| {
            let half = self.accuracy.run_interval().half();
            Some(Prediction {
                ms: known.predicted_ms?,
                factor: 1.0,
                half,
                spans: known.spans.clone(),
                layers: known.layers.clone(),
            })
        })
    }

    /// What a known partition takes as planners cost it, ms: without what it alone learnt of itself by running.
    /// Before anything was measured, what its proposal said.
    pub(super) fn cost_ms(&self, partition: PartitionId) -> Option<f64> {
        let known = self.partitions.get(&partition)?;
        let (Some(network), Some(costs)) = (&self.network, self.costs()) else { return known.predicted_ms };
        Some(simulate(network, &Schedule::new(network, &known.plan), &costs).finish_ms)
    }

    /// What a worker takes for kinds of work, its layers as measured, and its scale.
    pub fn memory(&self, worker: WorkerId) -> Option<&WorkerMemory> {
        self.learnt.get(worker.index())
    }

    /// Starts to learn anew of one worker: it is another one, or was calibrated.
    pub(super) fn relearn(&mut self, worker: usize) {
        let Some(network) = &self.network else { return };
        let profile = self.workers.get(worker).and_then(|state| state.profile.as_ref());
        let fresh = WorkerMemory::new(network, profile);
        match self.learnt.get_mut(worker) {
            Some(slot) => *slot = fresh,
            None => self.learnt.push(fresh),
        }
    }

    /// Starts to learn anew of every worker: the network is another one.
    pub(super) fn relearn_all(&mut self) {
        self.learnt.clear();
        self.run_memory = RunMemory::default();
        (0..self.workers.len()).for_each(|worker| self.relearn(worker));
    }

    /// Takes in everything that was reported of a run that ended.
    pub(super) fn learn(&mut self, run: &CurrentRun, run_ms: f64) {
        let Some(network) = self.network.clone() else { return };
        let Some(plan) = self.partitions.get(&run.partition).map(|known| known.plan.clone()) else { return };
        let schedule = Schedule::new(&network, &plan);
        let shape = assumed_shape(&network);
        let mut steady = true;
        for worker in 0..self.workers.len() {
            let share = self.workers[worker].throttle.percent / 100.0;
            // A run that was throttled on its way belongs to neither share.
            let same = run.shares.get(worker).is_some_and(|before| (before - share).abs() < 1e-6);
            if !same || self.workers[worker].throttle.is_pending() {
                steady = false;
                continue;
            }
            let blocks = timed_blocks(&network, &schedule, run, worker);
            let Some(memory) = self.learnt.get_mut(worker).filter(|_| !blocks.is_empty()) else { continue };
            if let Some(factor) = memory.learn(&network, &blocks, share, &shape) {
                self.tell_change(worker, factor);
            }
        }
        if let Some(predicted) = run.predicted.as_deref().filter(|_| steady) {
            self.run_memory.learn(run.partition, run_ms * predicted.factor / predicted.ms);
        }
        self.learn_transfers(run, run_ms);
    }

    fn tell_change(&mut self, worker: usize, factor: f64) {
        if factor.max(1.0 / factor) < WORTH_TELLING {
            return;
        }
        let id = WorkerId::at(worker);
        let (word, by) = if factor > 1.0 { ("slowed", factor) } else { ("quickened", 1.0 / factor) };
        let text = format!("{id} {word} by {by:.2} at {}, without having been told to", self.now);
        self.log(Level::Warning, text);
    }

    fn learn_transfers(&mut self, run: &CurrentRun, run_ms: f64) {
        for transfer in transfers(run, run_ms) {
            self.link_memory(transfer.from, transfer.to).learn(transfer.bytes, transfer.ms);
        }
    }

    fn link_memory(&mut self, from: Node, to: Node) -> &mut LinkMemory {
        let at = self.transfers.iter().position(|(a, b, _)| (*a, *b) == (from, to));
        let at = at.unwrap_or_else(|| {
            self.transfers.push((from, to, LinkMemory::default()));
            self.transfers.len() - 1
        });
        &mut self.transfers[at].2
    }

    /// A worker's line is another one from now on: what was learnt of it is of no use.
    pub(super) fn forget_transfers_of(&mut self, worker: WorkerId) {
        let node = Node::Worker(worker);
        self.transfers.iter_mut().filter(|(from, ..)| *from == node).for_each(|(.., link)| link.forget());
    }

    /// What a transfer from one node to another takes.
    pub fn link_cost(&self, from: Node, to: Node) -> LinkCost {
        let shape = match from {
            Node::Lab => LinkShape::default(),
            Node::Worker(worker) => self.worker(worker).map_or_else(LinkShape::default, |state| {
                let emulated = state.info.emulation.as_ref().map(|emulation| emulation.link);
                state.link_asked.or(emulated).unwrap_or_default()
            }),
        };
        let measured = self.link(from, to).or_else(|| self.link(to, from));
        // Between workers nothing is measured before they exchange rows: they are as far as the lab.
        let measured = measured.or_else(|| self.link(from, Node::Lab));
        let rtt_ms = measured.map_or(0.2, |link| link.rtt_ms);
        let rate = measured.and_then(|link| link.rate_mbps);
        let memory = self.transfers.iter().find(|(a, b, _)| (*a, *b) == (from, to));
        match memory {
            Some((.., memory)) => memory.cost(shape, rtt_ms, rate),
            None => link_cost(shape, rtt_ms, rate),
        }
    }
}

/// Rows under way from one node to another.
pub(super) struct Transfer {
    pub(super) from: Node,
    pub(super) to: Node,
    pub(super) bytes: u64,
    /// From the first byte sent to the last received.
    pub(super) ms: f64,
}

/// Transfers that somebody waited for show how long rows are under way; others only that they came in time.
pub(super) fn transfers(run: &CurrentRun, run_ms: f64) -> Vec<Transfer> {
    let sends = || run.spans.iter().filter(|span| span.kind == SpanKind::Send);
    let waits = run.spans.iter().filter(|span| span.kind == SpanKind::Wait);
    let awaited = waits.filter_map(|wait| {
        let peer = wait.peer?;
        let send = sends().find(|send| {
            let block = if peer == Node::Lab { wait.block } else { send.block + 1 };
            send.node == peer && send.peer == Some(wait.node) && block == wait.block && send.rows == wait.rows
        })?;
        Some(Transfer { from: peer, to: wait.node, bytes: send.bytes, ms: wait.end_ms - send.start_ms })
    });
    let to_lab = sends().filter(|span| span.peer == Some(Node::Lab));
    let last = to_lab.max_by(|a, b| a.end_ms.total_cmp(&b.end_ms));
    let last = last.map(|send| Transfer {
        from: send.node,
        to: Node::Lab,
        bytes: send.bytes,
        ms: run_ms - send.start_ms,
    });
    awaited.chain(last).collect()
}

/// The blocks that `worker` computed in a run, as its reports say.
fn timed_blocks(network: &Network, schedule: &Schedule, run: &CurrentRun, worker: usize) -> Vec<TimedBlock> {
    let id = WorkerId::at(worker);
    let of_worker = run.layers.iter().filter(|timed| timed.worker == id);
    of_worker.filter_map(|timed| timed_block(network, schedule, run, timed)).collect()
}

fn timed_block(
    network: &Network,
    schedule: &Schedule,
    run: &CurrentRun,
    timed: &LayersTimed,
) -> Option<TimedBlock> {
    let stage = schedule.stages.get(timed.block as usize)?;
    let strip: &StripPlan = stage.strips.get(timed.worker.index())?;
    let of_block = run.spans.iter().filter(|span| {
        span.node == Node::Worker(timed.worker) && span.block == timed.block && span.kind == SpanKind::Compute
    });
    let (count, spans_ms) =
        of_block.fold((0, 0.0), |(count, sum), span| (count + 1, sum + span.end_ms - span.start_ms));
    let (input, output) = (network.cut(stage.units.0 as usize), network.cut(stage.units.1 as usize));
    let layers = timed.layers.iter().map(|&(layer, rows, ms)| TimedLayer {
        layer: layer as usize,
        rows,
        ms: f64::from(ms),
    });
    let layers = layers.filter(|layer| layer.layer < network.layers.len()).collect();
    let read = strip.parts.iter().map(|part| input.bytes(part.need.len()));
    let sent = strip.sends.iter().map(|send| output.bytes(send.rows.len()));
    Some(TimedBlock {
        units: stage.units.0 as usize..stage.units.1 as usize,
        rows: strip.rows,
        layers,
        pieces: strip.parts.len() as u32,
        bytes_in: read.sum(),
        bytes_out: sent.sum(),
        spans_ms: (count == strip.parts.len()).then_some(spans_ms),
    })
}
