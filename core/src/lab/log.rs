//! The log: what happened, in sentences.

use serde::{Deserialize, Serialize};

use super::{Lab, push_bounded};
use crate::command::Settled;
use crate::event::{Event, Level, Verdict, What};
use crate::time::Micros;

/// Sentences kept.
pub(super) const LINES: usize = 1000;

/// A sentence in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: Micros,
    /// How much it matters.
    pub level: Level,
    /// The sentence.
    pub text: String,
}

impl Lab {
    /// Writes down what an event says, if it is worth a sentence.
    pub(super) fn tell(&mut self, event: &Event) {
        if let Some((level, text)) = sentence(&event.what) {
            self.log(level, text);
        }
    }

    /// Writes a sentence down as of now.
    pub(super) fn log(&mut self, level: Level, text: String) {
        push_bounded(&mut self.log, LogLine { at: self.now, level, text }, LINES);
    }
}

/// What the log says of an event, if it is worth a sentence.
fn sentence(what: &What) -> Option<(Level, String)> {
    let info = |text: String| Some((Level::Info, text));
    match what {
        What::SessionStarted(session) => {
            info(format!("collab {} started: {}", session.version, session.mode))
        }
        What::SessionEnded => info("the session ended".to_owned()),
        What::NetworkLoaded { network } => info(format!(
            "{}: {} layers in {} units, {:.0} million multiply-accumulates",
            network.name,
            network.layers.len(),
            network.units.len(),
            network.macs() as f64 / 1e6
        )),
        What::WorkerJoined(worker) => {
            let emulated = match &worker.emulation {
                Some(emulation) => format!(", emulates {}", emulation.name),
                None => String::new(),
            };
            info(format!("{} is {} at {}{emulated}", worker.worker, worker.name, worker.address))
        }
        What::WorkerReady { worker } => info(format!("{worker} is ready")),
        What::WorkerLost { worker, reason } => Some((Level::Error, format!("{worker} is lost: {reason}"))),
        What::SingleMeasured { worker, ms, .. } => {
            info(format!("{worker} alone takes {ms:.1} ms for the whole network"))
        }
        What::WorkerCalibrated { worker, profile, cached: true, .. } => info(format!(
            "{worker} is as an earlier session measured it: {} kinds of work from {} layers",
            profile.coefficients.len(),
            profile.samples
        )),
        What::WorkerCalibrated { worker, profile, took_ms, .. } => info(format!(
            "{worker} is calibrated: {} kinds of work from {} layers in {:.1} s",
            profile.coefficients.len(),
            profile.samples,
            took_ms / 1e3
        )),
        What::PartitionProposed(proposal) if proposal.measures() => {
            info(format!("partition {} is for {}: {}", proposal.partition, proposal.reason, proposal.plan))
        }
        What::PartitionProposed(proposal) => info(format!(
            "partition {} proposed by {}: {}",
            proposal.partition, proposal.planner, proposal.plan
        )),
        What::PartitionSwitched { partition, run } => {
            info(format!("partition {partition} runs from run {run} on"))
        }
        What::PartitionRefused { partition, reason } => {
            Some((Level::Warning, format!("partition {partition} was refused: {reason}")))
        }
        What::ProposalWithdrawn { partition, reason } => {
            info(format!("partition {partition} is not offered any more: {reason}"))
        }
        What::RunDone { run, verdict: Verdict::Differs(by), .. } => Some((
            Level::Error,
            format!("run {run}: the output differs from the single device's by {by:.1e} of its range"),
        )),
        What::RunLost { run, reason } => Some((Level::Error, format!("run {run} is lost: {reason}"))),
        What::CommandGiven { who, verb, .. } => info(format!("{who}: {verb}")),
        What::CommandSettled { outcome: Settled::Refused(reason), .. } => {
            Some((Level::Warning, format!("refused: {reason}")))
        }
        What::Noted { level, text } => Some((*level, text.clone())),
        What::WorkerLoading { .. }
        | What::WorkerStatus(_)
        | What::LinkMeasured { .. }
        | What::PartitionRehearsed { .. }
        | What::ProposalCompared(_)
        | What::Trained(_)
        | What::RunStarted { .. }
        | What::LayersTimed(_)
        | What::SpanDone(_)
        | What::RunDone { .. }
        | What::Answered { .. }
        | What::Pictured { .. }
        | What::CommandSettled { outcome: Settled::Done, .. }
        | What::CommandMeasured { .. } => None,
    }
}
