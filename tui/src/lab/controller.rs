//! The lab's loop: runs, reports, lost workers, switches between partitions.
//!
//! One task owns everything and waits for one thing at a time, so nothing here is locked. What takes long
//! (preparing strips, comparing clocks, the reference) runs beside it and answers with an [`Outcome`].

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collab_core::command::{CommandId, Settled};
use collab_core::event::{Level, Proposal, Verdict, What};
use collab_core::id::{Node, PartitionId, RunId, WorkerId};
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;
use collab_core::wire::RowsHeader;
use collab_models::{Map, Model};
use collab_worker::client::{FromWorker, Pong};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::fleet::Fleet;
use super::flight::{Flight, Landed};
use super::inputs::Inputs;
use super::planning::Planning;
use super::reference::Reference;
use super::reports;
use crate::journal::Journal;
use crate::screen::Request;

/// A run that takes longer is lost.
const RUN_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at whether another partition would be better.
const RECONSIDER_EVERY: Duration = Duration::from_millis(300);
/// Between two rounds of clock exchanges.
const CLOCKS_EVERY: Duration = Duration::from_secs(2);

/// The planner's name of partitions that measure one worker alone.
pub(super) const ALONE: &str = "alone";

/// What came of something that ran beside the loop.
pub enum Outcome {
    /// Every worker prepared a partition, or one refused with a sentence.
    Prepared(PartitionId, Option<CommandId>, Result<(), String>),
    /// A command was acknowledged or refused.
    Settled(CommandId, Settled),
    /// A worker's clock was compared.
    Clock(WorkerId, Pong),
    /// The single-device output of an input is known, or why it is not.
    Referenced(usize, Result<Vec<f32>, String>),
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The operator left, or the time was up.
    Asked,
    /// No worker is left.
    NobodyLeft,
}

/// The lab's loop and all it owns.
pub struct Controller {
    pub(super) journal: Arc<Journal>,
    pub(super) model: Model,
    pub(super) fleet: Fleet,
    pub(super) inputs: Inputs,
    pub(super) reference: Reference,
    pub(super) planning: Planning,
    /// Apply proposals without asking.
    pub(super) auto: bool,
    pub(super) read_only: bool,
    pub(super) outcomes: mpsc::UnboundedSender<Outcome>,
    inbox: mpsc::UnboundedReceiver<Outcome>,
    requests: mpsc::UnboundedReceiver<Request>,
    schedules: HashMap<PartitionId, Arc<Schedule>>,
    /// Prepared everywhere; runs from the next run on, for the command if one asked.
    pub(super) next: Option<(PartitionId, Option<CommandId>)>,
    pub(super) flight: Option<Flight>,
    pub(super) landed: Vec<Landed>,
    pub(super) runs: u64,
    pub(super) commands: u32,
    /// A command that waits for the next comparison.
    pub(super) verifying: Option<CommandId>,
    /// Commands whose effect is measured ten seconds after they were settled.
    pub(super) effects: Vec<(CommandId, Instant)>,
    answered: Option<usize>,
    reconsidered: Instant,
    clocks_compared: Instant,
    pub(super) ending: Option<Ending>,
    for_time: Option<Duration>,
    stop_at: Option<Instant>,
    output: Option<PathBuf>,
    /// The last complete output, if it is to be written.
    last_output: Option<(usize, Map)>,
    /// Whether the first partition was planned; before, workers are measured one by one.
    planned: bool,
}

/// What the loop is given to begin with.
pub struct Parts {
    /// Where events go.
    pub journal: Arc<Journal>,
    /// The network, for the geometry, the output and the reference.
    pub model: Model,
    /// Connected workers that hold the network.
    pub fleet: Fleet,
    /// What it runs on.
    pub inputs: Inputs,
    /// The single-device outputs.
    pub reference: Reference,
    /// The planner.
    pub planning: Planning,
    /// Apply proposals without asking.
    pub auto: bool,
    /// Refuse everything that changes the lab.
    pub read_only: bool,
    /// Where the last output is written.
    pub output: Option<PathBuf>,
}

