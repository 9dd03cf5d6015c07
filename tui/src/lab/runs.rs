//! Runs: begun, landed with their output, or lost.

use std::time::{Duration, Instant};

use collab_core::command::Settled;
use collab_core::event::{Level, Verdict, What};
use collab_core::id::{Node, PartitionId, RunId};
use collab_core::rows::Rows;
use collab_core::wire::RowsHeader;
use collab_models::Map;

use super::controller::Controller;
use super::flight::{Flight, Interrupted, Landed};
use super::outcomes::Outcome;
use super::reference;

/// A run that takes longer is lost.
const RUN_DEADLINE: Duration = Duration::from_secs(30);
/// How long the loss of a worker may take to be noticed after another worker could not go on: a link is
/// given up after a second of silence.
pub(super) const SUSPICION: Duration = Duration::from_millis(1500);

impl Controller {
    /// Starts a run of the current partition if none is in flight, after a rehearsal and a switch if they are due.
    pub(super) fn begin_run(&mut self) {
        if self.flight.is_some() || (self.is_time_up() && self.again.is_none()) {
            return;
        }
        self.rehearse_now();
        if self.rehearses {
            return;
        }
        self.switch_now();
        if self.is_worth_waiting(Instant::now()) {
            return;
        }
        let current = self.journal.stage().look().lab.current;
        if let Some(id) = current {
            self.start_run(id);
        }
    }

    /// Whether no run is to begin yet, because a faster partition is being prepared. One that began would take longer by what
    /// the switch is to save, so that is how long is waited at most, once for every change.
    fn is_worth_waiting(&mut self, now: Instant) -> bool {
        let waiting_saves = self.planning.waiting_saves(&self.journal.stage().look().lab);
        let Some((change, saved)) = waiting_saves else { return false };
        let waits = self.waits.filter(|(of, _)| *of == change).unwrap_or((change, now + saved));
        self.waits = Some(waits);
        now < waits.1
    }

    /// Starts a run of a prepared partition; does nothing if it is not prepared or a run is in flight.
    pub(super) fn start_run(&mut self, id: PartitionId) {
        let Some(schedule) = self.schedules.get(&id).filter(|_| self.flight.is_none()).cloned() else {
            return;
        };
        let again = self.again.take();
        self.runs += u64::from(again.is_none());
        self.attempts += 1;
        let (run, frame) = match again {
            Some(again) => (again.run, again.frame),
            None => (RunId(self.runs), (self.runs as usize - 1) % self.inputs.len()),
        };
        let attempt = RunId(self.attempts);
        let network = self.model.network().clone();
        let cut = network.cut(network.units.len());
        let output = Map::zeros(cut, Rows::all(cut.rows));
        let input = self.inputs.frame(frame).clone();
        let name = input.name().to_owned();
        self.journal.record(What::RunStarted { run, partition: id, input: name });
        // Only now: predicting the run is no part of it.
        let started = again.map_or_else(Instant::now, |again| again.started);
        let begun = Interrupted { run, frame, started };
        self.flight = Some(Flight::new(begun, attempt, id, &schedule, output));
        for transfer in &schedule.input {
            let Node::Worker(worker) = transfer.peer else { continue };
            let (encoding, bytes) = input.rows(&network, transfer.rows);
            let bytes_sent = bytes.len() as u64;
            let rows = transfer.rows;
            let header =
                RowsHeader { run: attempt, partition: id, block: 0, rows, encoding, bytes: bytes_sent };
            self.fleet.send_rows(worker, header, bytes);
        }
        self.reference_for(frame);
    }

    pub(super) fn take_rows(&mut self, header: RowsHeader, bytes: &[u8]) {
        let now = Instant::now();
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.attempt == header.run) else { return };
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
        if verdict != Verdict::Unchecked && !self.verifying.is_empty() {
            for command in std::mem::take(&mut self.verifying) {
                self.settle(command, Settled::Done);
            }
            let level = if matches!(verdict, Verdict::Differs(_)) { Level::Warning } else { Level::Info };
            let found = match verdict {
                Verdict::BitEqual => "equals one device's, bit for bit".to_owned(),
                Verdict::Within(by) => format!("is within {by:.1e} of one device's range"),
                Verdict::Differs(by) => format!("differs from one device's by {by:.1e} of its range"),
                Verdict::Unchecked => "was not compared".to_owned(),
            };
            self.journal.note(level, format!("verified: the output of run {} {found}", flight.run));
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

    pub(super) fn finish_run(&mut self, landed: &Landed) {
        self.journal.record(What::RunDone { run: landed.run, ms: landed.ms, verdict: landed.verdict });
        self.look_again();
    }

    /// A worker could not go on with the run in flight. If that is because another is gone, the lab is about
    /// to hear of it; if not, the run is lost.
    pub(super) fn doubt(&mut self, attempt: RunId, reason: String) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.attempt == attempt) {
            flight.doubt.get_or_insert((reason, Instant::now() + SUSPICION));
        }
    }

    /// Ends runs whose time is over.
    pub(super) fn lose_what_is_due(&mut self, now: Instant) {
        let late = || format!("no output within {} s", RUN_DEADLINE.as_secs());
        if let Some(flight) = &self.flight {
            let doubt = flight.doubt.as_ref().filter(|(_, until)| now >= *until);
            let reason = doubt.map(|(reason, _)| reason.clone());
            if let Some(reason) = reason.or((now >= flight.started + RUN_DEADLINE).then(late)) {
                self.lose_run(reason);
            }
        }
        if let Some(again) = self.again.take_if(|again| now >= again.started + RUN_DEADLINE) {
            self.journal.record(What::RunLost { run: again.run, reason: late() });
        }
    }

    /// When a run is lost at the earliest.
    pub(super) fn next_loss(&self) -> Option<Instant> {
        let started =
            self.flight.iter().map(|flight| flight.started).chain(self.again.map(|again| again.started));
        let doubted = self.flight.iter().filter_map(|flight| Some(flight.doubt.as_ref()?.1));
        started.map(|started| started + RUN_DEADLINE).chain(doubted).min()
    }

    /// Ends the run in flight without an output.
    pub(super) fn lose_run(&mut self, reason: String) {
        if let Some(flight) = self.flight.take() {
            self.fleet.cancel(flight.attempt);
            self.journal.record(What::RunLost { run: flight.run, reason });
        }
    }

    /// Computes the single-device output of the first input and waits for it: computed beside a worker that is measured,
    /// it would slow an emulated one down.
    pub(super) async fn know_reference(&mut self) {
        self.reference_for(0);
        while self.ending.is_none() && self.reference.is_pending(0) {
            self.step().await;
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
            let result = reference::compute(&model, &input).map_err(|error| error.to_string());
            let _ = outcomes.send(Outcome::Referenced(frame, result));
        });
    }
}
