//! What the lab's measurements say workers and links will take next, and what it learns from each run.

use super::Lab;
use super::runs::CurrentRun;
use crate::event::{BlockTimes, Level, Span, SpanKind};
use crate::id::{Node, PartitionId, WorkerId};
use crate::network::Network;
use crate::partition::Partition;
use crate::predict::{
    FleetCosts, Lateness, RunMemory, TimedBlock, TimedLayer, WorkerCosts, WorkerMemory, assumed_shape,
};
use crate::schedule::{Schedule, StripPlan};
use crate::simulate::{Timeline, simulate};

use super::prediction::Prediction;

/// A change of pace beyond this is worth a sentence…
const WORTH_TELLING: f64 = 1.1;
/// …unless other programs make the worker's computing take longer than this, %.
const UNDELAYED: f64 = 5.0;

impl Lab {
    /// Each worker's layers and each link as last learnt; `None` before anything is known of any worker.
    ///
    /// A worker never measured (it cannot hold the whole network) is taken for as slow as the slowest that
    /// was.
    pub fn costs(&self) -> Option<FleetCosts> {
        let network = self.network.as_ref()?;
        let shape = assumed_shape(network);
        let known: Vec<Option<WorkerCosts>> = (0..self.workers.len())
            .map(|worker| self.learnt.get(worker).filter(|memory| memory.is_known()))
            .map(|memory| Some(memory?.costs(network, &shape)))
            .collect();
        let total = |costs: &WorkerCosts| -> f64 {
            let layers = costs.layers.iter().zip(&network.layers);
            layers.map(|(cost, layer)| cost.ms(layer.output.rows)).sum()
        };
        let slowest = known.iter().flatten().max_by(|a, b| total(a).total_cmp(&total(b)))?.clone();
        let workers = known.into_iter().map(|costs| costs.unwrap_or_else(|| slowest.clone())).collect();
        let mut costs = FleetCosts::new(workers, |from, to| self.link_cost(from, to))
            .with_lateness(self.run_memory.lateness(None, self.usual_lateness()));
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
        let schedule = Schedule::new(network, plan);
        let (costs, timeline) = self.simulated(network, &schedule, partition)?;
        let factor = self.run_memory.factor(partition);
        let half = self.accuracy.run_interval().half();
        Some(Prediction::new(network, &schedule, &costs, timeline, factor, half))
    }

    /// A run as it is simulated now, from strips that ran as they ran, and what it is simulated from.
    fn simulated(
        &self,
        network: &Network,
        schedule: &Schedule,
        partition: Option<PartitionId>,
    ) -> Option<(FleetCosts, Timeline)> {
        let strips = self.learnt.iter().map(|memory| memory.strips().clone()).collect();
        let mut costs = self.costs()?.with_strips(strips);
        let mut usual = self.usual_lateness();
        if !self.run_memory.knows(partition) {
            usual = usual.times(simulate(network, schedule, &costs).evenness());
        }
        costs = costs.with_lateness(self.run_memory.lateness(partition, usual));
        let timeline = simulate(network, schedule, &costs);
        Some((costs, timeline))
    }

    /// The same for a partition that is known under a number; before anything was measured, what its
    /// proposal said.
    pub(super) fn predict_partition(&self, partition: PartitionId) -> Option<Prediction> {
        let known = self.partitions.get(&partition)?;
        self.predict_as(&known.plan, Some(partition)).or_else(|| {
            let half = self.accuracy.run_interval().half();
            Some(Prediction {
                ms: known.predicted_ms?,
                half,
                spans: known.spans.clone(),
                layers: known.layers.clone(),
            })
        })
    }

    /// What a known partition takes as planners cost it, ms: without what it alone learnt of itself by running.
    /// Without `costs`, as nothing was measured, what its proposal said.
    pub(super) fn cost_ms(&self, partition: PartitionId, costs: Option<&FleetCosts>) -> Option<f64> {
        let known = self.partitions.get(&partition)?;
        let (Some(network), Some(costs)) = (&self.network, costs) else { return known.predicted_ms };
        Some(simulate(network, &Schedule::new(network, &known.plan), costs).finish_ms)
    }

    /// What a worker takes for kinds of work, its layers as measured, and its scale.
    pub fn memory(&self, worker: WorkerId) -> Option<&WorkerMemory> {
        self.learnt.get(worker.index())
    }

    /// Starts to learn anew of one worker: it is another one, or was calibrated.
    pub(super) fn relearn(&mut self, worker: usize) {
        let Some((network, state)) = self.network.as_ref().zip(self.workers.get(worker)) else { return };
        let fresh = WorkerMemory::new(network, state.profile.as_ref());
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
        let first = !self.run_memory.knows(Some(run.partition));
        let (usual, late) =
            if first { self.expected_lateness(&network, &schedule) } else { Default::default() };
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
        // What the strips took is known by now: only what they leave out is the run's own.
        if steady
            && run.predicted.is_some()
            && let Some((_, timeline)) = self.simulated(&network, &schedule, Some(run.partition))
        {
            self.run_memory.learn(run.partition, run_ms / timeline.finish_ms, late, usual);
        }
        self.learn_transfers(&run.spans);
    }

