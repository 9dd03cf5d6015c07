//! Commands: one place where verbs are refused, recorded, carried out and measured.

use std::time::{Duration, Instant};

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::{LinkShape, Proposal, What};
use collab_core::id::{PartitionId, WorkerId};
use collab_core::lab::{Lab, Progress};
use collab_core::partition::Partition;
use collab_core::plan::Problem;

use super::controller::Controller;
use super::outcomes::Outcome;

/// How long after a command its effect is measured, unless another command comes before.
const EFFECT_AFTER: Duration = Duration::from_secs(10);
/// Runs that tell an effect.
const EFFECT_RUNS: usize = 3;

impl Controller {
    /// Records a command and begins to carry it out.
    pub(super) fn operate(&mut self, who: &str, verb: Verb) {
        self.commands += 1;
        let id = CommandId(self.commands);
        let given = {
            let shown = self.journal.stage().look();
            let (before, after) = around(&shown.lab, &verb);
            let predicted_ms = predicted(&shown.lab, &verb);
            let (who, verb) = (who.to_owned(), verb.clone());
            What::CommandGiven { id, who, verb, before, after, predicted_ms }
        };
        self.journal.record(given);
        if self.read_only && verb.changes_the_lab() {
            let reason = "this lab is read-only (it was started with --read-only)".to_owned();
            self.settle(id, Settled::Refused(reason));
            return;
        }
        match self.carry_out(id, verb) {
            Ok(Now::Done) => self.settle(id, Settled::Done),
            Ok(Now::Later) => {}
            Err(reason) => self.settle(id, Settled::Refused(reason)),
        }
    }

    fn carry_out(&mut self, id: CommandId, verb: Verb) -> Result<Now, String> {
        match verb {
            Verb::Throttle { worker, percent } => {
                if !(1.0..=100.0).contains(&percent) {
                    return Err(format!("a CPU share is 1 to 100 %, not {percent}"));
                }
                let asked = self.fleet.throttle(worker, percent)?;
                self.settle_when(id, asked);
                Ok(Now::Later)
            }
            Verb::Link { worker, rate_mbps, delay_ms } => {
                let asked = self.fleet.shape_link(worker, LinkShape { rate_mbps, delay_ms })?;
                self.settle_when(id, asked);
                Ok(Now::Later)
            }
            Verb::Accept => {
                let offered = self.offered();
                self.adopt(offered.ok_or("there is no proposal to accept")?, id)
            }
            Verb::Reject { .. } => {
                let offered = self.offered().ok_or("there is no proposal to reject")?;
                self.reject(offered);
                self.planning.reject(&self.journal.stage().look().lab, offered);
                Ok(Now::Done)
            }
            Verb::Undo => {
                let before = self.journal.stage().look().lab.past.last().copied();
                let adopted = self.adopt(before.ok_or("no partition ran before this one")?, id)?;
                let shown = self.journal.stage().look();
                if let Some(current) = shown.lab.current {
                    self.planning.reject(&shown.lab, current);
                }
                Ok(adopted)
            }
            Verb::Edit { partition } => {
                let proposal = self.by_hand(&partition)?;
                self.planning.adopt(proposal.partition);
                self.offer(proposal, true, Some(id));
                Ok(Now::Later)
            }
            Verb::Verify => {
                self.verifying.push(id);
                self.reference.forget();
                Ok(Now::Later)
            }
            Verb::PauseTraining | Verb::ResumeTraining => {
                self.training.pause(verb == Verb::PauseTraining).map(|()| Now::Done)
            }
            Verb::Freeze | Verb::Thaw | Verb::Mark { .. } => Ok(Now::Done),
        }
    }

    /// The partition that is offered to the operator.
    fn offered(&self) -> Option<PartitionId> {
        self.journal.stage().look().lab.offered().map(|offered| offered.partition)
    }

    /// The partition that an operator typed, if those who are there can run it.
    fn by_hand(&mut self, partition: &str) -> Result<Proposal, String> {
        let shown = self.journal.stage().look();
        let workers = &shown.lab.workers;
        let plan = Partition::parse(partition, self.model.network(), workers.len())
            .map_err(|error| error.to_string())?;
        let mut missing = (0..workers.len()).filter(|&index| plan.uses(index) && !workers[index].is_ready());
        if let Some(index) = missing.next() {
            return Err(format!("worker {} is not there", WorkerId::at(index)));
        }
        let proposal = self.planning.announce(&shown.lab, "hand", plan);
        proposal.ok_or_else(|| "nothing was measured yet".to_owned())
    }

    /// Has everybody prepare a partition that is known, unless they are about it.
    fn adopt(&mut self, partition: PartitionId, command: CommandId) -> Result<Now, String> {
        if self.planning.is_adopting(partition) {
            return Err(format!("partition {partition} is being prepared already"));
        }
        self.planning.adopt(partition);
        self.prepare(partition, Some(command));
        Ok(Now::Later)
    }

