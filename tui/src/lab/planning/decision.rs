//! What to do about a plan that was found: nothing, offer it, switch to it.

use std::time::Instant;

use collab_core::event::{Comparison, Proposal};
use collab_core::id::PartitionId;
use collab_core::lab::Lab;

use super::Planning;
use super::hysteresis::Promise;
use super::situation::{self, Effort, Found};

/// A comparison is told again when the gain has moved by more than this.
const WORTH_TELLING: f64 = 0.01;
/// An offer that would save less than this is shown to be as fast as what runs: it is one no more.
const AS_FAST: f64 = 0.005;

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

/// Why what would save so much is not offered any more.
fn withdrawn(gain: f64) -> String {
    match gain {
        AS_FAST.. => format!("it would save {:.0} % only", 100.0 * gain),
        _ => "it would save nothing any more".to_owned(),
    }
}

impl Planning {
    /// Decides about what was found. `auto` applies proposals, unless the lab is frozen; who does so notes it by
    /// [`Planning::adopt`].
    pub fn decide(&mut self, found: Found, lab: &Lab, auto: bool, now: Instant) -> Decision {
        match found.effort {
            Effort::Look => self.looking = false,
            Effort::Refine => {
                self.refining = false;
                self.planned_for = found.singles_ms.clone();
                self.answered();
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
        // Both as predicted: what the running one alone lost to a slow moment is not won by another.
        let paired = 1.0 - best.plan.timeline.finish_ms / running.plan.timeline.finish_ms;
        let least = gain.min(paired);
        let is_other = lab.running().is_some_and(|known| known.plan != best.plan.partition);
        let is_rejected = self.rejected.iter().any(|(_, ms)| new_ms > ms * (1.0 - self.margin()));
        let offered = self.offered.filter(|(id, _)| lab.proposal == Some(*id));
        if !is_other || is_rejected || least <= self.margin() {
            self.better = None;
            // What is offered need not be what is best now.
            let saves = found.offered_ms.map_or(gain, |ms| 1.0 - ms / running.plan.timeline.finish_ms);
            return match offered {
                Some((id, _)) if !is_other || gain <= 0.0 || saves < AS_FAST => {
                    Decision::Withdraw(id, withdrawn(saves.min(gain)))
                }
                _ => Decision::Keep,
            };
        }
        let sure = self.is_sure(lab, least);
        // Without a known change, what is measured now must be slower than what is promised, for a while.
        let proven = sure && measured.is_some();
        if !self.is_fresh() && !proven {
            return Decision::Keep;
        }
        let apply = auto && !lab.frozen && sure;
        let margin = self.margin();
        let promise = |partition| Promise { partition, ms: new_ms, share: 1.0 - paired, gain: least, margin };
        let comparison =
            Comparison { now_ms, new_ms, now_measured: measured.is_some(), ..self.compared(&found, current) };
        let is_best =
            |id: &PartitionId| lab.partitions.get(id).is_some_and(|known| known.plan == best.plan.partition);
        // An operator who is about to accept must not find another partition in its place that is hardly better.
        let stands =
            found.offered_ms.is_some_and(|ms| best.plan.timeline.finish_ms >= ms * (1.0 - WORTH_TELLING));
        match offered.filter(|(id, _)| is_best(id) || stands) {
            Some((id, _)) if apply => {
                self.promise = Some(promise(id));
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
                self.promise = apply.then(|| promise(id)).or(self.promise);
                Decision::Offer(Box::new((proposal, Comparison { partition: id, ..comparison })), apply)
            }
        }
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

    pub(super) fn proposal(&self, found: &Found, id: PartitionId, factor: f64) -> Option<Proposal> {
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
