//! The state of a lab as a fold over its events: `Lab::apply(&Event)`.
//!
//! Everything on screen, in a headless report and in a keyframe is this state. It holds bounded history
//! only, so a keyframe stays small however long the session.

mod accuracy;
mod check;
mod commands;
mod layers;
mod links;
mod log;
mod outlook;
mod pace;
mod partitions;
mod prediction;
mod runs;
mod training;
mod workers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use accuracy::{Accuracy, Tally, WorkerAccuracy};
pub use commands::{CommandState, Progress};
pub use layers::{LayerState, Samples};
pub use links::Transfer;
pub use log::LogLine;
pub use outlook::Outlook;
pub use prediction::Prediction;
pub use runs::{CurrentRun, RunSample, Runs};
pub use training::{Training, TrainingPoint};
pub use workers::{LinkState, Phase, Throttle, WorkerState};

use crate::event::{Answer, Comparison, Event, Proposal, SessionInfo, Span, Thumbnail, Verdict, What};
use crate::id::{Node, PartitionId, RunId};
use crate::network::Network;
use crate::predict::{LinkMemory, RunMemory, WorkerMemory};
use crate::time::Micros;

/// Commands kept.
const COMMANDS: usize = 200;

/// A named moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Micros,
    /// Its name.
    pub name: String,
}

/// Everything true of a lab at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lab {
    /// The time of the last event.
    pub now: Micros,
    /// How the session came to be.
    pub session: SessionInfo,
    /// Whether the session ended in order.
    pub ended: bool,
    /// The network that runs.
    pub network: Option<Arc<Network>>,
    /// The fleet, in order.
    pub workers: Vec<WorkerState>,
    /// Directed links that were measured.
    pub links: Vec<LinkState>,
    /// What was learnt of each worker and the network, in order.
    #[serde(default)]
    learnt: Vec<WorkerMemory>,
    /// Late transfers, by sender and receiver.
    #[serde(default)]
    transfers: Vec<(Node, Node, LinkMemory)>,
    /// What runs took over what was simulated.
    #[serde(default)]
    run_memory: RunMemory,
    /// How well predictions made before runs hold.
    #[serde(default)]
    pub accuracy: Accuracy,
    /// Partitions that run, ran lately, or are proposed.
    pub partitions: BTreeMap<PartitionId, Proposal>,
    /// The one that runs.
    pub current: Option<PartitionId>,
    /// The one offered, if any.
    pub proposal: Option<PartitionId>,
    /// The offered one beside the running one, as predicted when the last run began.
    #[serde(default)]
    outlook: Option<Outlook>,
    /// Since when the running partition, the workers' CPU shares and their links are as they are.
    #[serde(default)]
    pub steady_since: Micros,
    /// Those that ran before, latest last.
    pub past: Vec<PartitionId>,
    /// Whether proposals are held back.
    pub frozen: bool,
    /// Runs.
    pub runs: Runs,
    /// Layers as they were last timed, by worker and layer.
    pub layers: Vec<LayerState>,
    /// The spans of the last run that ended.
    pub timeline: Vec<Span>,
    /// What was predicted before that run.
    #[serde(default)]
    pub timeline_predicted: Option<Arc<Prediction>>,
    /// The partition those spans belong to.
    pub timeline_of: Option<(RunId, PartitionId)>,
    /// The last answer.
    pub answer: Option<Answer>,
    /// The last picture that went in.
    pub before: Option<Thumbnail>,
    /// The last picture that came out.
    pub after: Option<Thumbnail>,
    /// The last verdict that is one.
    pub verdict: Verdict,
    /// Why the offered partition should be faster than the running one.
    #[serde(default)]
    pub compared: Option<Comparison>,
    /// The trainer.
    #[serde(default)]
    pub training: Training,
    /// Commands, latest last.
    pub commands: VecDeque<CommandState>,
    /// Named moments.
    pub marks: Vec<Mark>,
    /// The log, latest last.
    pub log: VecDeque<LogLine>,
}

