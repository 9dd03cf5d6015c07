//! The real engine in real processes: a shipped network on three unlike devices, and on one.
#![allow(clippy::unwrap_used)] // a test whose help fails has failed

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use collab_core::id::{PartitionId, WorkerId};
use collab_core::network::Network;
use collab_core::plan::{loading_memory, peak_memory};
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;
use collab_core::wire::{NetworkOffer, NetworkOptions};
use collab_models::{LayerTimes, LoadOptions, Map, Model, catalogue, pixels::normalise};
use collab_worker::client::WorkerLink;
use collab_worker::keys::{AuthorizedKeys, Identity};
use common::process::{Running, worker};
use common::{TestLab, introduce, partition};

/// Processes, their folders, and the links to them, with the network loaded.
struct Fleet {
    _running: Vec<(Running, tempfile::TempDir)>,
    lab: TestLab,
    links: Vec<WorkerLink>,
    network: Arc<Network>,
    model: Model,
}

async fn fleet(name: &str, devices: &[&str]) -> Fleet {
    let entry = catalogue::find(name).unwrap();
    let bytes = Bytes::from(entry.bytes(1).into_owned());
    let pixels = Some(entry.pixels());
    let options = LoadOptions { name: name.to_owned(), pixels: pixels.clone(), input_shape: None };
    let model = Model::load(&bytes, &options).unwrap();
    let network = model.network().clone();
    let options = NetworkOptions { name: name.to_owned(), pixels, input_shape: None };
    let offer = NetworkOffer {
        network: network.id,
        bytes: bytes.len() as u64,
        memory: loading_memory(&network),
        options,
    };
    let identity = Identity::generate().unwrap();
    let lab = TestLab::new(&identity);
    let (mut running, mut links) = (Vec::new(), Vec::new());
    for (index, device) in devices.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        AuthorizedKeys::at(folder.path().join("authorized")).add(identity.fingerprint(), "").unwrap();
        let process = Running::start(worker(folder.path()).args(["--emulate", device]));
        let link = lab.dialer.connect(WorkerId::at(index), &process.address(), process.at.fingerprint).await;
        let link = link.unwrap();
        link.offer_network(offer.clone(), bytes.clone(), |_, _| {}).await.unwrap();
        links.push(link);
        running.push((process, folder));
    }
    introduce(&links).await;
    Fleet { _running: running, lab, links, network, model }
}

/// What the whole network gives on one device, as bytes.
fn whole(model: &Model, picture: &[u8]) -> Vec<u8> {
    let network = model.network();
    let cut = network.input.cut;
    let mut input = Map::zeros(cut, Rows::all(cut.rows));
    normalise(network.input.pixels.as_ref().unwrap(), picture, input.values_mut()).unwrap();
    let mut times = LayerTimes::new(network);
    let output = model.whole().unwrap().run(input, &mut || Duration::ZERO, &mut times).unwrap();
    let mut bytes = Vec::new();
    output.read(output.rows(), &mut bytes).unwrap();
    bytes
}

/// How far a process's peak of memory may be from the prediction: this share of it…
const BOUND: f64 = 0.25;
/// …or these bytes, which the program, its threads and its allocator take more or less of from start to start.
const SLACK: f64 = 12e6;

#[tokio::test]
async fn the_memory_that_a_worker_takes_at_most_is_predicted() {
    let mut missed = Vec::new();
    for name in ["upconv7", "efficientnet_lite0", "tiny_face_detector", "mobilenet_v2", "resnet50", "alexnet"]
    {
        let mut fleet = fleet(name, &["pi5", "pi5"]).await;
        let network = fleet.network.clone();
        let cut = network.input.cut;
        let picture = vec![7; (cut.outer * cut.rows * cut.inner) as usize];
        let last = network.units.len() - 1;
        let plan = partition(&network, &format!("0:70%,30%/1-{last}:A"), 2);
        for link in &fleet.links {
            link.prepare(PartitionId(1), &plan).await.unwrap();
        }
        let schedule = Schedule::new(&network, &plan);
        fleet.lab.send_input(&network, &fleet.links, &schedule, 1, 1, &picture);
        fleet.lab.gather(&network, 1).await;
        // Workers look at themselves once a second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for (link, predicted) in fleet.links.iter().zip(peak_memory(&network, &plan)) {
            let measured = link.status().await.unwrap().memory_peak;
            println!(
                "{name}: {:.0} MB at most, {:.0} predicted",
                measured as f64 / 1e6,
                predicted as f64 / 1e6
            );
            if (predicted as f64 - measured as f64).abs() > (BOUND * measured as f64).max(SLACK) {
                missed.push((name, measured, predicted));
            }
        }
    }
    assert!(missed.is_empty(), "measured and predicted: {missed:?}");
}

#[tokio::test]
async fn three_emulated_devices_give_the_shipped_networks_output_bit_for_bit() {
    let mut fleet = fleet("upconv7", &["pi5", "pi4", "pi3"]).await;
    let network = fleet.network.clone();
    let cut = network.input.cut;
    let picture: Vec<u8> = (0..cut.outer * cut.rows * cut.inner)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let expected = whole(&fleet.model, &picture);
    let last = network.units.len() - 1;
    let texts =
        [format!("0-{last}:60%,30%,10%"), format!("0-1:=/2-{last}:50%,35%,15%"), format!("0-{last}:B")];
    for (number, text) in (1..).zip(&texts) {
        let plan = partition(&network, text, 3);
        for link in &fleet.links {
            let prepared = link.prepare(PartitionId(number), &plan).await.unwrap();
            assert!(prepared.bytes > network.weight_bytes());
        }
        let schedule = Schedule::new(&network, &plan);
        fleet.lab.send_input(&network, &fleet.links, &schedule, u64::from(number), number, &picture);
        let output = fleet.lab.gather(&network, u64::from(number)).await;
        assert!(output == expected, "{text}: the bits differ");
    }
}
