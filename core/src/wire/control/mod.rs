//! What a lab asks of a worker, and the answers: every request has exactly one.

mod limits;

use serde::{Deserialize, Serialize};

use crate::event::{BlockTimes, Emulation, Host, LinkShape};
use crate::id::{Fingerprint, NetworkId, Node, PartitionId, RunId, WorkerId};
use crate::network::{Cut, Pixels};
use crate::partition::Partition;

pub(crate) use limits::check_partition;

/// A request with the number that its answer carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Counted by the lab from 1.
    pub sequence: u64,
    /// What.
    pub request: Request,
}

/// An answer with the number of its request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The request's.
    pub sequence: u64,
    /// What.
    pub reply: Reply,
}

/// What a lab asks of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// The first one. → [`Reply::Welcome`]
    Hello(LabHello),
    /// Trust this lab's key: a proof that it knows the code that the worker printed. → [`Reply::Paired`]
    Pair {
        /// HMAC-SHA-256 of both fingerprints, keyed with the code.
        proof: [u8; 32],
    },
    /// Use this network. → [`Reply::Holding`]
    Offer(NetworkOffer),
    /// Some of the network's bytes. → [`Reply::Holding`]
    Chunk {
        /// Where they belong; must be where the bytes held end.
        offset: u64,
        /// At most [`MAX_CHUNK`](super::MAX_CHUNK).
        #[serde(with = "super::bytes")]
        data: Vec<u8>,
    },
    /// Check and load the network offered. → [`Reply::Loaded`]
    Load,
    /// Who is who; link up with the others. → [`Reply::Done`] once every link is there
    Introduce {
        /// The worker's own place.
        me: WorkerId,
        /// The other workers.
        peers: Vec<Peer>,
    },
    /// Prepare the strips of a partition, while others run. → [`Reply::Prepared`]
    Prepare {
        /// Its number.
        partition: PartitionId,
        /// The blocks.
        plan: Partition,
    },
    /// Run the strips of a block once, without any rows; asked of all workers that share it at the same time.
    /// → [`Reply::Rehearsed`] when the device has rested
    Rehearse {
        /// Of which partition; it is prepared.
        partition: PartitionId,
        /// Which of its blocks.
        block: u32,
        /// Whether it is the last of the rehearsal. Until then what blocks yield is held, so that each finds memory as in a run.
        is_last: bool,
    },
    /// Forget a partition. → [`Reply::Done`]
    Drop {
        /// Which.
        partition: PartitionId,
    },
    /// Give a run up. → [`Reply::Done`]
    Cancel {
        /// Which.
        run: RunId,
    },
    /// Run at this share of the CPU. → [`Reply::Done`]
    Throttle {
        /// 1…100 %.
        percent: f64,
    },
    /// Pace what is sent. → [`Reply::Done`]
    Link(LinkShape),
    /// What is the time? → [`Reply::Pong`]
    Ping,
    /// Measure the link to a node. → [`Reply::Probed`]
    Probe {
        /// Which node.
        to: Node,
        /// Bytes to send; 0 measures the round trip only.
        bytes: u64,
    },
    /// How are you? → [`Reply::Status`]
    Status,
    /// Time the layers of the synthetic networks, between runs. → [`Reply::Calibrated`]
    Calibrate {
        /// Begin no further network after this long, ms: 1…[`MAX_CALIBRATION_MS`](super::MAX_CALIBRATION_MS).
        budget_ms: u32,
    },
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Hello`].
    Welcome(WorkerHello),
    /// To [`Request::Pair`]: the worker's own proof that it knows the code.
    Paired {
        /// HMAC-SHA-256 of both fingerprints in the other order, keyed with the code.
        proof: [u8; 32],
    },
    /// How many of the network's bytes the worker holds, from the first on.
    Holding {
        /// Bytes.
        bytes: u64,
    },
    /// The network can be run.
    Loaded {
        /// The tensor at each of its cuts, for the lab to compare: rows of others would be taken for what they are not.
        cuts: Vec<Cut>,
    },
    /// A partition can be run.
    Prepared {
        /// Memory that its strips and the network take, bytes, estimated.
        bytes: u64,
        /// How long preparing took, ms.
        ms: f64,
        /// Strips built.
        built: u32,
        /// Strips taken over from other partitions.
        reused: u32,
    },
    /// To [`Request::Rehearse`].
    Rehearsed {
        /// What the block took; `None` if there was no time for it.
        times: Option<BlockTimes>,
    },
    /// Done.
    Done,
    /// The worker's time, µs since it started: when the request was read and when this was written.
    Pong {
        /// When the ping was read.
        received_us: u64,
        /// When this was written.
        answered_us: u64,
        /// What the worker's emulated link adds to rows and not to this answer, µs.
        delay_us: u64,
    },
    /// To [`Request::Probe`].
    Probed {
        /// The shortest round trip of a few, µs, emulated delays of both ends included.
        rtt_us: u64,
        /// The other node's clock minus this one's, µs, from that round trip.
        offset_us: i64,
        /// Mbit/s, if bytes were sent.
        rate_mbps: Option<f64>,
    },
    /// To [`Request::Status`].
    Status(StatusReport),
    /// To [`Request::Calibrate`].
    Calibrated {
        /// Every layer with rows, of every strip: medians of a few runs.
        layers: Vec<TimedLayer>,
        /// Synthetic networks that were timed, from the first on.
        networks: u32,
        /// How long it took, ms.
        ms: f64,
    },
    /// Not done.
    Refused {
        /// A sentence.
        reason: String,
    },
}

/// A layer of a synthetic network, timed as strips are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedLayer {
    /// Which network, from 0.
    pub network: u32,
    /// Which of its layers.
    pub layer: u32,
    /// Rows computed.
    pub rows: u32,
    /// On the device as it is emulated and throttled, ms.
    pub ms: f32,
}

/// A lab as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabHello {
    /// For people.
    pub name: String,
    /// The program's version.
    pub version: String,
}

/// A worker as it introduces itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// For people.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The engine with what was chosen for this device: times of another one say nothing about it.
    pub engine: String,
    /// Its device.
    pub host: Host,
    /// What it emulates, if it does.
    pub emulation: Option<Emulation>,
    /// Bytes of memory it allows itself; `None` is no limit.
    pub memory_limit: Option<u64>,
}

/// How a network is to be read; see `collab-models`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkOptions {
    /// For people.
    pub name: String,
    /// How pictures are fed.
    pub pixels: Option<Pixels>,
    /// The input's shape where the model leaves it open.
    pub input_shape: Option<Vec<usize>>,
}

/// A network that a lab has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkOffer {
    /// SHA-256 of its bytes.
    pub network: NetworkId,
    /// How many bytes.
    pub bytes: u64,
    /// How many bytes of memory a worker takes to load it, as the lab expects.
    pub memory: u64,
    /// How to read it.
    pub options: NetworkOptions,
}

/// Another worker that the lab vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its place.
    pub worker: WorkerId,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// Of its key.
    pub fingerprint: Fingerprint,
}

/// A worker's state; see [`crate::event::WorkerStatus`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Of one core, over the last second; emulated workers count stretched time as busy.
    pub cpu_percent: f64,
    /// Over the last seconds, how much longer computing took because other programs had the processor, %.
    pub delayed_percent: f64,
    /// What the reference strip took when it was last idle, ms; `None` if it was not idle since the report before.
    pub reference_ms: Option<f64>,
    /// Of the hottest sensor, if there is one.
    pub temperature_c: Option<f64>,
    /// CPU share it runs at, 1…100.
    pub throttle_percent: f64,
    /// What paces its sending now.
    pub link: LinkShape,
    /// Resident bytes.
    pub memory: u64,
    /// The most bytes that it had resident at once since it started; 0 where that cannot be told.
    pub memory_peak: u64,
    /// Reports it dropped since it started.
    pub dropped: u64,
    /// Connections it refused since it started.
    pub refused: u64,
}