impl Lab {
    /// Takes one event into account. Events come in the order of their times.
    pub fn apply(&mut self, event: &Event) {
        self.now = self.now.max(event.at);
        match &event.what {
            What::SessionStarted(info) => self.session = info.clone(),
            What::SessionEnded => self.ended = true,
            What::NetworkLoaded { network } => self.load(network),
            What::WorkerJoined(info) => self.join(info),
            What::WorkerReady { worker } => self.worker_phase(*worker, Phase::Ready, event.at),
            What::WorkerLoading { worker, done, total } => {
                self.worker_phase(*worker, Phase::Loading { done: *done, total: *total }, event.at);
            }
            What::WorkerLost { worker, reason } => {
                self.worker_phase(*worker, Phase::Lost { reason: reason.clone() }, event.at);
            }
            What::WorkerStatus(status) => self.take_status(status),
            What::LinkMeasured { from, to, rtt_ms, rate_mbps, offset_ms } => {
                self.take_link(*from, *to, *rtt_ms, *rate_mbps, *offset_ms);
            }
            What::SingleMeasured { worker, ms, compute_ms } => self.take_single(*worker, *ms, *compute_ms),
            What::WorkerCalibrated { worker, profile, held_out, .. } => {
                self.take_profile(*worker, profile, *held_out);
            }
            What::PartitionProposed(proposal) => self.propose(proposal),
            What::PartitionRehearsed { partition, worker, blocks } => {
                self.take_rehearsal(*partition, *worker, blocks);
            }
            What::PartitionSwitched { partition, .. } => self.switch(*partition),
            What::ProposalCompared(comparison) => self.compared = Some(comparison.clone()),
            What::Trained(trained) => self.training.take(trained, event.at),
            What::PartitionRefused { partition, .. } | What::ProposalWithdrawn { partition, .. } => {
                if self.proposal == Some(*partition) {
                    self.proposal = None;
                }
            }
            What::RunStarted { run, partition, input } => {
                self.begin_run(*run, *partition, input.clone(), event.at);
            }
            What::LayersTimed(timed) => self.take_layers(timed),
            What::SpanDone(span) => self.runs.take_span(span),
            What::RunDone { run, ms, verdict } => self.finish_run(*run, *ms, *verdict, event.at),
            What::RunLost { run, .. } => self.runs.lose(*run),
            What::Answered { answer, .. } => self.answer = Some(answer.clone()),
            What::Pictured { before, after, .. } => {
                self.before = Some(before.clone());
                self.after = after.clone();
            }
            What::CommandGiven { id, who, verb, before, after, predicted_ms } => {
                self.give_command(*id, who, verb, before, after, *predicted_ms, event.at);
            }
            What::CommandSettled { id, outcome } => self.settle_command(*id, outcome, event.at),
            What::CommandMeasured { id, measured_ms } => {
                if let Some(command) = self.commands.iter_mut().find(|command| command.id == *id) {
                    command.measured_ms = Some(*measured_ms);
                }
            }
            What::Noted { .. } => {}
        }
        self.tell(event);
    }

    /// The fastest worker alone, and its time in ms. One that is lost counts only where nobody is left.
    pub fn best_single(&self) -> Option<(&WorkerState, f64)> {
        let is_deserted = !self.workers.iter().any(WorkerState::is_ready);
        let there = self.workers.iter().filter(|worker| is_deserted || worker.is_ready());
        let timed = there.filter_map(|worker| Some((worker, worker.single_ms?)));
        timed.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Everything after concerns this network; what was of another one is of no use.
    fn load(&mut self, network: &Arc<Network>) {
        self.network = Some(network.clone());
        self.partitions.clear();
        self.past.clear();
        (self.current, self.proposal, self.outlook) = (None, None, None);
        (self.timeline_of, self.timeline_predicted) = (None, None);
        self.timeline.clear();
        self.layers.clear();
        self.runs.in_flight.clear();
        self.relearn_all();
    }

    /// Predicts a run before anything of it is known.
    fn begin_run(&mut self, run: RunId, partition: PartitionId, input: String, started: Micros) {
        // What begins again takes longer than its partition: nothing is said that could be judged or learnt from.
        let again = self.begins_again(run);
        let predicted = self.predict_partition(partition).filter(|_| !again).map(Arc::new);
        let is_running = Some(partition) == self.current;
        self.look_ahead(predicted.as_ref().filter(|_| is_running).map(|predicted| predicted.ms));
        let shares = self.workers.iter().map(|worker| worker.throttle.percent / 100.0).collect();
        let (spans, layers) = (Vec::new(), Vec::new());
        self.runs.start(CurrentRun { run, partition, input, started, shares, predicted, spans, layers });
    }

    /// Whether a run that begins did so before, and lost a worker on its way.
    fn begins_again(&self, run: RunId) -> bool {
        let before = self.runs.in_flight.iter().find(|current| current.run == run);
        before.is_some_and(|before| {
            let is_lost = |worker: &WorkerState| matches!(worker.phase, Phase::Lost { .. });
            self.workers.iter().any(|worker| is_lost(worker) && worker.phase_since >= before.started)
        })
    }

    /// What a run of the running partition should take: as was said before the last one that began.
    pub fn prediction(&self) -> Option<&Prediction> {
        let current = self.current?;
        let begun = self.runs.in_flight.iter().rev().find(|run| run.partition == current);
        match begun {
            Some(run) => run.predicted.as_deref(),
            None => self
                .timeline_predicted
                .as_deref()
                .filter(|_| self.timeline_of.is_some_and(|(_, of)| of == current)),
        }
    }

    fn finish_run(&mut self, run: RunId, ms: f64, verdict: Verdict, at: Micros) {
        if verdict != Verdict::Unchecked {
            self.verdict = verdict;
        }
        let measures = |id| self.partitions.get(&id).is_some_and(Proposal::measures);
        let Some(done) = self.runs.finish((run, ms, verdict), at, measures) else { return };
        for (index, worker) in self.workers.iter_mut().enumerate() {
            let node = Node::Worker(crate::id::WorkerId::at(index));
            worker.take_run(&done.spans, node, ms);
        }
        self.judge(&done, ms);
        self.learn(&done, ms);
        self.timeline_predicted = done.predicted;
        self.timeline_of = Some((run, done.partition));
        self.timeline = done.spans;
    }
}

/// Adds to a history and forgets its oldest part.
fn push_bounded<T>(queue: &mut VecDeque<T>, value: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests;
