//! A lab and its workers as processes that find each other: pairing, losing a worker, getting it back.
#![cfg(unix)]

mod devices;
mod program;

use std::cell::{Cell, RefCell};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use devices::{Lab, Process, Worker, pair};
use program::{program, run};
use tempfile::TempDir;

/// A worker that the lab of `home` is paired with.
fn paired(home: &TempDir, name: &str) -> Worker {
    let (worker, code) = Worker::pairing(&home.path().join(name));
    pair(home, &worker.address, &code);
    worker
}

fn lab(home: &TempDir, workers: &[&Worker]) -> Lab {
    let addresses: Vec<&str> = workers.iter().map(|worker| worker.address.as_str()).collect();
    Lab::lead(home, &addresses)
}

/// Ends a process without a farewell, as a power cut does.
fn kill(process: &mut Process) {
    process.child.kill().expect("it was running");
    let exit = process.child.wait().expect("it was started here");
    assert_eq!(exit.code(), None, "it ended by itself before");
}

/// A worker that was away is ready and measured alone, and runs go on.
fn takes_in(lab: &Lab, worker: usize) {
    lab.event_of("worker_ready", worker, "its coming");
    lab.event_of("single_measured", worker, "it alone");
    lab.event("run_done", "a run after that");
}

/// Two workers and their lab, in which the second was killed while both ran a partition, and is started again.
fn killed_and_started_again(home: &TempDir) -> (Worker, Worker, Lab) {
    let (stays, mut goes) = (paired(home, "stays"), paired(home, "goes"));
    let lab = lab(home, &[&stays, &goes]);
    lab.wait_until_planned(2);
    kill(&mut goes.process);
    lab.event("worker_lost", "the loss");
    lab.event("run_started", "the run's new beginning");
    lab.event("run_done", "a run without it");
    let back = Worker::start(&home.path().join("goes"), &goes.address, &[]);
    assert_eq!(back.address, goes.address);
    lab.event_of("worker_ready", 1, "its return");
    (stays, back, lab)
}

#[test]
fn a_worker_that_is_killed_and_started_again_is_used_again_and_no_run_is_lost() {
    let home = TempDir::new().expect("a folder");
    let (_stays, _back, lab) = killed_and_started_again(&home);
    lab.event("partition_switched", "the switch back");
    lab.event("run_done", "a run with it");
    lab.ends(0);
}

/// When an event was, and its number `field`, in µs and as it is.
fn timed(line: &str, field: &str) -> (u64, f64) {
    let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
    (event["at"].as_u64().expect("µs"), event[field].as_f64().unwrap_or_default())
}

