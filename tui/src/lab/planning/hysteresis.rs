//! When something better is sure enough to be switched to, and what its rehearsal says of that.
//!
//! A change that the lab knows of is reason enough to believe a prediction. What seems better without one may be a
//! slow moment of the machine or the prediction's error: it has to have been worth it for a while, and after a switch
//! the longer, the further off that switch's own prediction was.

use std::time::Duration;

use collab_core::id::PartitionId;
use collab_core::lab::Lab;

use super::Planning;
use super::experience::{self, MISSES};
use super::situation::{Effort, Situation, Task};

/// A partition is adopted when it should be faster by more than this…
const MARGIN: f64 = 0.03;
/// …and by more than twice what late predictions missed by, but no more than this…
const WIDEST_MARGIN: f64 = 0.15;
/// …over this many runs…
const HELD_RUNS: u64 = 5;
/// …or, after a change that the lab knows of, at once if by more than so many margins, or this.
const MARGINS_AT_ONCE: f64 = 3.0;
const AT_ONCE: f64 = 0.20;
/// What another switch under the same conditions must have been able to save before, in runs…
const WORTH: f64 = 3.0;
/// …as often as the running partition is off by this from what was promised, as a logarithm, but no more often than that.
const OFF: f64 = 0.03;
const MOST_DOUBT: f64 = 4.0;
/// The planner is asked again, once, if by a rehearsal a run takes longer beside one of what runs than was predicted, by this
/// part: rows are with the wrong worker. Only if three margins are left, so that its answer is switched to at once.
const MISPLACED: f64 = 0.05;

/// What planning expects of the partition that it last chose to switch to.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// Which.
    pub partition: PartitionId,
    /// What a run of it should take, ms.
    pub ms: f64,
    /// What is predicted of it over what is predicted of the partition that runs.
    pub share: f64,
    /// The part of a run that it should save.
    pub gain: f64,
    /// The part that it had to.
    pub margin: f64,
}

/// Whether the planner was asked again under these conditions, because a rehearsal took longer than predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Not yet.
    #[default]
    Not,
    /// It was, and has not answered yet.
    Waits,
    /// It has.
    Answered,
}

/// Something has been better by more than the margin for a while.
#[derive(Clone, Copy, Debug)]
pub struct Better {
    /// Runs done when it began, and when it was last looked at.
    since: u64,
    seen: u64,
    /// What it would have saved since, in runs.
    saved: f64,
}

impl Planning {
    /// By how much a partition must be faster, as a fraction.
    pub(super) fn margin(&self) -> f64 {
        // Those not judged yet count as small: one of two is no middle.
        let misses = self.misses.iter().copied().chain(std::iter::repeat(0.0)).take(MISSES).collect();
        let miss = experience::median(misses).unwrap_or(0.0);
        ((2.0 * miss).max(MARGIN) * 2f64.powi(self.adoptions.min(8))).min(WIDEST_MARGIN)
    }

    /// Notes that something is better by `gain`, which is beyond the margin; whether that is sure by now.
    pub(super) fn is_sure(&mut self, lab: &Lab, gain: f64) -> bool {
        let done = lab.runs.done;
        let mut better = self.better.unwrap_or(Better { since: done, seen: done, saved: 0.0 });
        better.saved += gain * done.saturating_sub(better.seen) as f64;
        better.seen = done;
        self.better = Some(better);
        let held = done.saturating_sub(better.since) >= HELD_RUNS;
        if self.is_fresh() {
            return !self.refining && (held || self.is_much(gain));
        }
        held && (self.adoptions == 0 || better.saved >= WORTH * self.doubt(lab))
    }

    /// Notes that the planner has answered.
    pub(super) fn answered(&mut self) {
        if self.asked_again == Asked::Waits {
            self.asked_again = Asked::Answered;
        }
    }

    /// Whether a gain is beyond doubt after a change.
    fn is_much(&self, gain: f64) -> bool {
        gain > (MARGINS_AT_ONCE * self.margin()).min(AT_ONCE)
    }

    /// Whether a change that the lab knows of was not answered by a switch yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.fresh)
    }

    /// How far the running partition is off from what was promised of it, in what predictions may be off by.
    fn doubt(&self, lab: &Lab) -> f64 {
        let promise = self.promise.filter(|promise| lab.current == Some(promise.partition));
        let off = promise.and_then(|promise| {
            let measured = self.measured(lab, promise.partition)?;
            Some((measured / promise.ms).ln().abs() / OFF)
        });
        off.unwrap_or(1.0).clamp(1.0, MOST_DOUBT)
    }

    /// What a run saves by waiting for the partition that it was decided to switch to, and which change that answers; `None`
    /// if nothing is to be waited for.
    pub fn waiting_saves(&self, lab: &Lab) -> Option<(u64, Duration)> {
        let promise = self.promise?;
        let is_coming = self.adopting == Some(promise.partition) && lab.current != self.adopting;
        if !is_coming && self.asked_again != Asked::Waits {
            return None;
        }
        let saved_ms = promise.ms * promise.gain / (1.0 - promise.gain);
        Some((self.changes, Duration::try_from_secs_f64(saved_ms / 1e3).ok()?))
    }

    /// What a rehearsal says of a partition that is about to be switched to: why it is not after all, and the work of
    /// looking for another one by what was learnt. `None` if it is, as always if the operator chose it or nothing else
    /// can run.
    pub fn rehearsed(&mut self, lab: &Lab, partition: PartitionId) -> Option<(String, Task)> {
        let promise = self.promise.filter(|promise| promise.partition == partition)?;
        let situation = Situation::of(lab)?;
        let problem = situation.problem();
        let takes = |plan: &Option<_>| Some(problem.cost(plan.clone()?).timeline.finish_ms);
        let plan = lab.partitions.get(&partition).map(|known| known.plan.clone());
        let (now_ms, new_ms) = takes(&situation.running).zip(takes(&plan))?;
        let gain = 1.0 - new_ms / now_ms;
        let is_misplaced = new_ms > now_ms * promise.share * (1.0 + MISPLACED);
        let again = is_misplaced && self.asked_again == Asked::Not && self.is_much(gain);
        if gain > promise.margin && !again {
            return None;
        }
        if again {
            self.asked_again = Asked::Waits;
        } else {
            self.promise = None;
        }
        self.adopting.take_if(|adopting| *adopting == partition);
        // Nothing was switched to: the change waits for its answer, which has to promise more by now.
        if let Some(change) = &mut self.change {
            change.fresh = true;
        }
        (self.best, self.better) = (None, None);
        self.refining = true;
        let words =
            |part: f64| if part > 0.005 { format!("{:.0} %", 100.0 * part) } else { "nothing".to_owned() };
        let reason = format!("rehearsed, it saves {} instead of {}", words(gain), words(promise.gain));
        Some((reason, self.task(situation.into(), Effort::Refine)))
    }
}
