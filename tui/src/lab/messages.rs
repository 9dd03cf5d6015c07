//! What workers say of their own accord: rows, reports, failures, their state, their end.

use std::time::Instant;

use collab_core::event::{Level, What};
use collab_core::id::{Node, RunId, WorkerId};
use collab_worker::client::FromWorker;

use super::controller::Controller;
use super::reports;

impl Controller {
    pub(super) fn take(&mut self, worker: WorkerId, event: FromWorker) {
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
}
