//! The one stream of events. Everything a screen, a report or an export shows is a fold over it.
//!
//! A live lab, the demo and a replay differ only in where events come from. The recorder writes each event
//! before it is applied.

mod answer;
mod channel;
mod check;
mod geometry;
mod proposal;
mod run;
mod training;
mod worker;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, Class, FoundBox, Thumbnail};
pub use channel::Channel;
pub(crate) use check::{is_predicted, is_time};
pub(crate) use geometry::is_whole;
pub use proposal::{PredictedLayer, PredictedSpan, Proposal};
pub use run::{BlockTimes, LayersTimed, Span, SpanKind, Verdict};
pub use training::{Candidate, Comparison, OperatorSuccess, Opponent, Origin, Trained};
pub use worker::{Emulation, Host, LinkShape, WorkerInfo, WorkerStatus};

use crate::command::{CommandId, Settled, Verb};
use crate::id::{Node, PartitionId, RunId, WorkerId};
use crate::network::Network;
use crate::predict::Profile;
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
    /// A worker ran its strips of a partition once, before any run, and timed their layers.
    PartitionRehearsed {
        /// Which.
        partition: PartitionId,
        /// Which worker.
        worker: WorkerId,
        /// Its blocks, each as a whole: all pieces together.
        blocks: Vec<BlockTimes>,
    },
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
