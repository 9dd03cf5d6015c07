//! Runs: begun, landed with their output, or lost.

use std::time::Instant;

use collab_core::command::Settled;
use collab_core::event::{Verdict, What};
use collab_core::id::{Node, PartitionId, RunId};
use collab_core::rows::Rows;
use collab_core::wire::RowsHeader;
use collab_models::Map;

use super::controller::{Controller, Outcome};
use super::flight::{Flight, Landed};
use super::reference;

impl Controller {
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

    pub(super) fn take_rows(&mut self, header: RowsHeader, bytes: &[u8]) {
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

    pub(super) fn finish_run(&mut self, landed: &Landed) {
        self.journal.record(What::RunDone { run: landed.run, ms: landed.ms, verdict: landed.verdict });
        self.look_again();
    }

    /// Ends the run in flight without an output.
    pub(super) fn lose_run(&mut self, reason: String) {
        if let Some(flight) = self.flight.take() {
            self.fleet.cancel(flight.run);
            self.journal.record(What::RunLost { run: flight.run, reason });
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
