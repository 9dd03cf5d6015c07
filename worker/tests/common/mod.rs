//! Workers with real sockets and a tiny engine whose arithmetic is plain to see.

#![allow(dead_code)] // every test program uses a part of it

pub(crate) mod process;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use collab_core::event::{Emulation, LinkShape};
use collab_core::id::{Digest, Fingerprint, NetworkId, PartitionId, RunId, WorkerId};
use collab_core::network::{Network, samples::chain};
use collab_core::partition::Partition;
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;
use collab_core::wire::{Encoding, NetworkOffer, NetworkOptions, RowsHeader};
use collab_worker::client::{Dialer, FromWorker, WorkerLink};
use collab_worker::engine::{Engine, Map, Model, Strip, Synthetic};
use collab_worker::keys::{AuthorizedKeys, Identity};
use collab_worker::{Server, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Runs `chain` networks: each unit adds up a 3×3 neighbourhood over all channels, with weights that differ
/// from channel to channel, and folds the sum so that it stays small. The order of additions is fixed, so
/// equal inputs give equal bits.
pub(crate) struct TinyEngine;

struct TinyModel(Arc<Network>);

struct TinyStrip {
    network: Arc<Network>,
    units: Range<usize>,
    rows: Rows,
}

/// The bytes of a tiny network: its name, then its size and units as text.
pub(crate) fn tiny_bytes(size: u32, units: u32) -> Bytes {
    format!("tiny {size} {units}").into_bytes().into()
}

pub(crate) fn offer(bytes: &Bytes) -> NetworkOffer {
    let network = Digest(Sha256::digest(bytes).into());
    let options = NetworkOptions { name: "tiny".to_owned(), ..NetworkOptions::default() };
    NetworkOffer { network, bytes: bytes.len() as u64, memory: 0, options }
}

impl Engine for TinyEngine {
    fn load(&self, file: &Path, _: NetworkId, _: &NetworkOptions) -> Result<Box<dyn Model>, String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let mut words = text.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        if number().is_some() {
            return Err("it is no tiny network".to_owned());
        }
        match (number(), number()) {
            (Some(size), Some(units)) => Ok(Box::new(TinyModel(Arc::new(chain(size, units))))),
            _ => Err("it is no tiny network".to_owned()),
        }
    }

    fn synthetic(&self, index: usize) -> Option<Result<Synthetic, String>> {
        let strips = vec![(0..3, Rows::all(12)), (1..2, Rows::new(4, 7))];
        (index == 0).then(|| Ok((Box::new(TinyModel(Arc::new(synthetic()))) as Box<dyn Model>, strips)))
    }

    fn name(&self) -> String {
        "tiny".to_owned()
    }
}

/// The one synthetic network of the tiny engine.
pub(crate) fn synthetic() -> Network {
    chain(12, 3)
}

impl Model for TinyModel {
    fn network(&self) -> &Arc<Network> {
        &self.0
    }

    fn strip(&self, units: Range<usize>, rows: Rows) -> Result<Box<dyn Strip>, String> {
        Ok(Box::new(TinyStrip { network: self.0.clone(), units, rows }))
    }
}

impl Strip for TinyStrip {
    fn run(
        &mut self,
        input: Map,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut [Duration],
    ) -> Result<Map, String> {
        let demand = self.network.demand(&self.units, self.rows);
        if input.rows() != demand.input {
            return Err(format!("given rows {}, expected {}", input.rows(), demand.input));
        }
        let mut map = input;
        for (layer, rows) in self.network.layers_of(&self.units).zip(demand.layers) {
            let start = clock();
            map = convolve(&map, self.network.layers[layer].output, rows);
            times[layer] += clock() - start;
        }
        Ok(map)
    }
}

fn convolve(input: &Map, cut: collab_core::network::Cut, rows: Rows) -> Map {
    let mut output = Map::zeros(cut, rows);
    let (held, channels) = (input.rows(), input.cut().outer);
    let (height, width) = (input.cut().rows as i64, input.cut().inner as i64);
    let mut values = Vec::new();
    for out in 0..cut.outer {
        for row in rows.start..rows.end {
            for column in 0..width {
                let mut sum = 0.1 * out as f32;
                for channel in 0..channels {
                    for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                        let (y, x) = (i64::from(row) + dy, column + dx);
                        if (0..height).contains(&y) && (0..width).contains(&x) {
                            let line = channel * held.len() + (y as u32 - held.start);
                            let value = input.values()[(i64::from(line) * width + x) as usize];
                            sum +=
                                value * (1.0 / (2 + out + 3 * channel) as f32 + 0.01 * (dy - 2 * dx) as f32);
                        }
                    }
                }
                values.push(sum / (1.0 + sum.abs()));
            }
        }
    }
    output.values_mut().copy_from_slice(&values);
    output
}

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
            listen: "127.0.0.1:0".parse().unwrap(),
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
            let collab_core::id::Node::Worker(worker) = transfer.peer else { continue };
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

/// A picture of noise, planar.
pub(crate) fn picture(size: u32) -> Vec<u8> {
    (0..3 * size * size).map(|index| (index.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

fn pixel_rows(network: &Network, picture: &[u8], rows: Rows) -> Vec<u8> {
    let cut = network.input.cut;
    let plane = (cut.rows * cut.inner) as usize;
    let (start, end) = ((rows.start * cut.inner) as usize, (rows.end * cut.inner) as usize);
    picture.chunks_exact(plane).flat_map(|plane| plane[start..end].to_vec()).collect()
}

/// What one device computes of the whole network.
pub(crate) fn single(network: &Network, picture: &[u8]) -> Vec<u8> {
    let cut = network.input.cut;
    let mut input = Map::zeros(cut, Rows::all(cut.rows));
    let std = network.input.pixels.as_ref().unwrap().std[0];
    input.values_mut().iter_mut().zip(picture).for_each(|(value, byte)| *value = f32::from(*byte) / std);
    let units = 0..network.units.len();
    let rows = Rows::all(network.cut(units.end).rows);
    let mut strip = TinyStrip { network: Arc::new(network.clone()), units, rows };
    let mut times = vec![Duration::ZERO; network.layers.len()];
    let output = strip.run(input, &mut || Duration::ZERO, &mut times).unwrap();
    let mut bytes = Vec::new();
    output.read(rows, &mut bytes).unwrap();
    bytes
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
