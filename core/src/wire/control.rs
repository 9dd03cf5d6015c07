//! What a lab asks of a worker, and the answers: every request has exactly one.

use serde::{Deserialize, Serialize};

use super::telemetry::check_times;
use super::{
    MAX_BLOCKS, MAX_CALIBRATION_MS, MAX_CHUNK, MAX_NETWORK, MAX_PROBE, MAX_ROW, MAX_TEXT, MAX_TIMED, Message,
    check_count, check_number, check_text,
};
use crate::event::{BlockTimes, Emulation, Host, LinkShape};
use crate::id::{Fingerprint, NetworkId, Node, PartitionId, RunId, WorkerId};
use crate::network::Pixels;
use crate::partition::Partition;

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
        /// At most [`MAX_CHUNK`].
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
        /// Begin no further network after this long, ms: 1…[`MAX_CALIBRATION_MS`].
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
        /// How long loading took, ms.
        ms: f64,
        /// Its units, for the lab to compare.
        units: u32,
        /// Its layers.
        layers: u32,
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
        /// What its blocks took when they were run before anything waited for them; those for which there was no
        /// time are left out.
        rehearsed: Vec<BlockTimes>,
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

impl TimedLayer {
    fn check(&self) -> Result<(), String> {
        check_count("rows", self.rows as usize, MAX_ROW as usize)?;
        check_number("time", f64::from(self.ms), 0.0..=1e9)
    }
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

impl StatusReport {
    pub(super) fn check(&self) -> Result<(), String> {
        check_number("CPU", self.cpu_percent, 0.0..=1e5)?;
        check_number("delay", self.delayed_percent, 0.0..=1e9)?;
        check_number("reference", self.reference_ms.unwrap_or(0.0), 0.0..=1e9)?;
        check_number("temperature", self.temperature_c.unwrap_or(0.0), -300.0..=1e4)?;
        check_number("throttle", self.throttle_percent, 0.0..=100.0)?;
        check_link(&self.link)
    }
}

fn check_link(link: &LinkShape) -> Result<(), String> {
    check_number("link rate", link.rate_mbps.unwrap_or(1.0), 0.001..=1e6)?;
    check_number("link delay", link.delay_ms, 0.0..=10_000.0)
}

fn check_partition(partition: &Partition) -> Result<(), String> {
    check_count("blocks", partition.blocks.len(), MAX_BLOCKS)?;
    for block in &partition.blocks {
        check_count("workers", block.bounds.len(), WorkerId::MAX + 1)?;
        if block.bounds.len() < 2 {
            return Err("a block without workers".to_owned());
        }
        if block.bounds.iter().any(|&bound| bound > MAX_ROW) || !block.bounds.is_sorted() {
            return Err("rows out of order".to_owned());
        }
    }
    Ok(())
}

fn check_options(options: &NetworkOptions) -> Result<(), String> {
    check_text("name", &options.name)?;
    if let Some(pixels) = &options.pixels {
        check_count("channels", pixels.mean.len().max(pixels.std.len()), MAX_TEXT)?;
        if pixels.std.iter().chain(&pixels.mean).any(|value| !value.is_finite()) {
            return Err("pixels are normalised by a number that is none".to_owned());
        }
    }
    let shape = options.input_shape.as_deref().unwrap_or_default();
    check_count("axes", shape.len(), 16)
}

impl Message for Asked {
    const NAME: &'static str = "request";

    fn check(&self) -> Result<(), String> {
        match &self.request {
            Request::Hello(hello) => {
                check_text("name", &hello.name)?;
                check_text("version", &hello.version)
            }
            Request::Offer(offer) => {
                check_options(&offer.options)?;
                if offer.bytes == 0 || offer.bytes > MAX_NETWORK {
                    return Err(format!("a network of {} bytes, allowed are 1…{MAX_NETWORK}", offer.bytes));
                }
                Ok(())
            }
            Request::Chunk { data, .. } => check_count("bytes", data.len(), MAX_CHUNK),
            Request::Introduce { me, peers } => {
                check_count("peers", peers.len(), WorkerId::MAX)?;
                peers.iter().try_for_each(|peer| check_text("address", &peer.address))?;
                let highest = peers.iter().map(|peer| peer.worker).chain([*me]).max();
                check_count("worker", highest.map_or(0, WorkerId::index), WorkerId::MAX - 1)
            }
            Request::Prepare { plan, .. } => check_partition(plan),
            Request::Throttle { percent } => check_number("throttle", *percent, 1.0..=100.0),
            Request::Link(link) => check_link(link),
            Request::Calibrate { budget_ms } if !(1..=MAX_CALIBRATION_MS).contains(budget_ms) => {
                Err(format!("a calibration of {budget_ms} ms, allowed are 1…{MAX_CALIBRATION_MS}"))
            }
            Request::Probe { bytes, .. } if *bytes > MAX_PROBE => {
                Err(format!("{bytes} bytes are more than the {MAX_PROBE} allowed"))
            }
            Request::Pair { .. }
            | Request::Load
            | Request::Drop { .. }
            | Request::Cancel { .. }
            | Request::Ping
            | Request::Probe { .. }
            | Request::Calibrate { .. }
            | Request::Status => Ok(()),
        }
    }
}

impl Message for Answered {
    const NAME: &'static str = "answer";

    fn check(&self) -> Result<(), String> {
        match &self.reply {
            Reply::Welcome(hello) => {
                let host = &hello.host;
                let texts = [&hello.name, &hello.version, &hello.engine, &host.cpu, &host.isa, &host.os];
                texts.into_iter().chain([&host.governor]).try_for_each(|text| check_text("hello", text))?;
                let Some(emulation) = &hello.emulation else { return Ok(()) };
                check_text("emulation", &emulation.name)?;
                check_number("slowdown", emulation.slowdown, 1.0..=1e4)?;
                check_link(&emulation.link)
            }
            Reply::Loaded { ms, .. } => check_number("time", *ms, 0.0..=1e9),
            Reply::Prepared { ms, rehearsed, .. } => {
                check_number("time", *ms, 0.0..=1e9)?;
                check_times(rehearsed)
            }
            Reply::Probed { rate_mbps, .. } => check_number("rate", rate_mbps.unwrap_or(1.0), 0.0..=1e9),
            Reply::Status(status) => status.check(),
            Reply::Calibrated { layers, ms, .. } => {
                check_count("timed layers", layers.len(), MAX_TIMED)?;
                layers.iter().try_for_each(TimedLayer::check)?;
                check_number("time", *ms, 0.0..=1e9)
            }
            Reply::Refused { reason } => check_text("reason", reason),
            Reply::Paired { .. } | Reply::Holding { .. } | Reply::Done | Reply::Pong { .. } => Ok(()),
        }
    }
}