    /// How late rows of shared blocks are by how much workers' times vary.
    fn usual_lateness(&self) -> Lateness {
        let known = self.learnt.iter().filter_map(|memory| memory.variation().mean());
        let (sum, count) = known.fold((0.0, 0), |(sum, count), mean| (sum + mean, count + 1));
        if count > 0 { Lateness::of(sum / f64::from(count)) } else { Lateness::USUAL }
    }

    /// How late rows of shared blocks are in a partition that never ran, and what they make it late by as a share of what it
    /// takes without. Who waits for one that is slower than all others waits for what that one takes; the latest of several that
    /// need as long is later than each. So it is the less late the less even it is.
    fn expected_lateness(&self, network: &Network, schedule: &Schedule) -> (Lateness, f64) {
        let usual = self.usual_lateness();
        let Some(costs) = self.costs() else { return (usual, 0.0) };
        let costs = costs.with_lateness(Lateness::default());
        let in_time = simulate(network, schedule, &costs);
        let usual = usual.times(in_time.evenness());
        let costs = costs.with_lateness(self.run_memory.lateness(None, usual));
        (usual, simulate(network, schedule, &costs).finish_ms / in_time.finish_ms - 1.0)
    }

    /// Takes in what a worker's reference strip took while it was idle.
    pub(super) fn take_reference(&mut self, worker: WorkerId, ms: f64) {
        let Some(state) = self.workers.get(worker.index()).filter(|state| !state.throttle.is_pending())
        else {
            return;
        };
        let share = state.throttle.percent / 100.0;
        let change = self.learnt.get_mut(worker.index()).and_then(|memory| memory.take_reference(ms, share));
        if let Some(factor) = change {
            self.tell_change(worker.index(), factor);
        }
    }

    /// Says that a worker's pace changed, unless other programs delay it: that is said elsewhere, and comes and goes.
    fn tell_change(&mut self, worker: usize, factor: f64) {
        let status = self.workers.get(worker).and_then(|state| state.status.as_ref());
        let is_delayed = status.is_some_and(|status| status.delayed_percent > UNDELAYED);
        if is_delayed || factor.max(1.0 / factor) < WORTH_TELLING {
            return;
        }
        let id = WorkerId::at(worker);
        let (word, times) = if factor > 1.0 { ("slower", factor) } else { ("quicker", 1.0 / factor) };
        let text = format!("{id} is ×{times:.2} {word} than before, without having been told to");
        self.log(Level::Warning, text);
    }

    /// Takes in what a worker's strips of a partition took before anything waited for them.
    pub(super) fn take_rehearsal(&mut self, partition: PartitionId, worker: WorkerId, blocks: &[BlockTimes]) {
        let Some(network) = self.network.clone() else { return };
        let Some(plan) = self.partitions.get(&partition).map(|known| known.plan.clone()) else { return };
        let schedule = Schedule::new(&network, &plan);
        let timed = blocks.iter().map(|times| timed_block(&network, &schedule, worker, times, &[]));
        let timed: Vec<TimedBlock> = timed.flatten().collect();
        let Some(state) = self.workers.get(worker.index()).filter(|state| !state.throttle.is_pending())
        else {
            return;
        };
        if let Some(memory) = self.learnt.get_mut(worker.index()) {
            memory.rehearse(&network, &timed, state.throttle.percent / 100.0);
        }
    }
}

/// The blocks that `worker` computed in a run, as its reports say.
fn timed_blocks(network: &Network, schedule: &Schedule, run: &CurrentRun, worker: usize) -> Vec<TimedBlock> {
    let id = WorkerId::at(worker);
    let of_worker = run.layers.iter().filter(|timed| timed.worker == id);
    let times = of_worker.map(|timed| BlockTimes { block: timed.block, layers: timed.layers.clone() });
    times.filter_map(|times| timed_block(network, schedule, id, &times, &run.spans)).collect()
}

fn timed_block(
    network: &Network,
    schedule: &Schedule,
    worker: WorkerId,
    times: &BlockTimes,
    spans: &[Span],
) -> Option<TimedBlock> {
    let stage = schedule.stages.get(times.block as usize)?;
    let strip: &StripPlan = stage.strips.get(worker.index())?;
    let of_block = spans.iter().filter(|span| {
        span.node == Node::Worker(worker) && span.block == times.block && span.kind == SpanKind::Compute
    });
    let (count, spans_ms) =
        of_block.fold((0, 0.0), |(count, sum), span| (count + 1, sum + span.end_ms - span.start_ms));
    let (input, output) = (network.cut(stage.units.0 as usize), network.cut(stage.units.1 as usize));
    let layers = times.layers.iter().map(|&(layer, rows, ms)| TimedLayer {
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
        bytes_made: output.bytes(strip.rows.len()),
        bytes_out: sent.sum(),
        spans_ms: (count == strip.parts.len()).then_some(spans_ms),
    })
}