#[test]
fn a_partition_that_is_chosen_while_runs_go_on_is_rehearsed_between_two_of_them() {
    let home = TempDir::new().expect("a folder");
    let (_stays, _back, lab) = killed_and_started_again(&home);
    let (begun, rehearsed) = (Cell::new(0), RefCell::new(Vec::new()));
    lab.0.wait_for("the switch back", |line| {
        let is = |kind: &str| line.contains(&format!(r#""event":"{kind}""#));
        if is("run_started") {
            begun.set(timed(line, "run").0);
            assert!(rehearsed.borrow().is_empty(), "a run began before the switch: {line}");
        } else if is("run_done") {
            // Its reports may come when workers rehearse already.
            let ended = begun.get() + (1e3 * timed(line, "ms").1) as u64;
            assert!(rehearsed.borrow().iter().all(|at| *at >= ended), "{rehearsed:?} µs: {line}");
        } else if is("partition_rehearsed") {
            rehearsed.borrow_mut().push(timed(line, "worker").0);
        }
        is("partition_switched")
    });
    assert_eq!(rehearsed.borrow().len(), 2, "by both workers");
    lab.ends(0);
}

#[test]
fn a_worker_that_is_lost_while_it_is_given_the_network_is_used_when_it_is_back() {
    let home = TempDir::new().expect("a folder");
    let (stays, mut goes) = (paired(&home, "stays"), paired(&home, "goes"));
    let lab = lab(&home, &[&stays, &goes]);
    lab.event_of("worker_joined", 1, "both");
    kill(&mut goes.process);
    lab.event("worker_lost", "the loss");
    let _back = Worker::start(&home.path().join("goes"), &goes.address, &[]);
    takes_in(&lab, 1);
    lab.ends(0);
}

#[test]
fn a_worker_that_does_not_answer_at_the_start_is_named_and_used_once_it_does() {
    let home = TempDir::new().expect("a folder");
    let (mut late, there) = (paired(&home, "late"), paired(&home, "there"));
    kill(&mut late.process);
    let live = ["live", "--worker", &late.address, "--worker", "127.0.0.1:1", "--no-record"];
    let (exit, _, complaint) = run(program(&home).args(live));
    assert!(exit == Some(1) && complaint.contains("the key of the worker at 127.0.0.1:1"), "{complaint}");
    let lab = lab(&home, &[&late, &there]);
    let silent = lab.event_of("worker_lost", 0, "who is missing");
    assert!(silent.contains("start the worker there"), "{silent}");
    lab.event_of("single_measured", 1, "the other alone");
    lab.event("run_done", "a run of the other");
    let _late = Worker::start(&home.path().join("late"), &late.address, &[]);
    lab.event_of("worker_calibrated", 0, "what its work costs");
    takes_in(&lab, 0);
    lab.ends(0);
}

#[test]
fn a_worker_that_joins_late_is_sounded_out_with_the_others_between_runs_of_what_they_run() {
    let home = TempDir::new().expect("a folder");
    let (mut late, there) = (paired(&home, "late"), paired(&home, "there"));
    kill(&mut late.process);
    let lab = lab(&home, &[&late, &there]);
    lab.event_of("worker_lost", 0, "who is missing");
    lab.event("run_done", "a run of the other");
    let _late = Worker::start(&home.path().join("late"), &late.address, &[]);
    lab.event_of("single_measured", 0, "it alone");
    let (rehearsed, ran) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let told = lab.0.wait_for("all measured together", |line| {
        let is = |kind: &str| line.contains(&format!(r#""event":"{kind}""#));
        if is("partition_rehearsed") {
            rehearsed.borrow_mut().push((timed(line, "partition").1, timed(line, "worker").1));
        } else if is("partition_switched") {
            ran.borrow_mut().push(timed(line, "partition").1);
        }
        is("proposal_withdrawn") && line.contains("it only measured all workers together")
    });
    let (sounding, rehearsed) = (timed(&told, "partition").1, rehearsed.into_inner());
    for worker in [0.0, 1.0] {
        assert!(rehearsed.contains(&(sounding, worker)), "{rehearsed:?} of partition {sounding}");
    }
    assert!(!ran.borrow().contains(&sounding), "it is rehearsed, and never runs");
    lab.event("run_done", "a run after that");
    lab.ends(0);
}

#[test]
fn a_lab_that_nobody_answers_ends_and_says_what_to_do_for_each() {
    let home = TempDir::new().expect("a folder");
    let gone = ["one", "two"].map(|name| paired(&home, name).address.clone());
    let live = ["live", "--worker", &gone[0], "--worker", &gone[1], "--no-record", "--headless"];
    let (exit, _, complaint) = run(program(&home).args(live));
    assert_eq!(exit, Some(1), "{complaint}");
    for address in gone {
        let part = format!("start the worker there with worker --listen {address}");
        assert!(complaint.contains(&part), "{part} is not in: {complaint}");
    }
}

#[test]
fn a_worker_that_does_not_come_back_is_exit_code_3_and_the_others_go_on() {
    let home = TempDir::new().expect("a folder");
    let (stays, mut goes) = (paired(&home, "stays"), paired(&home, "goes"));
    let lab = lab(&home, &[&stays, &goes]);
    lab.wait_until_planned(2);
    kill(&mut goes.process);
    lab.event("worker_lost", "the loss");
    lab.event("run_done", "a run without it");
    lab.0.wait_for("a note", |line| line.contains("B is not back yet") && line.contains("nobody listens at"));
    lab.ends(3);
    // The one that stays is free for the next lab.
    let mut next = self::lab(&home, &[&stays]);
    next.event("run_done", "a run");
    kill(&mut next.0);
}

/// Three workers measured alone, of which the last is killed; `until` something else has come.
fn killed_while_measured_together(until: Option<&str>) {
    let home = TempDir::new().expect("a folder");
    let stay = ["one", "two"].map(|name| paired(&home, name));
    let mut goes = paired(&home, "goes");
    let lab = lab(&home, &[&stay[0], &stay[1], &goes]);
    for _ in 0..3 {
        lab.event("single_measured", "a worker measured alone");
    }
    until.into_iter().for_each(|kind| drop(lab.event(kind, kind)));
    kill(&mut goes.process);
    lab.event("worker_lost", "the loss");
    lab.wait_until_planned_anew();
    lab.ends(3);
}

#[test]
fn a_worker_that_dies_before_all_are_measured_together_costs_no_run() {
    killed_while_measured_together(None);
}

#[test]
fn a_worker_that_dies_while_all_are_measured_together_costs_no_run() {
    killed_while_measured_together(Some("run_started"));
}

#[test]
fn whoever_cannot_be_used_is_named_with_what_to_do() {
    let home = TempDir::new().expect("a folder");
    let (worker, code) = Worker::pairing(&home.path().join("worker"));
    let at = worker.address.as_str();
    let last = code.chars().last().expect("a code");
    let wrong = format!("{}{}", &code[..code.len() - 1], if last == 'A' { 'B' } else { 'A' });
    let complaint = |arguments: &[&str]| {
        let (exit, _, complaint) = run(program(&home).args(arguments));
        (exit, complaint)
    };
    let live = |model: &str, input: &str| {
        complaint(&["live", "--worker", at, "--model", model, "--input", input, "--for", "1s", "--no-record"])
    };
    let says = |(exit, complaint): (Option<i32>, String), code: i32, parts: &[&str]| {
        assert_eq!(exit, Some(code), "{complaint}");
        assert_eq!(complaint.lines().count(), code as usize, "one sentence: {complaint}");
        parts.iter().for_each(|part| assert!(complaint.contains(part), "{part} is not in: {complaint}"));
    };
    says(live("upconv7", "noise"), 1, &["is not known", "collab-tui pair"]);
    says(complaint(&["pair", at]), 1, &["does not know your key", "--pair"]);
    says(complaint(&["pair", at, "--code", "ABC"]), 1, &["'ABC' is no pairing code"]);
    says(complaint(&["pair", at, "--code", &wrong]), 1, &["code"]);
    says(complaint(&["pair", "127.0.0.1:1", "--code", &code]), 1, &["nobody listens at 127.0.0.1:1"]);
    says(complaint(&["pair", "nowhere", "--code", &code]), 1, &["write HOST:PORT"]);
    says(complaint(&["pair", at, "--code", &code]), 0, &[]);
    says(live("upconv7", "nothing.png"), 1, &["nothing.png"]);
    std::fs::write(home.path().join("broken.png"), b"\x89PNG\r\n\x1a\nno more").expect("a file");
    says(live("upconv7", "broken.png"), 1, &["broken.png"]);
    std::fs::write(home.path().join("half.onnx"), [8, 7, 0x3a, 0xff, 0xff, 1]).expect("a file");
    says(live("half.onnx", "noise"), 1, &["half.onnx"]);
    says(live("no_such_network", "noise"), 1, &["no_such_network"]);
}

#[test]
fn a_worker_without_the_memory_for_a_network_says_so_and_the_others_go_on() {
    let home = TempDir::new().expect("a folder");
    let worker = paired(&home, "small");
    let at = worker.address.clone();
    drop(worker);
    let small = Worker::start(&home.path().join("small"), &at, &["--memory", "16MiB"]);
    let arguments = ["live", "--worker", &small.address, "--model", "vgg16", "--no-record", "--for", "1s"];
    let (exit, _, complaint) = run(program(&home).args(arguments));
    assert_eq!(exit, Some(1), "{complaint}");
    let says = |said: &str| said.contains("the network alone needs about") && said.contains("more --memory");
    assert!(says(&complaint), "{complaint}");
    let large = paired(&home, "large");
    let lab = lab(&home, &[&small, &large]);
    let refusal = lab.event("worker_lost", "the refusal");
    assert!(says(&refusal), "{refusal}");
    lab.event("run_done", "a run without it");
    lab.ends(3);
}

#[test]
fn a_lab_whose_only_worker_is_lost_waits_for_it_and_goes_on() {
    let home = TempDir::new().expect("a folder");
    let mut only = paired(&home, "only");
    let lab = self::lab(&home, &[&only]);
    lab.event("run_done", "a run");
    kill(&mut only.process);
    lab.event("worker_lost", "the loss");
    let _back = Worker::start(&home.path().join("only"), &only.address, &[]);
    lab.event("worker_ready", "its return");
    lab.event("run_done", "a run");
    let (exit, summary) = lab.0.stop();
    assert_eq!(exit, Some(0), "{summary}");
    assert!(summary.contains(r#""verdict":"bit-equal""#), "{summary}");
}

/// The demo without a screen, which would go on for ever.
fn endless(home: &TempDir) -> std::process::Command {
    let mut command = program(home);
    command.args(["demo", "--model", "tiny_face_detector", "--devices", "2,2", "--no-record", "--json"]);
    command
}

#[test]
fn a_lab_ends_well_when_whoever_reads_its_report_has_read_enough() {
    let home = TempDir::new().expect("a folder");
    let mut lab = endless(&home).stdout(Stdio::piped()).spawn().expect("the program was built");
    let mut line = String::new();
    let mut output = BufReader::new(lab.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("a line");
    assert!(line.contains("session_started"), "{line}");
    drop(output);
    assert_eq!(lab.wait().expect("it was started here").code(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_lab_whose_report_finds_no_room_ends_with_an_error() {
    let home = TempDir::new().expect("a folder");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let ended = endless(&home).stdout(full).stderr(Stdio::piped()).spawn().and_then(Child::wait_with_output);
    let ended = ended.expect("the program was built");
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), complaint.contains("No space left")), (Some(1), true), "{complaint}");
}
