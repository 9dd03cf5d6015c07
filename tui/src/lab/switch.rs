//! From one partition to another: announced, prepared by every worker beside runs, rehearsed and switched to between two.

use std::sync::Arc;

use collab_core::command::{CommandId, Settled};
use collab_core::event::{Proposal, What};
use collab_core::id::{PartitionId, RunId};
use collab_core::schedule::Schedule;

use super::controller::Controller;
use super::outcomes::Outcome;
use super::rehearsal::ROUNDS;

impl Controller {
    /// Announces a partition; if `apply`, has every worker prepare it, to switch when all have.
    pub(super) fn offer(&mut self, proposal: Proposal, apply: bool, command: Option<CommandId>) {
        let id = proposal.partition;
        self.journal.record(What::PartitionProposed(proposal));
        if apply {
            self.prepare(id, command);
        }
    }

    /// Has every worker prepare a partition that was announced before. Whatever was chosen before does not run any more.
    pub(super) fn prepare(&mut self, id: PartitionId, command: Option<CommandId>) {
        self.chosen = Some(id);
        self.have_prepared(id, command);
    }

    /// Has every worker prepare a partition that was announced before, whether it is to run or not.
    pub(super) fn have_prepared(&mut self, id: PartitionId, command: Option<CommandId>) {
        let plan = self.journal.stage().look().lab.partitions.get(&id).map(|known| known.plan.clone());
        let outcomes = self.outcomes.clone();
        let Some(plan) = plan else {
            let result = Err(format!("partition {id} is not known any more"));
            let _ = outcomes.send(Outcome::Prepared(id, command, result));
            return;
        };
        self.schedules.insert(id, Arc::new(Schedule::new(self.model.network(), &plan)));
        let preparing = self.fleet.prepare(id, plan);
        tokio::spawn(async move {
            let _ = outcomes.send(Outcome::Prepared(id, command, preparing.await));
        });
    }

    /// Every worker has prepared a partition, or one refused: it is rehearsed between this run and the next.
    pub(super) fn prepared(
        &mut self,
        id: PartitionId,
        command: Option<CommandId>,
        result: Result<(), String>,
    ) {
        match result {
            Ok(()) => {
                self.prepared.push_back((id, command));
                self.rehearse_now();
            }
            Err(reason) => self.refuse(id, command, reason),
        }
    }

    /// Has all workers rehearse what they prepared, unless a run is in flight, which would have them wait block after block
    /// for who is busy; none begins meanwhile.
    pub(super) fn rehearse_now(&mut self) {
        if self.flight.is_some() || self.rehearses {
            return;
        }
        let Some((id, command)) = self.prepared.pop_front() else { return };
        if !self.is_chosen(id, command) {
            return self.rehearse_now();
        }
        let (plan, is_awaited) = {
            let shown = self.journal.stage().look();
            let is_awaited = self.planned && shown.lab.running().is_some_and(|of| !of.measures());
            (shown.lab.partitions.get(&id).map(|known| known.plan.clone()), is_awaited)
        };
        let Some(plan) = plan else {
            return self.refuse(id, command, format!("partition {id} is not known any more"));
        };
        let rehearsing = self.fleet.rehearse(id, plan, if is_awaited { 1 } else { ROUNDS });
        let (journal, outcomes) = (self.journal.clone(), self.outcomes.clone());
        self.rehearses = true;
        tokio::spawn(async move {
            let result = rehearsing.await.map(|rehearsals| {
                for (worker, blocks) in rehearsals.into_iter().filter(|(_, blocks)| !blocks.is_empty()) {
                    journal.record(What::PartitionRehearsed { partition: id, worker, blocks });
                }
            });
            let _ = outcomes.send(Outcome::Rehearsed(id, command, result));
        });
    }

