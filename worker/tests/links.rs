//! Who is let in, what is said to those who are not, and what survives a broken link.
#![allow(clippy::unwrap_used)] // a test whose help fails has failed

mod common;

use std::time::Duration;

use bytes::Bytes;
use collab_core::id::{Digest, Node, PartitionId, WorkerId};
use collab_core::network::samples::chain;
use collab_core::schedule::Schedule;
use collab_worker::client::{AskError, ConnectError, FromWorker};
use collab_worker::emulation::preset;
use collab_worker::keys::{AuthorizedKeys, Identity};
use common::{Setup, TestLab, Worker, files_in, offer, partition, picture, single, slow_link, tiny_bytes};
use tokio::sync::Notify;

#[tokio::test]
async fn an_unknown_key_is_refused_with_a_sentence_and_counted() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let stranger = TestLab::new(&Identity::generate().unwrap());
    let refused = stranger.dialer.connect(WorkerId(0), &worker.address, worker.fingerprint).await;
    let Err(ConnectError::Refused { reason, .. }) = refused else { panic!("expected a refusal") };
    assert!(reason.contains(&stranger.dialer.fingerprint().to_string()), "{reason}");
    assert!(reason.contains("--pair"), "{reason}");
    let lab = TestLab::new(&identity);
    let link = lab.connect(0, &worker).await;
    assert_eq!(link.status().await.unwrap().refused, 1);
    AuthorizedKeys::at(worker.authorized()).add(stranger.dialer.fingerprint(), "").unwrap();
    let refused = stranger.dialer.connect(WorkerId(0), &worker.address, worker.fingerprint).await;
    let Err(ConnectError::Led { reason, .. }) = refused else { panic!("expected a refusal") };
    assert!(reason.contains("led by another lab"), "{reason}");
    assert!(link.ping().await.is_ok(), "the first lab goes on");
    link.close();
}

#[tokio::test]
async fn a_second_lab_with_the_same_key_waits_for_the_first_to_go_and_never_takes_its_place() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let (first, second) = (TestLab::new(&identity), TestLab::new(&identity));
    let link = first.connect(0, &worker).await;
    let refused = second.dialer.connect(WorkerId(0), &worker.address, worker.fingerprint).await;
    let Err(ConnectError::Led { reason, .. }) = refused else { panic!("expected a refusal") };
    assert!(reason.contains("with the same key"), "{reason}");
    assert!(link.ping().await.is_ok(), "the first lab goes on");
    let next = second.dialer.connect(WorkerId(0), &worker.address, worker.fingerprint);
    let ends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        link.close();
    };
    let (next, ()) = tokio::join!(next, ends);
    assert!(next.unwrap().ping().await.is_ok(), "it leads now");
}

#[tokio::test]
async fn a_wrong_fingerprint_is_refused_and_both_are_named() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let lab = TestLab::new(&identity);
    let noted = Digest([9; 32]);
    let refused = lab.dialer.connect(WorkerId(0), &worker.address, noted).await;
    let sentence = refused.err().unwrap().to_string();
    assert!(sentence.contains(&noted.to_string()), "{sentence}");
    assert!(sentence.contains(&worker.fingerprint.to_string()), "{sentence}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_from_silence() {
    let lab = TestLab::new(&Identity::generate().unwrap());
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let refused = lab.dialer.connect(WorkerId(0), &free, Digest([1; 32])).await;
    assert!(matches!(refused, Err(ConnectError::NobodyListens(_))), "{:?}", refused.err());
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let refused = lab.dialer.connect(WorkerId(0), &address, Digest([1; 32])).await;
    assert!(matches!(refused, Err(ConnectError::TimedOut { .. })), "{:?}", refused.err());
    let refused = lab.dialer.connect(WorkerId(0), "no address", Digest([1; 32])).await;
    assert!(refused.err().unwrap().to_string().contains("write HOST:PORT"));
}

#[tokio::test]
async fn a_transfer_that_broke_off_goes_on_where_it_ended() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let lab = TestLab::new(&identity);
    let mut bytes = tiny_bytes(16, 2).to_vec();
    bytes.resize(16 << 20, b' ');
    let network = Bytes::from(bytes);
    let link = lab.connect(0, &worker).await;
    let some_arrived = Notify::new();
    let progress = |done: u64, _| {
        if done > 0 {
            some_arrived.notify_one();
        }
    };
    tokio::select! {
        _ = link.offer_network(offer(&network), network.clone(), progress) => panic!("it should be cut off"),
        () = some_arrived.notified() => link.close(),
    }
    let link = lab.connect(0, &worker).await;
    let mut held = Vec::new();
    link.offer_network(offer(&network), network.clone(), |done, _| held.push(done)).await.unwrap();
    assert!(held[0] > 0 && held[0] < network.len() as u64, "it went on from {}", held[0]);
    assert_eq!(held.last(), Some(&(network.len() as u64)));
    assert_eq!(files_in(&worker.networks()), 1);
    let mut held = Vec::new();
    link.offer_network(offer(&network), network.clone(), |done, _| held.push(done)).await.unwrap();
    assert_eq!(held, [network.len() as u64], "nothing is sent twice");
}

