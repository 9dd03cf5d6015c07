//! The one stream of events. Everything a screen, a report or an export shows is a fold over it.
//!
//! A live lab, the demo and a replay differ only in where events come from. The recorder writes each event
//! before it is applied.

mod answer;
mod training;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, Class, FoundBox, Thumbnail};
pub use training::{Candidate, Comparison, OperatorSuccess, Opponent, Origin, Trained};

use crate::command::{CommandId, Settled, Verb};
use crate::id::{Fingerprint, Node, PartitionId, RunId, WorkerId};
use crate::network::Network;
use crate::partition::Partition;
use crate::predict::Profile;
use crate::rows::Rows;
use crate::time::Micros;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, since the session's start, on the lab's clock.
    pub at: Micros,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The first event of every session.
    SessionStarted(SessionInfo),
    /// A network was loaded; everything after concerns it.
    NetworkLoaded {
        /// Its geometry.
        network: Arc<Network>,
    },
    /// A worker is known and being connected to.
    WorkerJoined(WorkerInfo),
    /// A worker holds the network and can run strips of it.
    WorkerReady {
        /// Which.
        worker: WorkerId,
    },
    /// A worker is being waited for, or sent its network: `done` of `total` bytes.
    WorkerLoading {
        /// Which.
        worker: WorkerId,
        /// Bytes it holds.
        done: u64,
        /// Bytes of the network.
        total: u64,
    },
    /// The connection to a worker ended.
    WorkerLost {
        /// Which.
        worker: WorkerId,
        /// A sentence.
        reason: String,
    },
    /// A worker's own report on its state, about once a second.
    WorkerStatus(WorkerStatus),
    /// A directed link was measured.
    LinkMeasured {
        /// Sender.
        from: Node,
        /// Receiver.
        to: Node,
        /// Round trip, ms.
        rtt_ms: f64,
        /// Rate, Mbit/s; `None` if only the round trip was measured.
        rate_mbps: Option<f64>,
        /// The receiver's clock minus the sender's, ms.
        offset_ms: f64,
    },
    /// A worker's time for the whole network, alone.
    SingleMeasured {
        /// Which.
        worker: WorkerId,
        /// Of one run, transfers included, ms, at full CPU share.
        ms: f64,
        /// Of that, computing, ms.
        compute_ms: f64,
    },
    /// What a worker takes for each kind of work was measured with layers made for it.
    WorkerCalibrated {
        /// Which.
        worker: WorkerId,
        /// At its full CPU share.
        profile: Profile,
        /// Whether an earlier session measured it.
        cached: bool,
        /// How long measuring took, ms.
        took_ms: f64,
        /// The mean of |predicted − measured| / measured over layers left out of a fit.
        #[serde(default)]
        held_out: Option<f64>,
    },
    /// A partition is known under a number: a proposal, or about to run.
    PartitionProposed(Proposal),
    /// Every worker has prepared a partition; it is run from this run on.
    PartitionSwitched {
        /// Which.
        partition: PartitionId,
        /// The first run that uses it.
        run: RunId,
    },
    /// Why the partition proposed last should be faster than the running one; told again when it changes.
    ProposalCompared(Comparison),
    /// A proposal is not offered any more.
    ProposalWithdrawn {
        /// Which.
        partition: PartitionId,
        /// A sentence.
        reason: String,
    },
    /// A partition could not be prepared; the running one stays.
    PartitionRefused {
        /// Which.
        partition: PartitionId,
        /// A sentence.
        reason: String,
    },
    /// A run began.
    RunStarted {
        /// Which.
        run: RunId,
        /// What it runs.
        partition: PartitionId,
        /// What it runs on: a picture's name.
        input: String,
    },
    /// A worker's times of one block in one run.
    LayersTimed(LayersTimed),
    /// A worker computed, sent or waited.
    SpanDone(Span),
    /// A run ended with an output.
    RunDone {
        /// Which.
        run: RunId,
        /// From the first byte sent to the last byte received, ms.
        ms: f64,
        /// Against the single-device output.
        verdict: Verdict,
    },
    /// A run ended without an output.
    RunLost {
        /// Which.
        run: RunId,
        /// A sentence.
        reason: String,
    },
    /// What a run's output means.
    Answered {
        /// Which run.
        run: RunId,
        /// The answer.
        answer: Answer,
    },
    /// The picture that goes in and the one that came out, for the screen.
    Pictured {
        /// The run that showed it first.
        run: RunId,
        /// What goes in.
        before: Thumbnail,
        /// What came out, if the output is a picture.
        after: Option<Thumbnail>,
    },
    /// How training goes.
    Trained(Box<Trained>),
    /// An operator or a program gave a command.
    CommandGiven {
        /// Its number.
        id: CommandId,
        /// Who: `operator`, `auto`, `script`.
        who: String,
        /// What.
        verb: Verb,
        /// The state it changes, in words.
        before: String,
        /// The state it asks for, in words.
        after: String,
        /// The run's latency expected from it, ms.
        predicted_ms: Option<f64>,
    },
    /// A command was acknowledged or refused.
    CommandSettled {
        /// Its number.
        id: CommandId,
        /// How.
        outcome: Settled,
    },
    /// The median latency some time after a command.
    CommandMeasured {
        /// Its number.
        id: CommandId,
        /// Of the runs since, ms.
        measured_ms: f64,
    },
    /// A sentence for the log.
    Noted {
        /// How much it matters.
        level: Level,
        /// The sentence.
        text: String,
    },
    /// The last event of a session that ended in order.
    SessionEnded,
}

