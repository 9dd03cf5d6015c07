//! When to propose another partition, which, and when to switch to it.
//!
//! A change that the lab knows of (a CPU share, a link, a worker lost or joined) is answered at once by the
//! policies' plans, changed a little, then by the planner with its whole budget; both beside the loop. A worker whose
//! pace drifts is planned for again. What was measured counts before what is predicted, and a partition is
//! only adopted when it should be faster by more than predictions were off, for several runs in a row.

mod conditions;
mod exchange;
mod situation;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use collab_core::event::{Comparison, Proposal};
use collab_core::id::PartitionId;
use collab_core::lab::Lab;
use collab_core::partition::{Partition, PartitionError};
use collab_core::plan::Correction;
use collab_core::time::Micros;

use self::conditions::Conditions;
pub use self::exchange::Exchange;
pub use self::situation::{Effort, Found, Judged, Situation, Task};

/// A partition is adopted when it should be faster by more than this…
const MARGIN: f64 = 0.03;
/// …and by more than twice what late predictions missed by, but no more than this…
const WIDEST_MARGIN: f64 = 0.15;
/// …over this many runs…
const HELD_RUNS: u64 = 5;
/// …or, after a change that the lab knows of, at once if by more than this.
const AT_ONCE: f64 = 0.20;
/// Runs of a partition before its measured latency is believed, and learnt from.
const BELIEVED: usize = 3;
const LEARNT_FROM: usize = 5;
/// Predictions looked back on to say how far they miss.
const MISSES: usize = 5;
/// A worker that is faster or slower than planned for by more than this is planned for again.
const DRIFT: f64 = 0.08;
/// A comparison is told again when the gain has moved by more than this.
const WORTH_TELLING: f64 = 0.01;

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