impl Controller {
    /// A loop that has not begun, and ends `for_time` after its first partition is ready if not asked to before.
    pub fn new(parts: Parts, requests: mpsc::UnboundedReceiver<Request>, for_time: Option<Duration>) -> Self {
        let (outcomes, inbox) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            journal: parts.journal,
            model: parts.model,
            fleet: parts.fleet,
            inputs: parts.inputs,
            reference: parts.reference,
            planning: parts.planning,
            auto: parts.auto,
            read_only: parts.read_only,
            outcomes,
            inbox,
            requests,
            schedules: HashMap::new(),
            next: None,
            flight: None,
            landed: Vec::new(),
            runs: 0,
            commands: 0,
            verifying: None,
            effects: Vec::new(),
            answered: None,
            reconsidered: now,
            clocks_compared: now,
            ending: None,
            for_time,
            stop_at: None,
            output: parts.output,
            last_output: None,
            planned: false,
        }
    }

    /// Measures every worker alone, plans, and runs until asked to end or nobody is left.
    pub async fn drive(&mut self) -> anyhow::Result<Ending> {
        self.reference_for(0);
        self.measure_singles().await;
        if self.ending.is_none() {
            let first = {
                let shown = self.journal.stage().look();
                self.planning.first(&shown.lab)?
            };
            self.planned = true;
            match first {
                Some(proposal) => {
                    let id = proposal.partition;
                    self.offer(proposal, true, None);
                    self.wait_until_prepared(id).await;
                    self.stop_at = self.for_time.map(|time| Instant::now() + time);
                }
                None => self.end(Ending::NobodyLeft),
            }
        }
        while self.ending.is_none() {
            self.begin_run();
            self.step().await;
        }
        // What landed last is still worth its line.
        while !self.landed.is_empty() {
            self.step().await;
        }
        if let (Some(path), Some((frame, output))) = (&self.output, &self.last_output) {
            self.inputs.save(*frame, output, path)?;
        }
        Ok(self.ending.unwrap_or(Ending::Asked))
    }

    /// Says farewell to the workers.
    pub async fn close(&self) {
        self.fleet.close().await;
    }

    /// Announces a partition; if `apply`, has every worker prepare it, to switch when all have.
    pub(super) fn offer(&mut self, proposal: Proposal, apply: bool, command: Option<CommandId>) {
        let id = proposal.partition;
        self.journal.record(What::PartitionProposed(proposal));
        if apply {
            self.prepare(id, command);
        }
    }

    /// Has every worker prepare a partition that was announced before.
    pub(super) fn prepare(&mut self, id: PartitionId, command: Option<CommandId>) {
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

    /// Starts a run of the current partition if none is in flight, after a switch if one is due.
    pub(super) fn begin_run(&mut self) {
        if self.flight.is_some() || self.is_time_up() {
            return;
        }
        self.switch_now();
        let current = self.journal.stage().look().lab.current;
        if let Some(id) = current {
            self.start_run(id);
        }
    }

    /// Switches to the partition that is prepared, if one is.
    pub(super) fn switch_now(&mut self) {
        if let Some((id, command)) = self.next.take() {
            self.switch(id, command);
        }
    }

    fn switch(&mut self, id: PartitionId, command: Option<CommandId>) {
        let before = self.journal.stage().look().lab.current;
        self.journal.record(What::PartitionSwitched { partition: id, run: RunId(self.runs + 1) });
        if let Some(command) = command {
            self.settle(command, Settled::Done);
        }
        if let Some(before) = before.filter(|before| *before != id) {
            self.schedules.remove(&before);
            self.fleet.drop_partition(before);
        }
    }

    /// Starts a run of a prepared partition; does nothing if it is not prepared or a run is in flight.
    pub(super) fn start_run(&mut self, id: PartitionId) {
        let Some(schedule) = self.schedules.get(&id).filter(|_| self.flight.is_none()).cloned() else {
            return;
        };
        self.runs += 1;
        let run = RunId(self.runs);
        let frame = (self.runs as usize - 1) % self.inputs.len();
        let network = self.model.network().clone();
        let cut = network.cut(network.units.len());
        let output = Map::zeros(cut, Rows::all(cut.rows));
        let input = self.inputs.frame(frame).clone();
        let name = input.name().to_owned();
        self.journal.record(What::RunStarted { run, partition: id, input: name });
        self.flight = Some(Flight::new(run, frame, &schedule, output, Instant::now()));
        for transfer in &schedule.input {
            let Node::Worker(worker) = transfer.peer else { continue };
            let (encoding, bytes) = input.rows(&network, transfer.rows);
            let bytes_sent = bytes.len() as u64;
            let rows = transfer.rows;
            let header = RowsHeader { run, partition: id, block: 0, rows, encoding, bytes: bytes_sent };
            self.fleet.send_rows(worker, header, bytes);
        }
        self.reference_for(frame);
    }

    /// Waits for one thing and takes it into account.
    pub(super) async fn step(&mut self) {
        let wake = self.next_wake();
        tokio::select! {
            from = self.fleet.receive() => match from {
                Some((worker, event)) => self.take(worker, event),
                None => self.end(Ending::NobodyLeft),
            },
            Some(outcome) = self.inbox.recv() => self.take_outcome(outcome),
            request = self.requests.recv() => self.take_request(request.unwrap_or(Request::Quit)),
            () = sleep_until(wake.into()) => {}
        }
        self.look_at_the_clock(Instant::now());
    }

    /// Does what the operator asks for.
    pub fn take_request(&mut self, request: Request) {
        match request {
            Request::Verb(verb) => self.operate("operator", verb),
            // There is no time to move in while live; the screen says so.
            Request::Playback(_) => {}
            Request::Quit => self.end(Ending::Asked),
        }
    }

    fn next_wake(&self) -> Instant {
        let mut wake = self.clocks_compared + CLOCKS_EVERY;
        if let Some(flight) = &self.flight {
            wake = wake.min(flight.started + RUN_DEADLINE);
        }
        if let Some(until) = self.landed.iter().map(Landed::until).min() {
            wake = wake.min(until);
        }
        self.stop_at.map_or(wake, |stop| wake.min(stop))
    }

    /// Everything that is due by time.
    fn look_at_the_clock(&mut self, now: Instant) {
        let (settled, landed) = self.landed.drain(..).partition(|landed: &Landed| landed.is_settled(now));
        self.landed = landed;
        for landed in settled {
            self.finish_run(&landed);
        }
        if self.flight.as_ref().is_some_and(|flight| now >= flight.started + RUN_DEADLINE) {
            let secs = RUN_DEADLINE.as_secs();
            self.lose_run(format!("no output within {secs} s"));
        }
        if now >= self.clocks_compared + CLOCKS_EVERY {
            self.clocks_compared = now;
            self.fleet.compare_clocks(&self.outcomes);
        }
        self.measure_effects(now);
        if self.is_time_up() && self.flight.is_none() {
            self.end(Ending::Asked);
        }
    }

    fn is_time_up(&self) -> bool {
        self.stop_at.is_some_and(|stop| Instant::now() >= stop)
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    fn take(&mut self, worker: WorkerId, event: FromWorker) {
        let node = Node::Worker(worker);
        match event {
            FromWorker::Rows { header, body, .. } => self.take_rows(header, &body),
            FromWorker::Computed(report) => {
                let run = report.run;
                let start = self.started(run);
                let at = |micros| self.fleet.since(worker, micros, start?);
                let events = reports::computed(worker, report, at);
                events.into_iter().for_each(|what| self.journal.record(what));
                self.take_report(run, worker);
            }
            FromWorker::Sent(sent) => {
                let start = self.started(sent.run);
                let event = reports::span(node, &sent, |micros| self.fleet.since(worker, micros, start?));
                event.into_iter().for_each(|what| self.journal.record(what));
                self.take_report(sent.run, worker);
            }
            FromWorker::LabSent(sent) => {
                let start = self.started(sent.run);
                let at = |micros: u64| Some(self.fleet.lab_since(micros as i64, start?));
                let event = reports::span(Node::Lab, &sent, at);
                event.into_iter().for_each(|what| self.journal.record(what));
            }
            FromWorker::Failed { run, reason } => {
                if self.flight.as_ref().is_some_and(|flight| flight.run == run) {
                    self.lose_run(format!("{worker}: {reason}"));
                }
            }
            FromWorker::PeerLost { peer, reason } => {
                self.journal.note(Level::Warning, format!("{worker} lost its link to {peer}: {reason}"));
            }
            // When rows arrived is what the sender's span and the next computing say already.
            FromWorker::Arrived(_) | FromWorker::PeerJoined(_) => {}
            FromWorker::Status(status) => self.journal.record(What::WorkerStatus(status)),
            FromWorker::Closed { reason } => self.lose_worker(worker, reason),
        }
    }

    fn started(&self, run: RunId) -> Option<Instant> {
        let landed = self.landed.iter().map(|landed| (landed.run, landed.started));
        let flying = self.flight.iter().map(|flight| (flight.run, flight.started));
        landed.chain(flying).find(|(known, _)| *known == run).map(|(_, started)| started)
    }

    fn take_report(&mut self, run: RunId, worker: WorkerId) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.run == run) {
            flight.take_report(worker);
        } else if let Some(landed) = self.landed.iter_mut().find(|landed| landed.run == run) {
            landed.take_report(worker);
        }
    }

    fn take_rows(&mut self, header: RowsHeader, bytes: &[u8]) {
        let now = Instant::now();
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.run == header.run) else { return };
        match flight.take_rows(header.rows, bytes) {
            Ok(false) => {}
            Ok(true) => self.land(now),
            Err(error) => self.lose_run(format!("an output that does not fit: {error}")),
        }
    }

    /// The output is complete: compare it, say what it means.
    fn land(&mut self, now: Instant) {
        let Some(flight) = self.flight.take() else { return };
        let verdict = self.reference.compare(flight.frame, flight.output().values());
        if verdict != Verdict::Unchecked
            && let Some(command) = self.verifying.take()
        {
            self.settle(command, Settled::Done);
        }
        // The same input gives the same bits, so its answer is told once.
        let known = self.answered == Some(flight.frame) && matches!(verdict, Verdict::BitEqual);
        if !known {
            self.answered = Some(flight.frame);
            for what in self.inputs.answer(flight.frame, flight.run, flight.output()) {
                self.journal.record(what);
            }
        }
        let (landed, output) = flight.land(now, verdict);
        if self.output.is_some() {
            self.last_output = Some((landed.frame, output));
        }
        self.landed.push(landed);
    }

    fn finish_run(&mut self, landed: &Landed) {
        self.journal.record(What::RunDone { run: landed.run, ms: landed.ms, verdict: landed.verdict });
        let now = Instant::now();
        let collaborating = self.journal.stage().look().lab.running().is_some_and(|of| of.planner != ALONE);
        if !collaborating || now < self.reconsidered + RECONSIDER_EVERY {
            return;
        }
        self.reconsidered = now;
        let better = self.planning.reconsider(&self.journal.stage().look().lab);
        if let Some(proposal) = better {
            self.offer(proposal, self.auto, None);
        }
    }

    /// Ends the run in flight without an output.
    fn lose_run(&mut self, reason: String) {
        if let Some(flight) = self.flight.take() {
            self.fleet.cancel(flight.run);
            self.journal.record(What::RunLost { run: flight.run, reason });
        }
    }

    /// A worker is gone: its run is lost, the others go on.
    fn lose_worker(&mut self, worker: WorkerId, reason: String) {
        if !self.fleet.lose(worker) {
            return;
        }
        self.journal.record(What::WorkerLost { worker, reason: reason.clone() });
        self.lose_run(format!("worker {worker} is lost: {reason}"));
        self.next = None;
        if self.fleet.ready().is_empty() {
            self.end(Ending::NobodyLeft);
            return;
        }
        let shown = self.journal.stage().look();
        let affected = shown
            .lab
            .running()
            .is_some_and(|running| running.plan.uses(worker.index()) || running.planner == ALONE);
        let planned = (self.planned && affected).then(|| self.planning.plan(&shown.lab));
        drop(shown);
        if let Some(Some(proposal)) = planned {
            // The running partition cannot run any more, so this one is applied even when frozen.
            if let Some(current) = self.journal.stage().look().lab.current {
                self.schedules.remove(&current);
            }
            self.offer(proposal, true, None);
        }
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Prepared(id, command, Ok(())) => self.next = Some((id, command)),
            Outcome::Prepared(partition, command, Err(reason)) => {
                self.journal.record(What::PartitionRefused { partition, reason: reason.clone() });
                if let Some(command) = command {
                    self.settle(command, Settled::Refused(reason));
                }
            }
            Outcome::Settled(command, outcome) => self.settle(command, outcome),
            Outcome::Clock(worker, clock) => {
                self.fleet.set_clock(worker, clock);
                self.journal.record(What::LinkMeasured {
                    from: Node::Lab,
                    to: Node::Worker(worker),
                    rtt_ms: clock.rtt_us as f64 / 1e3,
                    rate_mbps: None,
                    offset_ms: clock.offset_us as f64 / 1e3,
                });
            }
            Outcome::Referenced(frame, Ok(values)) => self.reference.set(frame, Some(values)),
            Outcome::Referenced(frame, Err(reason)) => {
                self.reference.set(frame, None);
                let name = self.inputs.frame(frame).name();
                let text = format!("the single-device output of {name} is not known: {reason}");
                self.journal.note(Level::Warning, text);
                if let Some(command) = self.verifying.take() {
                    self.settle(command, Settled::Refused(reason));
                }
            }
        }
    }

    /// Computes the single-device output of an input beside the loop, if it is not known.
    pub(super) fn reference_for(&mut self, frame: usize) {
        if !self.reference.wants(frame) {
            return;
        }
        let (model, input) = (self.model.clone(), self.inputs.frame(frame).clone());
        let outcomes = self.outcomes.clone();
        tokio::task::spawn_blocking(move || {
            let result = super::reference::compute(&model, &input).map_err(|error| error.to_string());
            let _ = outcomes.send(Outcome::Referenced(frame, result));
        });
    }
}