    fn settle_when(&self, id: CommandId, asked: impl Future<Output = Result<(), String>> + Send + 'static) {
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            let outcome = asked.await.map_or_else(Settled::Refused, |()| Settled::Done);
            let _ = outcomes.send(Outcome::Settled(id, outcome));
        });
    }

    pub(super) fn settle(&mut self, id: CommandId, outcome: Settled) {
        let is_done = outcome == Settled::Done;
        let changes_latency = {
            let shown = self.journal.stage().look();
            shown.lab.commands.iter().any(|command| command.id == id && command.verb.changes_latency())
        };
        self.journal.record(What::CommandSettled { id, outcome });
        if is_done && changes_latency {
            // What follows is the effect of this one.
            self.tell_effect();
            self.effect = Some((id, Instant::now()));
        }
        self.conditions_changed();
    }

    /// The lab ends: what was not carried out by now will not be.
    pub(super) fn settle_what_is_pending(&mut self) {
        let pending = {
            let shown = self.journal.stage().look();
            let commands = shown.lab.commands.iter();
            let pending = commands.filter(|command| command.progress == Progress::Pending);
            pending.map(|command| command.id).collect::<Vec<_>>()
        };
        for id in pending {
            let outcome = Settled::Refused("the lab ended before it was done".to_owned());
            self.journal.record(What::CommandSettled { id, outcome });
        }
    }

    /// Notes the effect of the last command, once enough time has passed.
    pub(super) fn measure_effect(&mut self, now: Instant) {
        if self.effect.is_some_and(|(_, settled)| now >= settled + EFFECT_AFTER) {
            self.tell_effect();
        }
    }

    /// Notes the median latency since the last command, if enough runs tell it.
    fn tell_effect(&mut self) {
        let Some((id, settled)) = self.effect.take() else { return };
        let since = self.journal.time_of(settled);
        let measured = self.journal.stage().look().lab.runs.median_since(since, EFFECT_RUNS);
        if let Some(measured_ms) = measured {
            self.journal.record(What::CommandMeasured { id, measured_ms });
        }
    }
}

/// Whether a command is done at once, or when somebody answers.
enum Now {
    Done,
    Later,
}

/// The state that a verb changes and the state it asks for, in words.
fn around(lab: &Lab, verb: &Verb) -> (String, String) {
    let named = |id: Option<PartitionId>| id.map_or("nothing".to_owned(), |id| id.to_string());
    let running = || named(lab.current);
    let offered = || named(lab.offered().map(|offered| offered.partition));
    let link = |shape: LinkShape| match shape.rate_mbps {
        Some(rate) => format!("{rate:.0} Mbit/s, {:.1} ms", shape.delay_ms),
        None => format!("unpaced, {:.1} ms", shape.delay_ms),
    };
    match verb {
        Verb::Throttle { worker, percent } => {
            let before = lab.worker(*worker).map_or(100.0, |worker| worker.throttle.percent);
            (format!("{before:.0} %"), format!("{percent:.0} %"))
        }
        Verb::Link { worker, rate_mbps, delay_ms } => {
            let shape = lab.worker(*worker).and_then(|worker| Some(worker.status.as_ref()?.link));
            let after = LinkShape { rate_mbps: *rate_mbps, delay_ms: *delay_ms };
            (link(shape.unwrap_or_default()), link(after))
        }
        Verb::Accept => (running(), offered()),
        Verb::Undo => (running(), named(lab.past.last().copied())),
        Verb::Edit { partition } => (running(), partition.clone()),
        Verb::Reject { .. } => (offered(), "no proposal".to_owned()),
        Verb::Freeze | Verb::Thaw => {
            let word = |frozen: bool| if frozen { "frozen" } else { "thawed" }.to_owned();
            (word(lab.frozen), word(matches!(verb, Verb::Freeze)))
        }
        Verb::PauseTraining | Verb::ResumeTraining => {
            let word = |paused: bool| if paused { "paused" } else { "training" }.to_owned();
            (word(lab.training.paused), word(matches!(verb, Verb::PauseTraining)))
        }
        Verb::Verify => (lab.verdict.name().to_owned(), "compared".to_owned()),
        // Its name is in its words, and nothing changes.
        Verb::Mark { .. } => (String::new(), String::new()),
    }
}

/// The latency that a verb should lead to, where the model can tell.
fn predicted(lab: &Lab, verb: &Verb) -> Option<f64> {
    let network = lab.network.as_ref()?;
    let mut costs = lab.costs()?;
    let plan = match verb {
        Verb::Throttle { worker, percent } => {
            let before = lab.worker(*worker)?.throttle.percent;
            costs.slow(worker.index(), before / percent);
            lab.running()?.plan.clone()
        }
        Verb::Accept => lab.offered()?.plan.clone(),
        Verb::Undo => lab.partitions.get(lab.past.last()?)?.plan.clone(),
        Verb::Edit { partition } => Partition::parse(partition, network, lab.workers.len()).ok()?,
        _ => return None,
    };
    let (allowed, memory) = (lab.allowed(), lab.memory_limits());
    let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &memory };
    Some(problem.cost(plan).timeline.finish_ms)
}
