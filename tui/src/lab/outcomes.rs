//! What came of that which runs beside the lab's loop: preparing, settling, clocks, planning, workers that come back.

use collab_core::command::{CommandId, Settled};
use collab_core::event::{Level, What};
use collab_core::id::{Node, PartitionId, WorkerId};
use collab_worker::client::{Pong, WorkerLink};

use super::controller::Controller;
use super::planning::Found;

/// What came of something that ran beside the loop.
pub enum Outcome {
    /// Every worker prepared a partition, or one refused with a sentence.
    Prepared(PartitionId, Option<CommandId>, Result<(), String>),
    /// All workers rehearsed it together, or one did not answer.
    Rehearsed(PartitionId, Option<CommandId>, Result<(), String>),
    /// A command was acknowledged or refused.
    Settled(CommandId, Settled),
    /// A worker's clock was compared.
    Clock(WorkerId, Pong),
    /// A worker that was lost answers and holds the network.
    Back(WorkerLink, Pong),
    /// All workers were introduced to one that came back, or could not be.
    Introduced(WorkerId, Result<(), String>),
    /// Planning found something.
    Found(Box<Found>),
    /// The single-device output of an input is known, or why it is not.
    Referenced(usize, Result<Vec<f32>, String>),
}

impl Controller {
    /// Takes it into account.
    pub(super) fn take_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Prepared(id, command, result) => self.prepared(id, command, result),
            Outcome::Rehearsed(id, command, result) => self.rehearsed(id, command, result),
            Outcome::Found(found) => self.take_found(*found),
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
            Outcome::Back(link, clock) => self.regain(link, clock),
            Outcome::Introduced(worker, Ok(())) => self.welcome(worker),
            Outcome::Introduced(worker, Err(reason)) => self.leave_out(worker, reason),
            Outcome::Referenced(frame, Ok(values)) => self.reference.set(frame, Some(values)),
            Outcome::Referenced(frame, Err(reason)) => {
                self.reference.set(frame, None);
                let name = self.inputs.frame(frame).name();
                let text = format!("the single-device output of {name} is not known: {reason}");
                self.journal.note(Level::Warning, text);
                for command in std::mem::take(&mut self.verifying) {
                    self.settle(command, Settled::Refused(reason.clone()));
                }
            }
        }
    }
}