#[tokio::test]
async fn a_network_that_is_none_is_refused_with_the_engines_sentence() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let lab = TestLab::new(&identity);
    let link = lab.connect(0, &worker).await;
    let wrong = Bytes::from_static(b"something else");
    let refused = link.offer_network(offer(&wrong), wrong, |_, _| {}).await;
    assert_eq!(refused, Err(AskError::Refused("it is no tiny network".to_owned())));
    let right = tiny_bytes(16, 2);
    let cuts = link.offer_network(offer(&right), right, |_, _| {}).await.expect("the worker goes on");
    assert_eq!(
        cuts.iter().map(|cut| cut.rows).collect::<Vec<_>>(),
        [16; 3],
        "it says how it divides the network"
    );
}

#[tokio::test]
async fn a_share_beyond_the_memory_budget_is_refused_and_a_smaller_one_is_not() {
    let identity = Identity::generate().unwrap();
    let memory = Some(45 << 20);
    let setup = || Setup { memory, ..Setup::default() };
    let workers = ["A", "B"].map(|name| Worker::start(name, Some(identity.fingerprint()), setup()));
    let lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(512, 4)).await;
    let network = chain(512, 4);
    let refused = links[0].prepare(PartitionId(1), &partition(&network, "0-3:A", 2)).await;
    let Err(AskError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("45 MiB") && reason.contains("--memory"), "{reason}");
    let fits = links[0].prepare(PartitionId(2), &partition(&network, "0-3:=", 2)).await.unwrap();
    assert!(fits.bytes < 45 << 20);
}

#[tokio::test]
async fn throttle_and_link_are_acknowledged_and_end_with_the_lab() {
    let identity = Identity::generate().unwrap();
    let emulation = Some(preset("zero2").unwrap());
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup { emulation, ..Setup::default() });
    let lab = TestLab::new(&identity);
    let link = lab.connect(0, &worker).await;
    link.throttle(25.0).await.unwrap();
    link.set_link(slow_link(8.0)).await.unwrap();
    let status = link.status().await.unwrap();
    assert_eq!((status.throttle_percent, status.link), (25.0, slow_link(8.0)));
    assert!(matches!(link.throttle(0.0).await, Err(AskError::Protocol(_))));
    link.close();
    // Whoever leads next finds everything as the worker was started.
    let link = lab.connect(0, &worker).await;
    let status = link.status().await.unwrap();
    assert_eq!((status.throttle_percent, status.link.rate_mbps), (100.0, Some(40.0)));
    let pong = link.ping().await.unwrap();
    assert!(pong.rtt_us >= 3000, "the emulated delay counts: {} µs", pong.rtt_us);
}

#[tokio::test]
async fn a_slow_device_on_a_slow_link_computes_the_same() {
    let identity = Identity::generate().unwrap();
    let emulation = |name: &str| Some(preset(name).unwrap());
    let start = |name: &str, device: &str| {
        Worker::start(
            name,
            Some(identity.fingerprint()),
            Setup { emulation: emulation(device), ..Setup::default() },
        )
    };
    let workers = [start("A", "pi4"), start("B", "zero2")];
    let mut lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(32, 4)).await;
    let network = chain(32, 4);
    let plan = partition(&network, "0:=/1-2:20,12/3:=", 2);
    let schedule = Schedule::new(&network, &plan);
    for link in &links {
        link.prepare(PartitionId(1), &plan).await.unwrap();
    }
    lab.send_input(&network, &links, &schedule, 1, 1, &picture(32));
    assert_eq!(lab.gather(&network, 1).await, single(&network, &picture(32)));
}

#[tokio::test]
async fn a_paced_transfer_takes_at_least_its_bytes_by_the_rate() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let mut lab = TestLab::new(&identity);
    let links = lab.lead(std::slice::from_ref(&worker), &tiny_bytes(32, 2)).await;
    links[0].set_link(slow_link(4.0)).await.unwrap();
    let network = chain(32, 2);
    let plan = partition(&network, "0-1:A", 1);
    links[0].prepare(PartitionId(1), &plan).await.unwrap();
    lab.send_input(&network, &links, &Schedule::new(&network, &plan), 1, 1, &picture(32));
    let sent = lab
        .expect("sent span", |_, event| match event {
            FromWorker::Sent(span) => Some(span),
            _ => None,
        })
        .await;
    let least_us = (sent.bytes * 8 / 4) as f64;
    assert!((sent.end_us - sent.start_us) as f64 >= 0.99 * least_us, "{sent:?}");
}

