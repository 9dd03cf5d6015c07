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
                self.take_span(Node::Lab, arrival(worker, &header, first_us, last_us));
                self.take_rows(header, &body);
            }
            FromWorker::Computed(report) => {
                let attempt = report.run;
                self.take_computed(worker, report);
                self.take_report(attempt, worker);
            }
            FromWorker::Sent(sent) => {
                self.take_span(node, sent);
                self.take_report(sent.run, worker);
            }
            FromWorker::LabSent(sent) => self.take_span(Node::Lab, sent),
            FromWorker::Arrived(arrived) => self.take_span(node, arrived),
            FromWorker::Failed { run: attempt, reason } => self.doubt(attempt, format!("{worker}: {reason}")),
            FromWorker::PeerLost { peer, reason } => self.sever(worker, peer, reason),
            FromWorker::PeerJoined(peer) => self.mend(worker, peer),
            FromWorker::Status(status) => self.journal.record(What::WorkerStatus(status)),
            FromWorker::Closed { reason } if self.fleet.is_gone(worker) => self.lose_worker(worker, reason),
            // Of a link that was let go of before.
            FromWorker::Closed { .. } => {}
        }
    }

    /// What a worker computed and waited for in an attempt.
    fn take_computed(&self, worker: WorkerId, report: RunReport) {
        let Some((run, start)) = self.attempted(report.run) else { return };
        let at = |micros| self.fleet.since(Node::Worker(worker), micros, start);
        let events = reports::computed(worker, RunReport { run, ..report }, at);
        events.into_iter().for_each(|what| self.journal.record(what));
    }

    /// A transfer of an attempt, by the clock of `node`.
    fn take_span(&self, node: Node, span: WorkerSpan) {
        let Some((run, start)) = self.attempted(span.run) else { return };
        let at = |micros| self.fleet.since(node, micros, start);
        let event = reports::span(node, &WorkerSpan { run, ..span }, at);
        event.into_iter().for_each(|what| self.journal.record(what));
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

/// The arrival of rows of the output, by the lab's clock.
fn arrival(from: WorkerId, header: &RowsHeader, start_us: u64, end_us: u64) -> WorkerSpan {
    WorkerSpan {
        run: header.run,
        kind: SpanKind::Receive,
        block: header.block,
        peer: Some(Node::Worker(from)),
        rows: header.rows,
        start_us,
        end_us,
        bytes: header.bytes,
    }
}
