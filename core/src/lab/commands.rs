//! Commands from given to settled to measured.

use serde::{Deserialize, Serialize};

use super::{COMMANDS, Lab, Mark, push_bounded};
use crate::command::{CommandId, Settled, Verb};
use crate::event::LinkShape;
use crate::time::Micros;

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Given, not acknowledged: shown hollow.
    Pending,
    /// Settled.
    Settled(Settled),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandState {
    /// Its number.
    pub id: CommandId,
    /// When it was given.
    pub at: Micros,
    /// When it was settled.
    pub settled_at: Option<Micros>,
    /// By whom.
    pub who: String,
    /// What.
    pub verb: Verb,
    /// The state it changes, in words.
    pub before: String,
    /// The state it asks for, in words.
    pub after: String,
    /// How far it is.
    pub progress: Progress,
    /// The latency expected from it, ms.
    pub predicted_ms: Option<f64>,
    /// The latency measured after it, ms.
    pub measured_ms: Option<f64>,
}

impl Lab {
    #[allow(clippy::too_many_arguments)] // the fields of one event variant
    pub(super) fn give_command(
        &mut self,
        id: CommandId,
        who: &str,
        verb: &Verb,
        before: &str,
        after: &str,
        predicted_ms: Option<f64>,
        at: Micros,
    ) {
        match verb {
            Verb::Throttle { worker, percent } => {
                if let Some(state) = self.workers.get_mut(worker.index()) {
                    state.throttle.asked = *percent;
                }
            }
            Verb::Link { worker, rate_mbps, delay_ms } => {
                if let Some(state) = self.workers.get_mut(worker.index()) {
                    state.link_asked = Some(LinkShape { rate_mbps: *rate_mbps, delay_ms: *delay_ms });
                    self.forget_transfers_of(*worker);
                }
            }
            Verb::Mark { name } => self.marks.push(Mark { at, name: name.clone() }),
            _ => {}
        }
        let command = CommandState {
            id,
            at,
            settled_at: None,
            who: who.to_owned(),
            verb: verb.clone(),
            before: before.to_owned(),
            after: after.to_owned(),
            progress: Progress::Pending,
            predicted_ms,
            measured_ms: None,
        };
        push_bounded(&mut self.commands, command, COMMANDS);
    }

    pub(super) fn settle_command(&mut self, id: CommandId, outcome: &Settled, at: Micros) {
        let Some(command) = self.commands.iter_mut().find(|command| command.id == id) else { return };
        command.progress = Progress::Settled(outcome.clone());
        command.settled_at = Some(at);
        let verb = command.verb.clone();
        if matches!((&verb, outcome), (Verb::Throttle { .. } | Verb::Link { .. }, Settled::Done)) {
            self.conditions_changed();
        }
        match (&verb, outcome) {
            (Verb::Throttle { worker, percent }, outcome) => {
                if let Some(state) = self.workers.get_mut(worker.index()) {
                    match outcome {
                        Settled::Done => state.throttle.percent = *percent,
                        Settled::Refused(_) => state.throttle.asked = state.throttle.percent,
                    }
                }
            }
            (Verb::Link { worker, .. }, Settled::Refused(_)) => {
                if let Some(state) = self.workers.get_mut(worker.index()) {
                    state.link_asked = None;
                }
            }
            (Verb::Freeze, Settled::Done) => self.frozen = true,
            (Verb::Thaw, Settled::Done) => self.frozen = false,
            (Verb::PauseTraining, Settled::Done) => self.training.paused = true,
            (Verb::ResumeTraining, Settled::Done) => self.training.paused = false,
            (Verb::Reject { .. }, Settled::Done) => self.proposal = None,
            _ => {}
        }
    }
}
