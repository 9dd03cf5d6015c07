//! The lab's loop and planning: what is asked for beside the loop, and what is done about the answers.

use std::time::{Duration, Instant};

use collab_core::command::Verb;
use collab_core::event::{Level, Proposal, What};
use collab_core::id::PartitionId;

use super::controller::Controller;
use super::outcomes::Outcome;
use super::planning::{Decision, Found, Task};

/// Between two looks at whether another partition would be better.
const LOOK_EVERY: Duration = Duration::from_millis(300);

impl Controller {
    /// The partition to begin with: the operator's, else the planner's; `None` if there is none, or the lab ends.
    pub(super) async fn plan_first(&mut self) -> anyhow::Result<Option<Proposal>> {
        let task = {
            let shown = self.journal.stage().look();
            if let Some(given) = self.planning.given(&shown.lab)? {
                return Ok(Some(given));
            }
            self.planning.first(&shown.lab)
        };
        let Some(task) = task else { return Ok(None) };
        self.work(task);
        while self.ending.is_none() {
            if let Some(found) = self.found.take() {
                return Ok(self.planning.begin(found));
            }
            self.step().await;
        }
        Ok(None)
    }

    /// Has planning answer what changed: CPU shares, links, workers.
    pub(super) fn conditions_changed(&mut self) {
        if !self.planned {
            return;
        }
        let tasks = self.planning.notice(&self.journal.stage().look().lab, Instant::now());
        tasks.into_iter().for_each(|task| self.work(task));
    }

    /// After a run: has planning look whether what it knows still holds.
    pub(super) fn look_again(&mut self) {
        let now = Instant::now();
        let is_planned = self.journal.stage().look().lab.running().is_some_and(|of| !of.measures());
        if !self.planned || !is_planned || now < self.looked + LOOK_EVERY {
            return;
        }
        self.looked = now;
        self.conditions_changed();
        let task = self.planning.look_again(&self.journal.stage().look().lab);
        task.into_iter().for_each(|task| self.work(task));
    }

    /// Plans beside the loop, which never waits for it.
    pub(super) fn work(&self, task: Task) {
        let outcomes = self.outcomes.clone();
        tokio::task::spawn_blocking(move || {
            let _ = outcomes.send(Outcome::Found(Box::new(task.work())));
        });
    }

    /// Something was found.
    pub(super) fn take_found(&mut self, found: Found) {
        for failure in &found.failures {
            self.journal.note(Level::Warning, format!("{failure}; planning goes on with what others say"));
        }
        if !self.planned {
            self.found = Some(found);
            return;
        }
        let now = Instant::now();
        let (again, decision) = {
            let shown = self.journal.stage().look();
            let again = self.planning.drifted(&found);
            (again, self.planning.decide(found, &shown.lab, self.auto && !self.read_only, now))
        };
        again.into_iter().for_each(|task| self.work(task));
        match decision {
            Decision::Keep => {}
            Decision::Tell(comparison) => self.journal.record(What::ProposalCompared(*comparison)),
            Decision::Adopt => self.operate("auto", Verb::Accept),
            Decision::Withdraw(partition, reason) => {
                self.journal.record(What::ProposalWithdrawn { partition, reason });
            }
            Decision::Replace(proposal) => {
                let id = proposal.partition;
                self.offer(*proposal, true, None);
                self.planning.adopt(id);
            }
            Decision::Offer(offered, apply) => {
                let (proposal, comparison) = *offered;
                self.offer(proposal, false, None);
                self.journal.record(What::ProposalCompared(comparison));
                if apply {
                    self.operate("auto", Verb::Accept);
                }
            }
        }
    }

    /// A partition could not be prepared. Before the first is planned that is the business of who waits for it.
    pub(super) fn adoption_failed(&mut self, partition: PartitionId) {
        if !self.planned {
            return;
        }
        let shown = self.journal.stage().look();
        let task = self.planning.refused(&shown.lab, partition);
        drop(shown);
        task.into_iter().for_each(|task| self.work(task));
    }
}
