//! When to propose another partition, which, and when to switch to it.
//!
//! A change that the lab knows of (a CPU share, a link, a worker lost or joined) is answered at once by the
//! policies' plans, changed a little, then by the planner with its whole budget; both beside the loop. A worker whose
//! pace drifts is planned for again. What was measured counts before what is predicted, and a partition is
//! only adopted when it should be faster by more than predictions were off, for several runs in a row or after a known
//! change, and when its rehearsal bears that out.

mod conditions;
mod decision;
mod exchange;
mod experience;
mod hysteresis;
mod situation;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use collab_core::event::Proposal;
use collab_core::id::PartitionId;
use collab_core::lab::Lab;
use collab_core::partition::{Partition, PartitionError};
use collab_core::plan::Correction;
use collab_core::time::Micros;

use self::conditions::Conditions;
pub use self::decision::Decision;
pub use self::exchange::Exchange;
use self::hysteresis::{Asked, Better, Promise};
pub use self::situation::{Effort, Found, Situation, Task};

/// A worker that is faster or slower than planned for by more than this is planned for again.
const DRIFT: f64 = 0.08;

/// A change of conditions that the lab knows of.
#[derive(Clone, Debug)]
struct Change {
    at: Instant,
    moment: Micros,
    because: String,
    /// From learning of it to the first proposal, ms.
    after_ms: Option<f64>,
    /// Whether no partition was adopted since.
    fresh: bool,
}

/// The planner and what it has seen.
pub struct Planning {
    planner: Arc<str>,
    /// Set if the operator gave the first partition by hand.
    given: Option<String>,
    seed: u64,
    next_id: u32,
    /// What the trainer is told and tells.
    pub exchange: Arc<Exchange>,
    conditions: Conditions,
    change: Option<Change>,
    /// Changes so far; what was found for an earlier one is out of date.
    changes: u64,
    looking: bool,
    refining: bool,
    /// The best partition found under these conditions.
    best: Option<Partition>,
    /// Since when it is better by more than the margin.
    better: Option<Better>,
    /// Partitions adopted under these conditions: each doubles the margin for the next.
    adoptions: i32,
    /// What planning offered, and its gain when it was told.
    offered: Option<(PartitionId, f64)>,
    /// Accepted, not running yet.
    adopting: Option<PartitionId>,
    /// What planning expected of what it chose last.
    promise: Option<Promise>,
    /// Whether the planner was asked again after a rehearsal.
    asked_again: Asked,
    /// Not to be proposed until conditions change, with what they were expected to take.
    rejected: Vec<(Partition, f64)>,
    correction: Correction,
    misses: VecDeque<f64>,
    learnt: Option<(PartitionId, u64)>,
    /// Each worker alone when the planner last had its whole budget, ms.
    planned_for: Vec<f64>,
}

impl Planning {
    /// By planner name; the command line takes only known ones.
    pub fn new(name: &str, given: Option<String>, seed: u64) -> Self {
        Self {
            planner: name.into(),
            given,
            seed,
            next_id: 1,
            exchange: Arc::default(),
            conditions: Conditions::default(),
            change: None,
            changes: 0,
            looking: false,
            refining: false,
            best: None,
            better: None,
            adoptions: 0,
            offered: None,
            adopting: None,
            promise: None,
            asked_again: Asked::Not,
            rejected: Vec::new(),
            correction: Correction::default(),
            misses: VecDeque::new(),
            learnt: None,
            planned_for: Vec::new(),
        }
    }

