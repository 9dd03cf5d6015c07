//! A worker that is connected: everything a lab can ask of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use collab_core::event::{BlockTimes, LinkShape, SpanKind, WorkerInfo};
use collab_core::id::{Fingerprint, Node, PartitionId, RunId, WorkerId};
use collab_core::network::Cut;
use collab_core::partition::Partition;
use collab_core::wire::{
    MAX_CALIBRATION_MS, MAX_CHUNK, NetworkOffer, Peer, Reply, Request, RowsHeader, StatusReport, TimedLayer,
    WorkerHello, WorkerSpan,
};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc::Sender;

use super::control::Control;
use super::listen::Listener;
use super::{AskError, FromWorker};
use crate::clock::Clock;
use crate::egress::{Egress, Target};
use crate::probe::{Exchange, LinkSample, measure};
use crate::streams::{Farewell, priority, rows_head};

/// For what is answered at once.
const SOON: Duration = Duration::from_secs(5);
/// For what takes the worker some work, or waits behind such that an earlier lab gave it.
const LONG: Duration = Duration::from_secs(120);
/// How many pieces of a network are on their way before the first is acknowledged.
const CHUNKS_AHEAD: usize = 8;

/// A connection to a worker; clones share it. It is closed with the last of them.
#[derive(Clone)]
pub struct WorkerLink {
    shared: Arc<Shared>,
}

pub(super) struct Established {
    pub(super) worker: WorkerId,
    pub(super) address: SocketAddr,
    pub(super) fingerprint: Fingerprint,
    pub(super) hello: WorkerHello,
    pub(super) connection: Connection,
    pub(super) clock: Clock,
    pub(super) egress: Egress,
}

struct Shared {
    at: Established,
    control: Control,
    events: Sender<(WorkerId, FromWorker)>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        Farewell::Done.say(&self.at.connection, "the lab let go of this worker");
    }
}

/// What a worker says about a partition that it prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedOn {
    /// Memory that its share takes, bytes, estimated.
    pub bytes: u64,
    /// How long preparing took, ms.
    pub ms: f64,
    /// Strips built.
    pub built: u32,
    /// Strips taken over from other partitions.
    pub reused: u32,
}

/// What a worker measured of the synthetic networks.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// Every layer of every strip.
    pub layers: Vec<TimedLayer>,
    /// Networks that were timed, from the first on.
    pub networks: u32,
    /// How long it took, ms.
    pub ms: f64,
}

/// An exchange of clock readings over the control stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Round trip, µs, with what emulated links add at both ends.
    pub rtt_us: u64,
    /// The worker's clock minus the lab's, µs.
    pub offset_us: i64,
}

impl WorkerLink {
    pub(super) fn start(
        at: Established,
        send: SendStream,
        receive: RecvStream,
        events: Sender<(WorkerId, FromWorker)>,
    ) -> Self {
        let control = Control::start(at.connection.clone(), send, receive);
        let listener = Listener {
            worker: at.worker,
            connection: at.connection.clone(),
            clock: at.clock,
            egress: at.egress.clone(),
            events: events.clone(),
        };
        tokio::spawn(listener.listen());
        Self { shared: Arc::new(Shared { at, control, events }) }
    }

    /// Its place in the fleet.
    pub fn worker(&self) -> WorkerId {
        self.shared.at.worker
    }

    /// How it introduced itself.
    pub fn hello(&self) -> &WorkerHello {
        &self.shared.at.hello
    }

