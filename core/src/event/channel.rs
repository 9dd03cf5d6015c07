//! Where events are kept in a session file.

use super::What;

/// Where an event is kept in a session file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// The session and its network.
    Session,
    /// Workers and links.
    Workers,
    /// Partitions.
    Partitions,
    /// Runs, verdicts, answers, pictures.
    Runs,
    /// Layer times.
    Layers,
    /// Spans.
    Spans,
    /// Commands.
    Commands,
    /// Sentences.
    Log,
    /// Training.
    Training,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Channel; 9] = [
        Channel::Session,
        Channel::Workers,
        Channel::Partitions,
        Channel::Runs,
        Channel::Layers,
        Channel::Spans,
        Channel::Commands,
        Channel::Log,
        Channel::Training,
    ];

    /// Its topic in a session file.
    pub fn topic(self) -> &'static str {
        match self {
            Channel::Session => "session",
            Channel::Workers => "workers",
            Channel::Partitions => "partitions",
            Channel::Runs => "runs",
            Channel::Layers => "layers",
            Channel::Spans => "spans",
            Channel::Commands => "commands",
            Channel::Log => "log",
            Channel::Training => "training",
        }
    }
}

impl What {
    /// Where it is kept.
    pub fn channel(&self) -> Channel {
        match self {
            What::SessionStarted(_) | What::NetworkLoaded { .. } | What::SessionEnded => Channel::Session,
            What::WorkerJoined(_)
            | What::WorkerReady { .. }
            | What::WorkerLoading { .. }
            | What::WorkerLost { .. }
            | What::WorkerStatus(_)
            | What::LinkMeasured { .. }
            | What::SingleMeasured { .. }
            | What::WorkerCalibrated { .. } => Channel::Workers,
            What::PartitionProposed(_)
            | What::PartitionRehearsed { .. }
            | What::ProposalCompared(_)
            | What::ProposalWithdrawn { .. }
            | What::PartitionSwitched { .. }
            | What::PartitionRefused { .. } => Channel::Partitions,
            What::Trained(_) => Channel::Training,
            What::RunStarted { .. }
            | What::RunDone { .. }
            | What::RunLost { .. }
            | What::Answered { .. }
            | What::Pictured { .. } => Channel::Runs,
            What::LayersTimed(_) => Channel::Layers,
            What::SpanDone(_) => Channel::Spans,
            What::CommandGiven { .. } | What::CommandSettled { .. } | What::CommandMeasured { .. } => {
                Channel::Commands
            }
            What::Noted { .. } => Channel::Log,
        }
    }
}