    /// A number for the next partition.
    pub fn next_id(&mut self) -> PartitionId {
        let id = PartitionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// The partition that the operator gave to begin with, as a proposal; `None` if there is none.
    pub fn given(&mut self, lab: &Lab) -> Result<Option<Proposal>, PartitionError> {
        let (Some(text), Some(network)) = (self.given.take(), &lab.network) else { return Ok(None) };
        let partition = Partition::parse(&text, network, lab.workers.len())?;
        Ok(self.announce(lab, "given", partition))
    }

    /// A partition by hand, as a proposal.
    pub fn announce(&mut self, lab: &Lab, by: &str, partition: Partition) -> Option<Proposal> {
        let situation = Situation::of(lab)?;
        let plan = situation.problem().cost(partition);
        Some(situation.problem().propose(self.next_id(), by, plan, String::new()))
    }

    /// The work of finding the first partition: the planner with its whole budget.
    pub fn first(&mut self, lab: &Lab) -> Option<Task> {
        self.conditions = Conditions::of(lab);
        let situation = Arc::new(Situation { running: None, ..Situation::of(lab)? });
        self.refining = true;
        Some(self.task(situation, Effort::Refine))
    }

    /// What was found first, as a proposal.
    pub fn begin(&mut self, found: Found) -> Option<Proposal> {
        self.refining = false;
        self.planned_for = found.singles_ms.clone();
        let id = self.next_id();
        self.proposal(&found, id, 1.0)
    }

    /// The work that a change of conditions asks for; nothing if there is none.
    pub fn notice(&mut self, lab: &Lab, now: Instant) -> Vec<Task> {
        let conditions = Conditions::of(lab);
        let Some(because) = conditions.changed(&self.conditions) else { return Vec::new() };
        let Some(situation) = Situation::of(lab).map(Arc::new) else { return Vec::new() };
        if conditions.misses_some_of(&self.conditions) {
            // What was being prepared may need the worker that is gone.
            self.adopting = None;
        }
        self.conditions = conditions;
        self.change = Some(Change { at: now, moment: lab.now, because, after_ms: None, fresh: true });
        self.changes += 1;
        (self.best, self.better, self.adoptions) = (None, None, 0);
        self.rejected.clear();
        self.asked_again = Asked::Not;
        self.refining = true;
        self.exchange.look().situation = Some(situation.clone());
        vec![self.task(situation.clone(), Effort::First), self.task(situation, Effort::Refine)]
    }

    /// The work of looking again, after a run; `None` while something is under way.
    pub fn look_again(&mut self, lab: &Lab) -> Option<Task> {
        if self.looking || self.refining {
            return None;
        }
        let situation = Arc::new(Situation::of(lab)?);
        self.looking = true;
        self.exchange.look().situation = Some(situation.clone());
        Some(self.task(situation, Effort::Look))
    }

    fn task(&self, situation: Arc<Situation>, effort: Effort) -> Task {
        let told = self.exchange.look();
        let told_of = situation.running.iter().chain(&situation.offered);
        let mut known: Vec<Partition> = told_of.chain(&self.best).cloned().collect();
        known.extend(told.best.clone());
        Task {
            situation,
            effort,
            planner: self.planner.clone(),
            portfolio: told.portfolio.clone(),
            known,
            rejected: self.rejected.iter().map(|(plan, _)| plan.clone()).collect(),
            seed: self.seed.wrapping_add(self.changes),
            change: self.changes,
        }
    }

    /// Whether what was found shows a pace that was not planned for; then the planner is asked again.
    pub fn drifted(&mut self, found: &Found) -> Option<Task> {
        if found.effort != Effort::Look || self.refining || self.planned_for.is_empty() {
            return None;
        }
        let apart = |(now, then): (&f64, &f64)| {
            now.is_finite() && then.is_finite() && (now / then).ln().abs() > DRIFT
        };
        if !found.singles_ms.iter().zip(&self.planned_for).any(apart) {
            return None;
        }
        self.refining = true;
        Some(self.task(found.situation.clone(), Effort::Refine))
    }

    /// Notes that a partition is being switched to; by the operator or by itself.
    pub fn adopt(&mut self, id: PartitionId) {
        self.adopting = Some(id);
        self.adoptions += 1;
        self.better = None;
        self.promise.take_if(|promise| promise.partition != id);
        if let Some(change) = &mut self.change {
            change.fresh = false;
        }
    }

    /// Whether a partition is being switched to.
    pub fn is_adopting(&self, id: PartitionId) -> bool {
        self.adopting == Some(id)
    }

    /// Notes that a partition does not run after all.
    pub fn given_up(&mut self, id: PartitionId) {
        self.adopting.take_if(|adopting| *adopting == id);
    }

    /// The work of planning by what was measured anew; `None` before anything runs.
    pub fn plan_anew(&mut self, lab: &Lab) -> Option<Task> {
        let situation = Situation::of(lab)?;
        self.refining = true;
        Some(self.task(Arc::new(situation), Effort::Refine))
    }

    /// Notes that the operator does not want a partition under these conditions.
    pub fn reject(&mut self, lab: &Lab, partition: PartitionId) {
        self.adopting.take_if(|adopting| *adopting == partition);
        let Some(known) = lab.partitions.get(&partition) else { return };
        let expected = known.predicted_ms.unwrap_or(f64::INFINITY);
        self.rejected.push((known.plan.clone(), expected));
        (self.best, self.better) = (None, None);
    }

    /// Notes that a worker refused a partition; the work of finding another one if nothing can run.
    pub fn refused(&mut self, lab: &Lab, partition: PartitionId) -> Option<Task> {
        self.reject(lab, partition);
        let situation = Situation::of(lab).filter(|situation| situation.running.is_none())?;
        Some(self.task(Arc::new(situation), Effort::First))
    }
}

#[cfg(test)]
mod tests;