    /// A partition was rehearsed, or a worker did not answer: it is the next to switch to, unless the operator or planning
    /// thought better of it.
    pub(super) fn rehearsed(
        &mut self,
        id: PartitionId,
        command: Option<CommandId>,
        result: Result<(), String>,
    ) {
        self.rehearses = false;
        match result {
            Ok(()) if self.sounding == Some(id) => self.sounded(id),
            Ok(()) if self.is_chosen(id, command) => {
                let called_off = self.planning.rehearsed(&self.journal.stage().look().lab, id);
                if let Some((reason, task)) = called_off {
                    self.call_off(id, command, reason);
                    self.work(task);
                } else {
                    let waiting = self.next.replace((id, command));
                    self.give_up(waiting, || format!("partition {id} was chosen since"));
                }
            }
            Ok(()) => {}
            Err(reason) => self.refuse(id, command, reason),
        }
        self.rehearse_now();
    }

    /// Whether a partition is still the one that was chosen last, or is only to be rehearsed; if not, it is given up.
    fn is_chosen(&mut self, id: PartitionId, command: Option<CommandId>) -> bool {
        match self.chosen {
            _ if self.sounding == Some(id) => return true,
            Some(chosen) if chosen == id => return true,
            Some(chosen) => {
                self.give_up(Some((id, command)), || format!("partition {chosen} was chosen since"));
            }
            None => self.give_up(Some((id, command)), || format!("partition {id} was rejected since")),
        }
        false
    }

    /// A worker cannot run a partition.
    fn refuse(&mut self, partition: PartitionId, command: Option<CommandId>, reason: String) {
        self.sounding.take_if(|sounding| *sounding == partition);
        self.journal.record(What::PartitionRefused { partition, reason: reason.clone() });
        self.refusal = Some(reason.clone());
        self.adoption_failed(partition);
        if let Some(command) = command {
            self.settle(command, Settled::Refused(reason));
        }
    }

    /// Planning thought better of a partition: what runs goes on.
    fn call_off(&mut self, id: PartitionId, command: Option<CommandId>, reason: String) {
        self.chosen = None;
        self.journal.record(What::ProposalWithdrawn { partition: id, reason: reason.clone() });
        self.give_up(Some((id, command)), || reason.clone());
    }

    /// The operator does not want a partition that may be about to run.
    pub(super) fn reject(&mut self, id: PartitionId) {
        self.chosen.take_if(|chosen| *chosen == id);
        let waiting = self.next.take_if(|(next, _)| *next == id);
        self.give_up(waiting, || format!("partition {id} was rejected since"));
    }

    /// A partition that was prepared does not run after all.
    fn give_up(&mut self, prepared: Option<(PartitionId, Option<CommandId>)>, why: impl Fn() -> String) {
        let Some((id, command)) = prepared else { return };
        if let Some(command) = command {
            self.settle(command, Settled::Refused(why()));
        }
        let is_wanted = [self.chosen, self.journal.stage().look().lab.current].contains(&Some(id));
        if !is_wanted {
            self.planning.given_up(id);
            self.let_go(id);
        }
    }

    /// A partition is not run any more: here and on workers.
    pub(super) fn let_go(&mut self, partition: PartitionId) {
        self.schedules.remove(&partition);
        self.fleet.drop_partition(partition);
    }

    /// Switches to the partition that is prepared, if one is.
    pub(super) fn switch_now(&mut self) {
        if let Some((id, command)) = self.next.take() {
            self.switch(id, command);
        }
    }

    fn switch(&mut self, id: PartitionId, command: Option<CommandId>) {
        let before = self.journal.stage().look().lab.current;
        let run = self.again.map_or(RunId(self.runs + 1), |again| again.run);
        self.journal.record(What::PartitionSwitched { partition: id, run });
        if let Some(command) = command {
            // What the operator chose is not undone when a worker comes back.
            self.resume = None;
            self.settle(command, Settled::Done);
        }
        if let Some(before) = before.filter(|before| *before != id) {
            self.let_go(before);
        }
    }

    /// Waits until a partition is prepared; false if it was refused or the lab ends. It is the next to switch to.
    pub(super) async fn wait_until_prepared(&mut self, id: PartitionId) -> bool {
        while self.ending.is_none() {
            if self.next.as_ref().is_some_and(|(next, _)| *next == id) {
                return true;
            }
            if self.journal.stage().look().lab.proposal != Some(id) {
                return false;
            }
            self.step().await;
        }
        false
    }
}
