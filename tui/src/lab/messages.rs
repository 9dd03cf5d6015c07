//! What workers say of their own accord: rows, reports, failures, their state, their end.

use std::time::Instant;

use collab_core::event::{SpanKind, What};
use collab_core::id::{Node, RunId, WorkerId};
use collab_core::wire::{RowsHeader, RunReport, WorkerSpan};
use collab_worker::client::FromWorker;

use super::controller::Controller;
use super::reports;

impl Controller {
    pub(super) fn take(&mut self, worker: WorkerId, event: FromWorker) {
        let node = Node::Worker(worker);
        match event {
            FromWorker::Rows { header, body, first_us, last_us } => {
                self.take_arrival(worker, &header, first_us, last_us);
                self.take_rows(header, &body);
            }
            FromWorker::Computed(report) => {
                let attempt = report.run;
                let Some((run, start)) = self.attempted(attempt) else { return };
                let at = |micros| self.fleet.since(worker, micros, start);
                let events = reports::computed(worker, RunReport { run, ..report }, at);
                events.into_iter().for_each(|what| self.journal.record(what));
                self.take_report(attempt, worker);
            }
            FromWorker::Sent(sent) => {
                let attempt = sent.run;
                let Some((run, start)) = self.attempted(attempt) else { return };
                let at = |micros| self.fleet.since(worker, micros, start);
                let event = reports::span(node, &WorkerSpan { run, ..sent }, at);
                event.into_iter().for_each(|what| self.journal.record(what));
                self.take_report(attempt, worker);
            }
            FromWorker::LabSent(sent) => {
                let Some((run, start)) = self.attempted(sent.run) else { return };
                let at = |micros: u64| Some(self.fleet.lab_since(micros as i64, start));
                let event = reports::span(Node::Lab, &WorkerSpan { run, ..sent }, at);
                event.into_iter().for_each(|what| self.journal.record(what));
            }
            FromWorker::Failed { run: attempt, reason } => self.doubt(attempt, format!("{worker}: {reason}")),
            FromWorker::PeerLost { peer, reason } => self.sever(worker, peer, reason),
            FromWorker::Arrived(arrived) => {
                let Some((run, start)) = self.attempted(arrived.run) else { return };
                let at = |micros| self.fleet.since(worker, micros, start);
                let event = reports::span(node, &WorkerSpan { run, ..arrived }, at);
                event.into_iter().for_each(|what| self.journal.record(what));
            }
            FromWorker::PeerJoined(peer) => self.mend(worker, peer),
            FromWorker::Status(status) => self.journal.record(What::WorkerStatus(status)),
            FromWorker::Closed { reason } if self.fleet.is_gone(worker) => self.lose_worker(worker, reason),
            // Of a link that was let go of before.
            FromWorker::Closed { .. } => {}
        }
    }

    /// Rows of the output came in.
    fn take_arrival(&mut self, from: WorkerId, header: &RowsHeader, start_us: u64, end_us: u64) {
        let Some((run, start)) = self.attempted(header.run) else { return };
        let at = |micros: u64| Some(self.fleet.lab_since(micros as i64, start));
        let arrived = WorkerSpan {
            run,
            kind: SpanKind::Receive,
            block: header.block,
            peer: Some(Node::Worker(from)),
            rows: header.rows,
            start_us,
            end_us,
            bytes: header.bytes,
        };
        reports::span(Node::Lab, &arrived, at).into_iter().for_each(|what| self.journal.record(what));
    }

    /// Which run an attempt is of, and when that began.
    fn attempted(&self, attempt: RunId) -> Option<(RunId, Instant)> {
        let landed = self.landed.iter().map(|landed| (landed.attempt, landed.run, landed.started));
        let flying = self.flight.iter().map(|flight| (flight.attempt, flight.run, flight.started));
        landed.chain(flying).find(|known| known.0 == attempt).map(|(_, run, started)| (run, started))
    }

    fn take_report(&mut self, attempt: RunId, worker: WorkerId) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.attempt == attempt) {
            flight.take_report(worker);
        } else if let Some(landed) = self.landed.iter_mut().find(|landed| landed.attempt == attempt) {
            landed.take_report(worker);
        }
    }
}
