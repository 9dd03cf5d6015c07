//! Every worker computes the whole network alone: what collaboration must beat, and how many rows each is
//! worth. Then all of them a share of it together, which tells what fewer rows take and what workers cost each other.

use std::time::{Duration, Instant};

use collab_core::event::{Proposal, SpanKind, What};
use collab_core::id::{Node, PartitionId, RunId, WorkerId};
use collab_core::lab::Lab;
use collab_core::partition::Partition;
use collab_core::predict::sounding;

use super::controller::Controller;

/// Runs of each worker.
const RUNS: usize = 3;
/// Runs of all workers together: as many as tell what they wait for each other, and one.
const TOGETHER: usize = 5;
/// Why they run.
const TOGETHER_BECAUSE: &str = "measuring all workers together";
/// No further run of either is begun after this long.
const ENOUGH: Duration = Duration::from_millis(1500);

impl Controller {
    /// Measures every ready worker alone that was not measured yet, one after the other. A worker that cannot
    /// hold the whole network is left out.
    pub(super) async fn measure_singles(&mut self) {
        let allowed = self.journal.stage().look().lab.allowed();
        // One that has just come is still being calibrated, and has its turn later.
        for worker in (0..allowed.len()).filter(|&index| allowed[index]).map(WorkerId::at) {
            if !self.is_measured(worker) {
                self.measure_single(worker).await;
            }
        }
        self.sound().await;
    }

    /// Has all workers compute a share of the rows together: what fewer rows take, and by some runs what is waited for where
    /// blocks are shared, before anything is planned that shares them. If one is lost meanwhile, the others begin again.
    async fn sound(&mut self) {
        loop {
            let there = self.journal.stage().look().lab.allowed();
            if self.ending.is_some() || there.iter().filter(|there| **there).count() < 2 {
                return;
            }
            self.sound_out(&there).await;
            if self.journal.stage().look().lab.allowed() == there {
                return;
            }
        }
    }

    /// Has those who are `there` compute equal shares of the rows together.
    async fn sound_out(&mut self, there: &[bool]) {
        let partition = self.planning.next_id();
        let plan = sounding(self.model.network(), there);
        self.offer(proposal(Proposal::SOUNDING, partition, plan, TOGETHER_BECAUSE.to_owned()), true, None);
        if !self.wait_until_prepared(partition).await {
            return;
        }
        self.switch_now();
        let begun = Instant::now();
        for _ in 0..TOGETHER {
            if self.run_once(partition).await.is_none() || begun.elapsed() > ENOUGH {
                break;
            }
        }
    }

    /// Has all workers rehearse equal shares of the rows between two runs, and run none of it.
    pub(super) fn sound_beside(&mut self) {
        let there = self.journal.stage().look().lab.allowed();
        if there.iter().filter(|there| **there).count() < 2 {
            return;
        }
        let partition = self.planning.next_id();
        let plan = sounding(self.model.network(), &there);
        self.sounding = Some(partition);
        self.offer(proposal(Proposal::SOUNDING, partition, plan, TOGETHER_BECAUSE.to_owned()), false, None);
        self.have_prepared(partition, None);
    }

    /// All workers rehearsed equal shares: planning goes on by what was learnt.
    pub(super) fn sounded(&mut self, partition: PartitionId) {
        self.sounding = None;
        let reason = "it only measured all workers together".to_owned();
        self.journal.record(What::ProposalWithdrawn { partition, reason });
        self.let_go(partition);
        let task = self.planning.plan_anew(&self.journal.stage().look().lab);
        task.into_iter().for_each(|task| self.work(task));
    }

    /// Whether a worker's time alone is known.
    pub(super) fn is_measured(&self, worker: WorkerId) -> bool {
        let shown = self.journal.stage().look();
        shown.lab.worker(worker).is_some_and(|worker| worker.single_ms.is_some())
    }

    /// Measures one worker alone.
    pub(super) async fn measure_single(&mut self, worker: WorkerId) {
        self.unmeasured.retain(|other| *other != worker);
        let id = self.planning.next_id();
        self.offer(alone(self, worker, id), true, None);
        if !self.wait_until_prepared(id).await {
            return;
        }
        self.switch_now();
        let mut best: Option<(f64, f64)> = None;
        let begun = Instant::now();
        for _ in 0..RUNS {
            let Some(run) = self.run_once(id).await else { break };
            let time = single_time(&self.journal.stage().look().lab, run, worker);
            best = match (best, time) {
                (Some(best), Some(time)) if best.0 <= time.0 => Some(best),
                (best, time) => time.or(best),
            };
            if begun.elapsed() > ENOUGH {
                break;
            }
        }
        if let Some((ms, compute_ms)) = best {
            self.journal.record(What::SingleMeasured { worker, ms, compute_ms });
        }
    }

    /// One run of a prepared partition, its reports included; `None` if it is lost or the lab ends.
    pub(super) async fn run_once(&mut self, id: PartitionId) -> Option<RunId> {
        self.start_run(id);
        let run = self.flight.as_ref()?.run;
        while self.flight.is_some() || !self.landed.is_empty() {
            if self.ending.is_some() {
                return None;
            }
            self.step().await;
        }
        let shown = self.journal.stage().look();
        shown.lab.runs.last().is_some_and(|last| last.run == run).then_some(run)
    }
}

fn alone(controller: &Controller, worker: WorkerId, partition: PartitionId) -> Proposal {
    let plan = Partition::single(controller.model.network(), worker, controller.fleet.len());
    proposal(Proposal::ALONE, partition, plan, format!("measuring {worker} alone"))
}

/// A partition that measures.
fn proposal(planner: &str, partition: PartitionId, plan: Partition, reason: String) -> Proposal {
    Proposal {
        partition,
        planner: planner.to_owned(),
        plan,
        predicted_ms: None,
        spans: Vec::new(),
        layers: Vec::new(),
        reason,
    }
}

/// Latency and computing time of a run that `worker` did alone, ms.
fn single_time(lab: &Lab, run: RunId, worker: WorkerId) -> Option<(f64, f64)> {
    let last = lab.runs.last().filter(|last| last.run == run)?;
    let computing = |span: &&collab_core::event::Span| {
        span.run == run && span.node == Node::Worker(worker) && span.kind == SpanKind::Compute
    };
    let spans = lab.timeline.iter().filter(computing);
    let compute_ms: f64 = spans.map(|span| span.end_ms - span.start_ms).sum();
    (compute_ms > 0.0).then_some((last.ms, compute_ms))
}
