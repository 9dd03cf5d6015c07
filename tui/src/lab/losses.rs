//! A worker is gone: how the others go on with its run, and how it comes back.

use std::time::{Duration, Instant};

use collab_core::command::Settled;
use collab_core::event::{Level, Proposal, What};
use collab_core::id::{Node, PartitionId, WorkerId};
use collab_worker::client::{Pong, WorkerLink};

use super::calibrate::calibrate;
use super::controller::{Controller, Ending};
use super::fleet::measure;
use super::flight::Interrupted;
use super::outcomes::Outcome;
use super::redial::SHORTEST_PAUSE;
use super::severed::UNLINKED_PAUSE;

/// How long a lab without any worker waits for one to come back.
pub(super) const DESERTED: Duration = Duration::from_secs(60);

impl Controller {
    /// A worker is gone. Its run begins again on the others by a new plan, and it is dialled until it is back.
    pub(super) fn lose_worker(&mut self, worker: WorkerId, reason: String) {
        self.go_on_without(worker, reason, SHORTEST_PAUSE);
    }

    /// A worker that the others cannot reach is of no use: it is let go of, and tried again some time later.
    pub(super) fn leave_out(&mut self, worker: WorkerId, reason: String) {
        self.go_on_without(worker, reason, UNLINKED_PAUSE);
    }

    fn go_on_without(&mut self, worker: WorkerId, reason: String, pause: Duration) {
        if !self.fleet.lose(worker) {
            return;
        }
        self.journal.record(What::WorkerLost { worker, reason: reason.clone() });
        self.dial_again(worker, pause);
        if let Some((_, command)) = self.next.take_if(|(next, _)| uses(&self.journal, *next, worker))
            && let Some(command) = command
        {
            self.settle(command, Settled::Refused(format!("{worker} is lost")));
        }
        self.interrupt(worker, &reason);
        // What gives it rows cannot run any more; what planning finds first replaces it, even when frozen.
        let journal = self.journal.clone();
        self.schedules.retain(|partition, _| !uses(&journal, *partition, worker));
        if self.fleet.ready().is_empty() {
            if self.redials {
                self.deserted = Some(Instant::now());
            } else {
                self.end(Ending::NobodyLeft);
            }
            return;
        }
        let running = self.journal.stage().look().lab.running().map(|of| (of.partition, of.measures()));
        if let Some((running, false)) = running
            && self.planned
            && uses(&self.journal, running, worker)
        {
            self.resume.get_or_insert(running);
        }
        self.conditions_changed();
    }

    /// Takes the run in flight back if `worker` has a part in it; it is lost if it only measured that worker.
    fn interrupt(&mut self, worker: WorkerId, reason: &str) {
        let journal = self.journal.clone();
        let Some(flight) = self.flight.take_if(|flight| uses(&journal, flight.partition, worker)) else {
            return;
        };
        self.fleet.cancel(flight.attempt);
        let run = flight.run;
        let shown = journal.stage().look();
        let of = shown.lab.partitions.get(&flight.partition);
        let is_alone = of.is_some_and(|of| of.planner == Proposal::ALONE);
        drop(shown);
        if self.planned || !is_alone {
            self.again = Some(Interrupted { run, frame: flight.frame, started: flight.started });
            journal.note(Level::Warning, format!("run {run} begins again without {worker}"));
        } else {
            let reason = format!("worker {worker} is lost: {reason}");
            journal.record(What::RunLost { run, reason });
        }
    }

    /// Dials a lost worker from `pause` on until it is back, if lost workers are dialled.
    pub(super) fn dial_again(&mut self, worker: WorkerId, pause: Duration) {
        let Some(redial) = self.redials.then(|| self.fleet.redial(worker)).flatten() else { return };
        let (journal, outcomes) = (self.journal.clone(), self.outcomes.clone());
        self.redialling.spawn(async move {
            if let Some((link, clock)) = redial.until_back(&journal, pause).await {
                // The lab may have ended meanwhile.
                let _ = outcomes.send(Outcome::Back(link, clock));
            }
        });
    }

    /// A worker answers, again or at last, and holds the network: it and the others are introduced to each other, and what
    /// was never measured of it is, before it is given anything.
    pub(super) fn regain(&mut self, link: WorkerLink, clock: Pong) {
        let worker = link.worker();
        let (has_profile, has_rate) = {
            let shown = self.journal.stage().look();
            let known = shown.lab.worker(worker).is_some_and(|worker| worker.profile.is_some());
            let way = shown.lab.link(Node::Worker(worker), Node::Lab);
            (known, way.is_some_and(|way| way.rate_mbps.is_some()))
        };
        let introducing = self.fleet.regain(link.clone());
        self.fleet.set_clock(worker, clock);
        let (journal, profiles, outcomes) =
            (self.journal.clone(), self.profiles.clone(), self.outcomes.clone());
        tokio::spawn(async move {
            let introduced = introducing.await;
            let itself = [(worker, link)];
            if introduced.is_ok() && !has_rate {
                measure(&itself).await.into_iter().for_each(|speed| journal.record(speed));
            }
            if introduced.is_ok() && !has_profile {
                calibrate(&itself, &profiles, &journal).await;
            }
            let _ = outcomes.send(Outcome::Introduced(worker, introduced));
        });
    }

    /// A worker can be given work again: what ran before it was lost runs again, whether frozen or not.
    pub(super) fn welcome(&mut self, worker: WorkerId) {
        if self.fleet.is_gone(worker) || !self.fleet.ready().contains(&worker) {
            return;
        }
        self.journal.record(What::WorkerReady { worker });
        self.deserted = None;
        let resumed = {
            let shown = self.journal.stage().look();
            let allowed = shown.lab.allowed();
            let is_possible = |id: &PartitionId| {
                let known = shown.lab.partitions.get(id);
                known.is_some_and(|it| (0..allowed.len()).all(|index| allowed[index] || !it.plan.uses(index)))
            };
            self.resume.filter(is_possible)
        };
        if !self.is_measured(worker) && !self.unmeasured.contains(&worker) {
            self.unmeasured.push(worker);
        }
        self.conditions_changed();
        if let Some(before) = resumed {
            self.resume = None;
            self.prepare(before, None);
            self.planning.adopt(before);
        }
    }

    /// Measures a worker alone that was lost before its turn came, then goes on as before; all are sounded out together
    /// once the last such worker was measured.
    pub(super) async fn measure_late(&mut self, worker: WorkerId) {
        let before = self.journal.stage().look().lab.current;
        self.measure_single(worker).await;
        if let Some(before) = before {
            self.prepare(before, None);
        }
        if self.unmeasured.is_empty() && self.is_measured(worker) {
            self.sound_beside();
        }
    }
}

/// Whether a partition gives `worker` rows. One that is not known any more is taken to: nothing runs it.
fn uses(journal: &crate::journal::Journal, partition: PartitionId, worker: WorkerId) -> bool {
    let shown = journal.stage().look();
    shown.lab.partitions.get(&partition).is_none_or(|known| known.plan.uses(worker.index()))
}