/// How a session came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// The program's version.
    pub version: String,
    /// Where its workers come from: `demo` or `live`.
    pub mode: String,
    /// Milliseconds since the Unix epoch, for people.
    pub started_unix_ms: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// The planner's name.
    pub planner: String,
    /// Whether verbs that change something are refused.
    pub read_only: bool,
}

/// A worker as it introduced itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its place in the fleet.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its engine and what that chose for the device.
    #[serde(default)]
    pub engine: String,
    /// Its device.
    pub host: Host,
    /// What it emulates, if it does.
    pub emulation: Option<Emulation>,
    /// Bytes of memory it allows itself; `None` is no limit.
    pub memory_limit: Option<u64>,
}

/// A worker's device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The processor's name.
    pub cpu: String,
    /// Its architecture and widest vector extension used: `x86_64 avx512`.
    pub isa: String,
    /// Processors.
    pub cores: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Operating system.
    pub os: String,
    /// What chooses its frequency, if that is known: `performance`, `ondemand`, …
    #[serde(default)]
    pub governor: String,
}

/// A slower device than the real one; always shown as emulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emulation {
    /// The preset's name, or `×4`.
    pub name: String,
    /// Compute time is the real CPU time times this.
    pub slowdown: f64,
    /// The link it sends over.
    pub link: LinkShape,
}

/// What paces a node's sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkShape {
    /// Mbit/s; `None` does not pace.
    pub rate_mbps: Option<f64>,
    /// Added one-way delay, ms.
    pub delay_ms: f64,
}

/// A worker's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Which.
    pub worker: WorkerId,
    /// Of one core, over the last second; emulated workers count stretched time as busy.
    pub cpu_percent: f64,
    /// Of the hottest sensor, if there is one.
    pub temperature_c: Option<f64>,
    /// CPU share it runs at, 1…100.
    pub throttle_percent: f64,
    /// What paces its sending now.
    pub link: LinkShape,
    /// Resident bytes.
    pub memory: u64,
    /// Telemetry messages it dropped since it started.
    pub dropped: u64,
    /// Connections it refused since it started.
    pub refused: u64,
}

/// A partition with a number, a planner and what it should take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number.
    pub partition: PartitionId,
    /// Which planner made it: `best-single`, `equal`, `proportional`, `given`, …
    pub planner: String,
    /// The blocks.
    pub plan: Partition,
    /// One run's latency, ms, if it can be predicted.
    pub predicted_ms: Option<f64>,
    /// The predicted timeline of one run.
    pub spans: Vec<PredictedSpan>,
    /// The predicted time of every layer on every worker that computes it.
    pub layers: Vec<PredictedLayer>,
    /// Why it should be better, or what it costs: a sentence.
    pub reason: String,
}

/// A predicted interval on a node; times in ms from the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedSpan {
    /// Where.
    pub node: Node,
    /// What it does.
    pub kind: SpanKind,
    /// The block, from 0.
    pub block: u32,
    /// The other end of a transfer.
    pub peer: Option<Node>,
    /// Start, ms.
    pub start_ms: f64,
    /// End, ms.
    pub end_ms: f64,
    /// Bytes sent.
    pub bytes: u64,
}

/// A layer's predicted time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedLayer {
    /// On which worker.
    pub worker: WorkerId,
    /// In which block.
    pub block: u32,
    /// Which, as an index into the network's layers.
    pub layer: u32,
    /// Rows computed, recomputed halo included.
    pub rows: u32,
    /// Time, ms.
    pub ms: f64,
}

/// A worker's times of one block in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayersTimed {
    /// Which run.
    pub run: RunId,
    /// Which worker.
    pub worker: WorkerId,
    /// Which block.
    pub block: u32,
    /// Layer index, rows computed, ms: on the device as it is emulated and throttled.
    pub layers: Vec<(u32, u32, f32)>,
}

/// What a node does in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Computes rows of a block.
    Compute,
    /// Sends rows to another node.
    Send,
    /// Waits for rows.
    Wait,
}

/// An interval on a node; times in ms from the run's start on the lab's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Which run.
    pub run: RunId,
    /// Where.
    pub node: Node,
    /// What it did.
    pub kind: SpanKind,
    /// In which block.
    pub block: u32,
    /// The other end of a transfer.
    pub peer: Option<Node>,
    /// The rows computed, sent, or waited for.
    pub rows: Rows,
    /// Start, ms; may be slightly negative by clock error.
    pub start_ms: f64,
    /// End, ms.
    pub end_ms: f64,
    /// Bytes sent.
    pub bytes: u64,
}

/// A collaborative output against the single-device output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not compared.
    #[default]
    Unchecked,
    /// The same bits.
    BitEqual,
    /// Not the same bits, but within 1e-5 of the output's range: `max |difference| / range`.
    Within(f64),
    /// Further apart: `max |difference| / range`.
    Differs(f64),
}

impl Verdict {
    /// The largest `|difference| / range` still called [`Verdict::Within`].
    pub const TOLERANCE: f64 = 1e-5;

    /// As exports write it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Unchecked => "unchecked",
            Verdict::BitEqual => "bit-equal",
            Verdict::Within(_) => "within",
            Verdict::Differs(_) => "differs",
        }
    }
}

/// How much a sentence matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For the record.
    Info,
    /// Look here.
    Warning,
    /// Something failed.
    Error,
}

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