#[tokio::test]
async fn links_between_all_nodes_can_be_measured() {
    let identity = Identity::generate().unwrap();
    let workers = ["A", "B"].map(|name| Worker::start(name, Some(identity.fingerprint()), Setup::default()));
    let lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(16, 2)).await;
    let there = links[0].measure(200_000).await.unwrap();
    let back = links[0].measure_to(Node::Lab, 200_000).await.unwrap();
    let across = links[0].measure_to(Node::Worker(WorkerId(1)), 200_000).await.unwrap();
    for sample in [there, back, across] {
        assert!(sample.rtt_us > 0 && sample.rate_mbps.is_some_and(|rate| rate > 0.0), "{sample:?}");
    }
    let pong = links[0].ping().await.unwrap();
    assert!(pong.offset_us.abs_diff(there.offset_us) < 200_000, "{pong:?} {there:?}");
    let nobody = links[0].measure_to(Node::Worker(WorkerId(5)), 0).await;
    assert_eq!(nobody, Err(AskError::Refused("there is no link to F".to_owned())));
}

#[tokio::test]
async fn workers_with_one_key_are_not_introduced() {
    let identity = Identity::generate().unwrap();
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup::default());
    let lab = TestLab::new(&identity);
    let link = lab.connect(0, &worker).await;
    let mut twin = link.as_peer();
    twin.worker = WorkerId(1);
    let refused = tokio::time::timeout(Duration::from_secs(5), link.introduce(vec![twin])).await.unwrap();
    let Err(AskError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("A") && reason.contains("B") && reason.contains("--state"), "{reason}");
}

#[tokio::test]
async fn a_calibration_times_every_layer_of_every_strip_and_counts_an_emulated_device_slower() {
    let identity = Identity::generate().unwrap();
    let lab = TestLab::new(&identity);
    let emulation = Some(preset("3").unwrap());
    let worker = Worker::start("A", Some(identity.fingerprint()), Setup { emulation, ..Setup::default() });
    let link = lab.connect(0, &worker).await;
    assert_eq!(link.hello().engine, "tiny");
    let calibrated = link.calibrate(Duration::from_secs(5)).await.unwrap();
    assert_eq!(calibrated.networks, 1);
    // Three layers with all twelve rows, then the rows that rows 4 to 7 of the second one need.
    let rows: Vec<(u32, u32)> = calibrated.layers.iter().map(|timed| (timed.layer, timed.rows)).collect();
    assert_eq!(rows, [(0, 12), (1, 12), (2, 12), (1, 3)]);
    let sum: f64 = calibrated.layers.iter().map(|timed| f64::from(timed.ms)).sum();
    assert!(sum > 0.0 && calibrated.layers.iter().all(|timed| timed.ms >= 0.0));
    link.close();
}

#[tokio::test]
async fn a_calibration_is_refused_while_a_run_waits_for_rows() {
    let identity = Identity::generate().unwrap();
    let lab = TestLab::new(&identity);
    let workers = ["A", "B"].map(|name| Worker::start(name, Some(identity.fingerprint()), Setup::default()));
    let bytes = tiny_bytes(20, 4);
    let links = lab.lead(&workers, &bytes).await;
    let network = chain(20, 4);
    let plan = partition(&network, "0-1:=/2-3:=", 2);
    for link in &links {
        link.prepare(PartitionId(1), &plan).await.unwrap();
    }
    let schedule = Schedule::new(&network, &plan);
    let picture = picture(20);
    // Only A is given its rows: it computes them and then waits for those of B.
    let to_a = Schedule { input: schedule.input[..1].to_vec(), ..schedule };
    lab.send_input(&network, &links, &to_a, 1, 1, &picture);
    let refused = async {
        loop {
            match links[0].calibrate(Duration::from_millis(1)).await {
                Err(AskError::Refused(reason)) => return reason,
                other => assert!(other.is_ok(), "{other:?}"),
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    assert!(reason.contains("between runs"), "{reason}");
}

#[tokio::test]
async fn workers_that_listen_at_addresses_of_different_kinds_are_linked() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return; // A machine without IPv6 has one kind only.
    }
    let identity = Identity::generate().unwrap();
    for kinds in [["127.0.0.1:0", "[::1]:0"], ["[::1]:0", "127.0.0.1:0"]] {
        let workers = kinds.map(|listen| {
            let setup = Setup { listen: Some(listen), ..Setup::default() };
            Worker::start(listen, Some(identity.fingerprint()), setup)
        });
        let lab = TestLab::new(&identity);
        let links = lab.lead(&workers, &tiny_bytes(16, 2)).await;
        let across = links[0].measure_to(Node::Worker(WorkerId(1)), 0).await;
        assert!(across.is_ok(), "{kinds:?}: {across:?}");
    }
}