/// What to do about a plan that was found.
#[derive(Debug)]
pub enum Decision {
    /// Nothing.
    Keep,
    /// Run it at once: nothing else can run.
    Replace(Box<Proposal>),
    /// Offer it; apply it if the second is true.
    Offer(Box<(Proposal, Comparison)>, bool),
    /// Tell the comparison of what is offered again.
    Tell(Box<Comparison>),
    /// Accept what is offered.
    Adopt,
    /// Do not offer it any more, for this reason.
    Withdraw(PartitionId, String),
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
    /// Runs done when it began to be better by more than the margin.
    better_since: Option<u64>,
    /// Partitions adopted under these conditions: each doubles the margin for the next.
    adoptions: i32,
    /// What planning offered, and its gain when it was told.
    offered: Option<(PartitionId, f64)>,
    /// Accepted, not running yet.
    adopting: Option<PartitionId>,
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
            better_since: None,
            adoptions: 0,
            offered: None,
            adopting: None,
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
        (self.best, self.better_since, self.adoptions) = (None, None, 0);
        self.rejected.clear();
        self.refining = true;
        self.exchange.look().situation = Some(situation.clone());
        vec![self.task(situation.clone(), Effort::First), self.task(situation, Effort::Refine)]
    }

    /// The work of looking again, after a run; `None` while something is under way.
    pub fn look_again(&mut self, lab: &Lab) -> Option<Task> {
        if self.looking || self.refining {
            return None;
        }
        self.looking = true;
        let situation = Arc::new(Situation::of(lab)?);
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

    /// Decides about what was found. `auto` applies proposals, unless the lab is frozen.
    pub fn decide(&mut self, found: Found, lab: &Lab, auto: bool, now: Instant) -> Decision {
        match found.effort {
            Effort::Look => self.looking = false,
            Effort::Refine => {
                self.refining = false;
                self.planned_for = found.singles_ms.clone();
            }
            Effort::First => {}
        }
        if found.change != self.changes {
            return Decision::Keep;
        }
        if let Some(change) = &mut self.change
            && found.effort == Effort::First
        {
            change.after_ms.get_or_insert(now.duration_since(change.at).as_secs_f64() * 1e3);
        }
        self.adopting.take_if(|adopting| lab.current == Some(*adopting));
        let Some((best, _)) = &found.best else { return Decision::Keep };
        self.best = Some(best.plan.partition.clone());
        let Some((current, running)) = lab.current.zip(found.running.as_ref()) else {
            // Nothing can run: the first answer is applied even when frozen.
            if self.adopting.is_some() || found.effort == Effort::Look {
                return Decision::Keep;
            }
            let id = self.next_id();
            let proposal = self.proposal(&found, id, 1.0);
            return proposal.map_or(Decision::Keep, |proposal| Decision::Replace(Box::new(proposal)));
        };
        let measured = self.measured(lab, current);
        self.learn(lab, current, running);
        let now_ms = measured.unwrap_or_else(|| self.expected(lab, running));
        let new_ms = self.expected(lab, best);
        if self.adopting.is_some() {
            return Decision::Keep;
        }
        let gain = 1.0 - new_ms / now_ms;
        let is_other = lab.running().is_some_and(|known| known.plan != best.plan.partition);
        let is_rejected = self.rejected.iter().any(|(_, ms)| new_ms > ms * (1.0 - self.margin()));
        let offered = self.offered.filter(|(id, _)| lab.proposal == Some(*id));
        if !is_other || is_rejected || gain <= self.margin() {
            self.better_since = None;
            return match offered {
                Some((id, _)) if !is_other || gain <= 0.0 => {
                    Decision::Withdraw(id, format!("it would save {:.0} % only", 100.0 * gain.max(0.0)))
                }
                _ => Decision::Keep,
            };
        }
        let since = *self.better_since.get_or_insert(lab.runs.done);
        let held = lab.runs.done.saturating_sub(since) >= HELD_RUNS;
        let fresh = self.change.as_ref().is_some_and(|change| change.fresh);
        let sure = held || (fresh && gain > AT_ONCE && !self.refining);
        // Without a known change, what is measured now must be slower than what is promised, for a while.
        let proven = sure && measured.is_some();
        if !fresh && !proven {
            return Decision::Keep;
        }
        let apply = auto && !lab.frozen && sure;
        let comparison =
            Comparison { now_ms, new_ms, now_measured: measured.is_some(), ..self.compared(&found, current) };
        let is_best =
            |id: &PartitionId| lab.partitions.get(id).is_some_and(|known| known.plan == best.plan.partition);
        // An operator who is about to accept must not find another partition in its place that is hardly better.
        let stands =
            found.offered_ms.is_some_and(|ms| best.plan.timeline.finish_ms >= ms * (1.0 - WORTH_TELLING));
        match offered.filter(|(id, _)| is_best(id) || stands) {
            Some((id, _)) if apply => {
                self.adopt(id);
                Decision::Adopt
            }
            Some((id, told)) if is_best(&id) && (gain - told).abs() > WORTH_TELLING => {
                self.offered = Some((id, gain));
                Decision::Tell(Box::new(Comparison { partition: id, ..comparison }))
            }
            Some(_) => Decision::Keep,
            // The operator's own proposal is not replaced.
            None if lab.proposal.is_some() && offered.is_none() => Decision::Keep,
            None => {
                let id = self.next_id();
                let factor = new_ms / best.plan.timeline.finish_ms;
                let Some(proposal) = self.proposal(&found, id, factor) else { return Decision::Keep };
                self.offered = Some((id, gain));
                if apply {
                    self.adopt(id);
                }
                Decision::Offer(Box::new((proposal, Comparison { partition: id, ..comparison })), apply)
            }
        }
    }

    /// Notes that a partition is being switched to; by the operator or by itself.
    pub fn adopt(&mut self, id: PartitionId) {
        self.adopting = Some(id);
        self.adoptions += 1;
        self.better_since = None;
        if let Some(change) = &mut self.change {
            change.fresh = false;
        }
    }

    /// Notes that the operator does not want a partition under these conditions.
    pub fn reject(&mut self, lab: &Lab, partition: PartitionId) {
        let Some(known) = lab.partitions.get(&partition) else { return };
        let expected = known.predicted_ms.unwrap_or(f64::INFINITY);
        self.rejected.push((known.plan.clone(), expected));
        (self.best, self.better_since) = (None, None);
    }

    /// Notes that a worker refused a partition; the work of finding another one if nothing can run.
    pub fn refused(&mut self, lab: &Lab, partition: PartitionId) -> Option<Task> {
        self.adopting.take_if(|adopting| *adopting == partition);
        self.reject(lab, partition);
        let situation = Situation::of(lab).filter(|situation| situation.running.is_none())?;
        Some(self.task(Arc::new(situation), Effort::First))
    }

    /// The partition's median latency in runs that began since conditions changed, ms.
    fn measured(&self, lab: &Lab, partition: PartitionId) -> Option<f64> {
        self.late(lab, partition, BELIEVED)
    }

    fn late(&self, lab: &Lab, partition: PartitionId, least: usize) -> Option<f64> {
        let since = self.change.as_ref().map_or(0.0, |change| change.moment.secs() * 1e3);
        let late = lab.runs.recent.iter().rev().filter(|sample| sample.partition == partition);
        let late = late.take_while(|sample| sample.at.secs() * 1e3 - sample.ms >= since);
        let mut late: Vec<f64> = late.take(LEARNT_FROM).map(|sample| sample.ms).collect();
        late.sort_by(f64::total_cmp);
        (late.len() >= least).then(|| late[late.len() / 2])
    }

    /// Learns once from a partition under the conditions of now, when it ran long enough.
    fn learn(&mut self, lab: &Lab, partition: PartitionId, running: &Judged) {
        if self.learnt == Some((partition, self.changes)) {
            return;
        }
        let Some(measured) = self.late(lab, partition, LEARNT_FROM) else { return };
        let predicted = running.plan.timeline.finish_ms;
        let missed = (measured / (predicted * self.correction.factor(&running.features))).ln().abs();
        if missed.is_finite() {
            self.misses.push_back(missed);
            let surplus = self.misses.len().saturating_sub(MISSES);
            self.misses.drain(..surplus);
        }
        self.correction.learn(&running.features, measured / predicted);
        self.learnt = Some((partition, self.changes));
        let misses = self.correction.misses();
        if misses.judged > 0 {
            self.exchange.look().critic_loss = Some(misses.critic);
        }
    }

    /// What a plan should take: as a lone worker took, else as predicted and corrected.
    fn expected(&self, lab: &Lab, judged: &Judged) -> f64 {
        let alone = judged.plan.partition.single_owner().and_then(|owner| {
            let worker = lab.worker(owner)?;
            Some(worker.single_ms? * 100.0 / worker.throttle.percent)
        });
        alone.unwrap_or(judged.plan.timeline.finish_ms * self.correction.factor(&judged.features))
    }

    /// By how much a partition must be faster, as a fraction.
    fn margin(&self) -> f64 {
        let mut misses: Vec<f64> = self.misses.iter().copied().collect();
        misses.sort_by(f64::total_cmp);
        let miss = misses.get(misses.len() / 2).copied().unwrap_or(MARGIN);
        ((2.0 * miss).max(MARGIN) * 2f64.powi(self.adoptions.min(8))).min(WIDEST_MARGIN)
    }

    fn compared(&self, found: &Found, running: PartitionId) -> Comparison {
        let parts = match (&found.best, &found.running) {
            (Some((best, _)), Some(now)) => situation::compare(&best.account, &now.account),
            _ => Comparison::default(),
        };
        let correction = found.best.as_ref().map_or(1.0, |(best, _)| self.correction.factor(&best.features));
        let change = self.change.as_ref().filter(|change| change.fresh);
        Comparison {
            running,
            correction,
            after_ms: change.and_then(|change| change.after_ms),
            because: change.map_or_else(String::new, |change| change.because.clone()),
            ..parts
        }
    }

    fn proposal(&self, found: &Found, id: PartitionId, factor: f64) -> Option<Proposal> {
        let (best, by) = found.best.as_ref()?;
        let finish_ms = best.plan.timeline.finish_ms * factor;
        Some(Proposal {
            partition: id,
            planner: by.clone(),
            plan: best.plan.partition.clone(),
            predicted_ms: Some(finish_ms),
            spans: best.plan.timeline.spans.clone(),
            layers: found.layers.clone(),
            reason: found.reason.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
