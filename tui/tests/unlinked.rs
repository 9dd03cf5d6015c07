//! Workers that the lab reaches but that do not reach each other, as behind a firewall.
#![cfg(unix)]

mod devices;
mod program;
mod relay;

use devices::{Process, Worker};
use program::{program, run};
use relay::Relay;
use tempfile::TempDir;

/// Three workers that the lab of `home` knows, and the way that everybody takes to the second.
fn fleet(home: &TempDir) -> ([Worker; 3], Relay) {
    let started = ["one", "two", "three"].map(|name| Worker::pairing(&home.path().join(name)));
    let relay = Relay::to(&started[1].0.address);
    let ways = [&started[0].0.address, &relay.address, &started[2].0.address];
    for ((_, code), way) in started.iter().zip(ways) {
        let (exit, _, complaint) = run(program(home).args(["pair", way, "--code", code]));
        assert_eq!(exit, Some(0), "{complaint}");
    }
    (started.map(|(worker, _)| worker), relay)
}

fn lab(home: &TempDir, workers: &[Worker; 3], relay: &Relay) -> Process {
    let mut command = program(home);
    command.args(["live", "--model", "tiny_face_detector", "--planner", "equal", "--no-train", "--json"]);
    for way in [&workers[0].address, &relay.address, &workers[2].address] {
        command.args(["--worker", way]);
    }
    Process::start(&mut command)
}

fn is(kind: &str, worker: Option<usize>) -> impl Fn(&str) -> bool {
    let kind = format!(r#""event":"{kind}""#);
    let worker = worker.map(|worker| format!(r#""worker":{worker}"#));
    move |line| line.contains(&kind) && worker.iter().all(|worker| line.contains(worker))
}

fn ends_well(lab: Process) {
    let (exit, summary) = lab.stop();
    assert_eq!(exit, Some(0), "everybody is back: {summary}");
    assert!(summary.contains(r#""lost":0,"#) && summary.contains(r#""verdict":"bit-equal""#), "{summary}");
}

#[test]
fn of_two_workers_that_cannot_reach_each_other_one_is_left_out_and_taken_in_when_they_can() {
    let home = TempDir::new().expect("a folder");
    let (workers, relay) = fleet(&home);
    relay.bar(Some(&workers[0].address));
    let lab = lab(&home, &workers, &relay);
    let lost = lab.wait_for("the loss", is("worker_lost", None));
    assert!(is("worker_lost", Some(1))(&lost), "the last of the two: {lost}");
    assert!(lost.contains("cannot reach each other") && lost.contains(&workers[0].address), "{lost}");
    for worker in [0, 2] {
        lab.wait_for("the others", is("worker_ready", Some(worker)));
    }
    lab.wait_for("a run", is("run_done", None));
    relay.bar(None);
    lab.wait_for("its return", |line| {
        assert!(
            !line.contains("lost its link"),
            "that a worker which is left out has no links is no news: {line}"
        );
        is("worker_ready", Some(1))(line)
    });
    lab.wait_for("it alone", is("single_measured", Some(1)));
    ends_well(lab);
}

#[test]
fn a_run_whose_rows_cannot_pass_between_two_workers_begins_again_without_one_of_them() {
    let home = TempDir::new().expect("a folder");
    let (workers, relay) = fleet(&home);
    let lab = lab(&home, &workers, &relay);
    for worker in 0..3 {
        lab.wait_for("a worker measured alone", is("single_measured", Some(worker)));
    }
    for what in ["all measured together", "a planned partition"] {
        lab.wait_for(what, is("partition_switched", None));
    }
    lab.wait_for("a run", is("run_done", None));
    relay.bar(Some(&workers[0].address));
    let lost = lab.wait_for("the loss", is("worker_lost", None));
    assert!(is("worker_lost", Some(1))(&lost) && lost.contains("cannot reach each other"), "{lost}");
    lab.wait_for("a run without it", is("run_done", None));
    relay.bar(None);
    lab.wait_for("its return", is("worker_ready", Some(1)));
    lab.wait_for("a run with it", is("run_done", None));
    ends_well(lab);
}

#[test]
fn two_workers_with_one_key_are_named() {
    let home = TempDir::new().expect("a folder");
    let (worker, code) = Worker::pairing(&home.path().join("worker"));
    let relay = Relay::to(&worker.address);
    let (exit, _, complaint) = run(program(&home).args(["pair", &worker.address, "--code", &code]));
    assert_eq!(exit, Some(0), "{complaint}");
    let (exit, _, complaint) = run(program(&home).args(["pair", &relay.address]));
    assert_eq!(exit, Some(0), "{complaint}");
    let arguments = ["live", "--worker", &worker.address, "--worker", &relay.address, "--no-record"];
    let (exit, _, complaint) = run(program(&home).args(arguments));
    assert_eq!(exit, Some(1), "{complaint}");
    for part in [&worker.address, &relay.address, "the same key"] {
        assert!(complaint.contains(part), "{part} is not in: {complaint}");
    }
}
