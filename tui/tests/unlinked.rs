//! Workers that the lab reaches but that do not reach each other, as behind a firewall.
#![cfg(unix)]

mod devices;
mod program;
mod relay;

use devices::{Lab, Worker, pair};
use program::{program, run};
use relay::Relay;
use tempfile::TempDir;

/// Three workers that the lab of `home` knows, and the way that everybody takes to the second.
fn fleet(home: &TempDir) -> ([Worker; 3], Relay) {
    let started = ["one", "two", "three"].map(|name| Worker::pairing(&home.path().join(name)));
    let relay = Relay::to(&started[1].0.address);
    let ways = [&started[0].0.address, &relay.address, &started[2].0.address];
    started.iter().zip(ways).for_each(|((_, code), way)| pair(home, way, code));
    (started.map(|(worker, _)| worker), relay)
}

fn lab(home: &TempDir, workers: &[Worker; 3], relay: &Relay) -> Lab {
    Lab::lead(home, &[&workers[0].address, &relay.address, &workers[2].address])
}

#[test]
fn of_two_workers_that_cannot_reach_each_other_one_is_left_out_and_taken_in_when_they_can() {
    let home = TempDir::new().expect("a folder");
    let (workers, relay) = fleet(&home);
    relay.bar(Some(&workers[0].address));
    let lab = lab(&home, &workers, &relay);
    let lost = lab.event("worker_lost", "the loss");
    assert!(lost.contains(r#""worker":1"#), "the last of the two: {lost}");
    assert!(lost.contains("cannot reach each other") && lost.contains(&workers[0].address), "{lost}");
    for worker in [0, 2] {
        lab.event_of("worker_ready", worker, "the others");
    }
    lab.event("run_done", "a run");
    relay.bar(None);
    lab.0.wait_for("its return", |line| {
        assert!(
            !line.contains("lost its link"),
            "that a worker which is left out has no links is no news: {line}"
        );
        line.contains(r#""event":"worker_ready","worker":1"#)
    });
    lab.event_of("single_measured", 1, "it alone");
    lab.ends(0);
}

#[test]
fn a_run_whose_rows_cannot_pass_between_two_workers_begins_again_without_one_of_them() {
    let home = TempDir::new().expect("a folder");
    let (workers, relay) = fleet(&home);
    let lab = lab(&home, &workers, &relay);
    lab.wait_until_planned(3);
    relay.bar(Some(&workers[0].address));
    let lost = lab.event("worker_lost", "the loss");
    assert!(lost.contains(r#""worker":1"#) && lost.contains("cannot reach each other"), "{lost}");
    lab.event("run_done", "a run without it");
    relay.bar(None);
    lab.event_of("worker_ready", 1, "its return");
    lab.event("run_done", "a run with it");
    lab.ends(0);
}

#[test]
fn two_workers_with_one_key_are_named() {
    let home = TempDir::new().expect("a folder");
    let (worker, code) = Worker::pairing(&home.path().join("worker"));
    let relay = Relay::to(&worker.address);
    pair(&home, &worker.address, &code);
    let (exit, _, complaint) = run(program(&home).args(["pair", &relay.address]));
    assert_eq!(exit, Some(0), "{complaint}");
    let arguments = ["live", "--worker", &worker.address, "--worker", &relay.address, "--no-record"];
    let (exit, _, complaint) = run(program(&home).args(arguments));
    assert_eq!(exit, Some(1), "{complaint}");
    for part in [&worker.address, &relay.address, "the same key"] {
        assert!(complaint.contains(part), "{part} is not in: {complaint}");
    }
}
