//! Workers with real sockets and a lab that leads them.

#![allow(dead_code, unused_imports)] // every test program uses a part of it

mod engine;
pub(crate) mod process;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use collab_core::event::{Emulation, LinkShape};
use collab_core::id::{Fingerprint, Node, PartitionId, RunId, WorkerId};
use collab_core::network::Network;
use collab_core::partition::Partition;
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;
use collab_core::wire::{Encoding, RowsHeader};
use collab_worker::client::{Dialer, FromWorker, WorkerLink};
use collab_worker::engine::Map;
use collab_worker::keys::{AuthorizedKeys, Identity};
use collab_worker::{Server, ServerConfig};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(crate) use engine::{TinyEngine, offer, picture, pixel_rows, single, synthetic, tiny_bytes};

/// A worker in a thread of this process, with a socket and folders of its own.
pub(crate) struct Worker {
    pub(crate) address: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a test's worker differs from an ordinary one.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) memory: Option<u64>,
    pub(crate) emulation: Option<Emulation>,
    /// Where it listens; on loopback if left out.
    pub(crate) listen: Option<&'static str>,
}

impl Worker {
    /// Starts a worker that admits `lab`.
    pub(crate) fn start(name: &str, lab: Option<Fingerprint>, setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authorized = folder.path().join("authorized");
        if let Some(lab) = lab {
            AuthorizedKeys::at(authorized.clone()).add(lab, "the test").unwrap();
        }
        let config = ServerConfig {
            listen: setup.listen.unwrap_or("127.0.0.1:0").parse().unwrap(),
            name: name.to_owned(),
            memory_limit: setup.memory,
            emulation: setup.emulation,
            link: None,
            authorized,
            networks: folder.path().join("networks"),
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = std::sync::mpsc::channel();
        let state = folder.path().to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let identity = Identity::open(&state).unwrap();
                let server = Server::start(config, &identity, Arc::new(TinyEngine)).unwrap();
                ready.send((server.address().unwrap().to_string(), server.fingerprint())).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (address, fingerprint) = bound.recv().unwrap();
        Self { address, fingerprint, folder, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn networks(&self) -> PathBuf {
        self.folder.path().join("networks")
    }

    pub(crate) fn authorized(&self) -> PathBuf {
        self.folder.path().join("authorized")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A lab with its inbox.
pub(crate) struct TestLab {
    pub(crate) dialer: Dialer,
    pub(crate) inbox: Receiver<(WorkerId, FromWorker)>,
}

impl TestLab {
    pub(crate) fn new(identity: &Identity) -> Self {
        let (dialer, inbox) = Dialer::new(identity.clone(), Instant::now()).unwrap();
        Self { dialer, inbox }
    }

    pub(crate) async fn connect(&self, index: usize, worker: &Worker) -> WorkerLink {
        self.dialer.connect(WorkerId::at(index), &worker.address, worker.fingerprint).await.unwrap()
    }

    /// Connects to all, gives them the network, introduces them.
    pub(crate) async fn lead(&self, workers: &[Worker], network: &Bytes) -> Vec<WorkerLink> {
        let mut links = Vec::new();
        for (index, worker) in workers.iter().enumerate() {
            links.push(self.connect(index, worker).await);
        }
        for link in &links {
            link.offer_network(offer(network), network.clone(), |_, _| {}).await.unwrap();
        }
        introduce(&links).await;
        links
    }

    /// The next message for which `wanted` gives something.
    pub(crate) async fn expect<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(WorkerId, FromWorker) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let (worker, event) = self.inbox.recv().await.expect("links are open");
                if let Some(found) = wanted(worker, event) {
                    return found;
                }
            }
        };
        let found = timeout(Duration::from_secs(20), found).await;
        found.unwrap_or_else(|_| panic!("no {what} came"))
    }

    /// Sends the input of a run as the schedule says.
    pub(crate) fn send_input(
        &self,
        network: &Network,
        links: &[WorkerLink],
        schedule: &Schedule,
        run: u64,
        partition: u32,
        input: &[u8],
    ) {
        for transfer in &schedule.input {
            let Node::Worker(worker) = transfer.peer else { continue };
            let body = pixel_rows(network, input, transfer.rows);
            let header = RowsHeader {
                run: RunId(run),
                partition: PartitionId(partition),
                block: 0,
                rows: transfer.rows,
                encoding: Encoding::U8,
                bytes: body.len() as u64,
            };
            links[worker.index()].send_rows(header, body.into());
        }
    }

    /// Gathers a run's output, as bytes.
    pub(crate) async fn gather(&mut self, network: &Network, run: u64) -> Vec<u8> {
        let cut = network.cut(network.units.len());
        let mut output = Map::zeros(cut, Rows::all(cut.rows));
        let mut missing = cut.rows;
        while missing > 0 {
            let (header, body) = self
                .expect("output", |worker, event| match event {
                    FromWorker::Rows { header, body, .. } if header.run == RunId(run) => Some((header, body)),
                    FromWorker::Failed { reason, .. } => panic!("{worker}: {reason}"),
                    FromWorker::Closed { reason } => panic!("{worker}: {reason}"),
                    _ => None,
                })
                .await;
            output.write(header.rows, &body).unwrap();
            missing -= header.rows.len();
        }
        let mut bytes = Vec::new();
        output.read(Rows::all(cut.rows), &mut bytes).unwrap();
        bytes
    }
}

pub(crate) async fn introduce(links: &[WorkerLink]) {
    let peers: Vec<_> = links.iter().map(WorkerLink::as_peer).collect();
    let mut introductions = tokio::task::JoinSet::new();
    for link in links {
        let link = link.clone();
        let others = peers.iter().filter(|peer| peer.worker != link.worker()).cloned().collect();
        introductions.spawn(async move { link.introduce(others).await });
    }
    for outcome in introductions.join_all().await {
        outcome.unwrap();
    }
}

pub(crate) fn partition(network: &Network, text: &str, workers: usize) -> Partition {
    Partition::parse(text, network, workers).unwrap()
}

/// A slow link without a slow device.
pub(crate) fn slow_link(rate_mbps: f64) -> LinkShape {
    LinkShape { rate_mbps: Some(rate_mbps), delay_ms: 0.0 }
}

pub(crate) fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| entries.count())
}