    /// Of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.shared.at.fingerprint
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.shared.at.address
    }

    /// All of that, as an event has it.
    pub fn info(&self) -> WorkerInfo {
        let WorkerHello { name, engine, host, emulation, memory_limit, .. } = self.hello().clone();
        let (worker, fingerprint) = (self.worker(), self.fingerprint());
        let address = self.address().to_string();
        WorkerInfo { worker, name, address, fingerprint, engine, host, emulation, memory_limit }
    }

    /// How the other workers are to reach it. From elsewhere a loopback address is of no use to them.
    pub fn as_peer(&self) -> Peer {
        let address = self.address().to_string();
        Peer { worker: self.worker(), address, fingerprint: self.fingerprint() }
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.at.connection.close_reason().is_some()
    }

    /// Sends a network unless the worker has it, and has it loaded. `progress` hears bytes held and total.
    /// Gives the tensor at each of the network's cuts, as the worker makes them.
    pub async fn offer_network(
        &self,
        offer: NetworkOffer,
        bytes: Bytes,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Vec<Cut>, AskError> {
        let total = offer.bytes;
        if bytes.len() as u64 != total {
            return Err(AskError::Protocol(format!(
                "the network has {} bytes, its offer says {total}",
                bytes.len()
            )));
        }
        let Reply::Holding { bytes: mut held } = self.control().ask(Request::Offer(offer), LONG).await?
        else {
            return Err(wrong("offer"));
        };
        progress(held, total);
        let mut ahead = std::collections::VecDeque::new();
        let mut next = held;
        while held < total {
            while next < total && ahead.len() < CHUNKS_AHEAD {
                let end = (next + MAX_CHUNK as u64).min(total);
                let data = bytes[next as usize..end as usize].to_vec();
                ahead.push_back(self.control().post(Request::Chunk { offset: next, data })?);
                next = end;
            }
            let Some(answer) = ahead.pop_front() else { break };
            let Reply::Holding { bytes } = self.control().wait(answer, LONG).await? else {
                return Err(wrong("chunk"));
            };
            held = bytes;
            progress(held, total);
        }
        match self.control().ask(Request::Load, LONG).await? {
            Reply::Loaded { cuts } => Ok(cuts),
            _ => Err(wrong("load")),
        }
    }

    /// Tells the worker its place and the others, and waits until it is linked with all of them. Ask all
    /// workers at the same time: a link needs both ends.
    pub async fn introduce(&self, peers: Vec<Peer>) -> Result<(), AskError> {
        self.done(Request::Introduce { me: self.worker(), peers }, 2 * SOON).await
    }

    /// Has it prepare its share of a partition while others go on running.
    pub async fn prepare(&self, partition: PartitionId, plan: &Partition) -> Result<PreparedOn, AskError> {
        match self.control().ask(Request::Prepare { partition, plan: plan.clone() }, LONG).await? {
            Reply::Prepared { bytes, ms, built, reused } => Ok(PreparedOn { bytes, ms, built, reused }),
            _ => Err(wrong("preparing")),
        }
    }

    /// Has it run its strips of a block of a partition that it prepared, and rest; what the block took, `None` if there
    /// was no time. Ask all workers that share the block at the same time: what they cost each other is part of it. What
    /// blocks yield is held until the one that `is_last`.
    pub async fn rehearse(
        &self,
        partition: PartitionId,
        block: u32,
        is_last: bool,
    ) -> Result<Option<BlockTimes>, AskError> {
        match self.control().ask(Request::Rehearse { partition, block, is_last }, LONG).await? {
            Reply::Rehearsed { times } => Ok(times),
            _ => Err(wrong("rehearsal")),
        }
    }

    /// Has it time the synthetic networks, beginning none after `budget`. Only between runs.
    pub async fn calibrate(&self, budget: Duration) -> Result<Calibrated, AskError> {
        let budget_ms = u32::try_from(budget.as_millis()).unwrap_or(MAX_CALIBRATION_MS);
        match self.control().ask(Request::Calibrate { budget_ms }, LONG).await? {
            Reply::Calibrated { layers, networks, ms } => Ok(Calibrated { layers, networks, ms }),
            _ => Err(wrong("calibration")),
        }
    }

    /// Has it forget a partition. Runs that go by it must have ended.
    pub async fn drop_partition(&self, partition: PartitionId) -> Result<(), AskError> {
        self.done(Request::Drop { partition }, LONG).await
    }

    /// Has it give a run up.
    pub async fn cancel(&self, run: RunId) -> Result<(), AskError> {
        self.done(Request::Cancel { run }, SOON).await
    }

    /// Gives it a share of its CPU, 1…100 %.
    pub async fn throttle(&self, percent: f64) -> Result<(), AskError> {
        self.done(Request::Throttle { percent }, SOON).await
    }

    /// Paces what it sends.
    pub async fn set_link(&self, link: LinkShape) -> Result<(), AskError> {
        self.done(Request::Link(link), SOON).await
    }

    /// Its state now.
    pub async fn status(&self) -> Result<StatusReport, AskError> {
        match self.control().ask(Request::Status, SOON).await? {
            Reply::Status(status) => Ok(status),
            _ => Err(wrong("status")),
        }
    }

    /// Compares clocks once; take the best of a few.
    pub async fn ping(&self) -> Result<Pong, AskError> {
        let clock = self.shared.at.clock;
        let asked = clock.now();
        let reply = self.control().ask(Request::Ping, SOON).await?;
        let back = clock.now();
        let Reply::Pong { received_us: received, answered_us: answered, delay_us } = reply else {
            return Err(wrong("ping"));
        };
        let exchange = Exchange { asked, received, answered, back };
        let rtt_us = exchange.rtt() + delay_us + self.shared.at.egress.delay_us();
        Ok(Pong { rtt_us, offset_us: exchange.offset() })
    }

    /// Measures the way from the lab to the worker with so many bytes (0: round trip and clocks only).
    pub async fn measure(&self, bytes: u64) -> Result<LinkSample, AskError> {
        let Established { connection, clock, egress, .. } = &self.shared.at;
        measure(connection, egress, *clock, bytes).await.map_err(AskError::Refused)
    }

    /// Has the worker measure the way from itself to another node, the lab included.
    pub async fn measure_to(&self, to: Node, bytes: u64) -> Result<LinkSample, AskError> {
        match self.control().ask(Request::Probe { to, bytes }, LONG).await? {
            Reply::Probed { rtt_us, offset_us, rate_mbps } => Ok(LinkSample { rtt_us, offset_us, rate_mbps }),
            _ => Err(wrong("probe")),
        }
    }

    /// Puts rows on the lab's line; returns at once. [`FromWorker::LabSent`] or [`FromWorker::Failed`] tells
    /// how it went.
    pub fn send_rows(&self, header: RowsHeader, body: Bytes) {
        let Shared { at, events, .. } = &*self.shared;
        let (worker, clock, events) = (at.worker, at.clock, events.clone());
        let run = header.run;
        let tell = move |event: FromWorker| {
            tokio::spawn(async move {
                // The lab may have stopped listening on its way out.
                let _ = events.send((worker, event)).await;
            });
        };
        let head = match rows_head(&header) {
            Ok(head) if body.len() as u64 == header.bytes => head,
            Ok(_) => {
                let reason = format!("{} bytes of rows, the header says {}", body.len(), header.bytes);
                return tell(FromWorker::Failed { run, reason });
            }
            Err(error) => return tell(FromWorker::Failed { run, reason: error.to_string() }),
        };
        let done = move |outcome: Result<crate::egress::SentAt, String>| {
            tell(match outcome {
                Ok(sent) => FromWorker::LabSent(WorkerSpan {
                    run,
                    kind: SpanKind::Send,
                    block: header.block,
                    peer: Some(Node::Worker(worker)),
                    rows: header.rows,
                    start_us: clock.at(sent.start),
                    end_us: clock.at(sent.end),
                    bytes: header.bytes,
                }),
                Err(reason) => {
                    let reason = format!("cannot send rows {} to {worker}: {reason}", header.rows);
                    FromWorker::Failed { run, reason }
                }
            });
        };
        let target = Target::Uni(at.connection.clone(), priority::ROWS);
        at.egress.send(target, head, body, Box::new(done));
    }

    /// Says farewell.
    pub fn close(&self) {
        Farewell::Done.say(&self.shared.at.connection, "the lab has ended");
    }

    fn control(&self) -> &Control {
        &self.shared.control
    }

    async fn done(&self, request: Request, patience: Duration) -> Result<(), AskError> {
        match self.control().ask(request, patience).await? {
            Reply::Done => Ok(()),
            _ => Err(wrong("request")),
        }
    }
}

fn wrong(what: &str) -> AskError {
    AskError::Protocol(format!("the worker answered something else to the {what}"))
}
