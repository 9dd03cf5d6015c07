//! The program `worker` as a process.
#![allow(clippy::unwrap_used)] // a test whose help fails has failed

mod common;

use std::io::{BufRead, Read};
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use collab_core::id::WorkerId;
use collab_worker::client::{ConnectError, Dialer, FromWorker, pair};
use collab_worker::keys::{AuthorizedKeys, Identity, KnownWorkers};
use common::process::{Running, worker};
use tokio::time::timeout;

fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_port_in_use_is_an_error_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    let refused = output(command.args(["--listen", &address, "--state"]).arg(folder.path()));
    assert_eq!(refused.status.code(), Some(1));
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(sentence.contains(&format!("{address} is in use by another program")), "{sentence}");
    assert!(refused.stdout.is_empty(), "nothing is announced");
}

#[test]
fn usage_and_help_have_their_own_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code, says) in [
        (vec!["--emulate", "pi9"], 2, "pi5, pi4, pi3, zero2"),
        (vec!["--memory", "lots"], 2, "512MiB"),
        (vec!["--listen", "nowhere"], 2, "--listen"),
        (vec!["--help"], 0, "--stdin-lifeline"),
        (vec!["--version"], 0, "worker"),
    ] {
        let told = output(worker(folder.path()).args(&arguments));
        let text = [told.stdout, told.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(told.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}

#[test]
fn it_stops_in_order_when_stdin_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(worker(folder.path()).arg("--stdin-lifeline").stdin(Stdio::piped()));
    drop(running.child.stdin.take());
    let begun = Instant::now();
    let code = loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            break status.code();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_killed_worker_is_noticed_within_about_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate().unwrap();
    AuthorizedKeys::at(folder.path().join("authorized")).add(identity.fingerprint(), "").unwrap();
    let mut running = Running::start(worker(folder.path()).args(["--name", "pi 4", "--emulate", "pi4"]));
    let (dialer, mut inbox) = Dialer::new(identity, Instant::now()).unwrap();
    let link = dialer.connect(WorkerId(2), &running.address(), running.at.fingerprint).await.unwrap();
    assert_eq!(link.hello().name, "pi 4");
    assert_eq!(link.hello().emulation.as_ref().map(|emulation| emulation.slowdown), Some(4.0));
    link.ping().await.unwrap();
    running.child.kill().unwrap();
    let killed = Instant::now();
    let closed = async {
        loop {
            if let (WorkerId(2), FromWorker::Closed { reason }) = inbox.recv().await.unwrap() {
                return reason;
            }
        }
    };
    let reason = timeout(Duration::from_secs(5), closed).await.expect("it is noticed");
    assert!(reason.contains("nothing was heard"), "{reason}");
    // Twice the second, for a machine that is busy with other things.
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    assert!(link.ping().await.unwrap_err().to_string().contains("connection to the worker ended"));
}

#[tokio::test]
async fn a_lab_is_paired_with_the_printed_code_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(worker(folder.path()).args(["--name", "attic", "--pair"]));
    let mut line = String::new();
    running.stdout.read_line(&mut line).unwrap();
    let code = line.strip_prefix("pairing code ").unwrap().split(' ').next().unwrap().to_owned();
    let (identity, stranger) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let wrong = pair(&stranger, &running.address(), Some("AAAA-BBBB-CCCC")).await;
    assert!(matches!(&wrong, Err(ConnectError::Refused { reason, .. }) if reason.contains("code is wrong")));
    assert!(matches!(pair(&stranger, &running.address(), Some("?")).await, Err(ConnectError::Code(_))));
    let unknown = pair(&identity, &running.address(), None).await;
    assert!(
        matches!(unknown, Err(ConnectError::Refused { .. })),
        "without a code it must be admitted already"
    );
    let paired = pair(&identity, &running.address(), Some(&code)).await.unwrap();
    assert_eq!((paired.fingerprint, paired.name.as_str()), (running.at.fingerprint, "attic"));
    let again = pair(&stranger, &running.address(), Some(&code)).await;
    assert!(matches!(again, Err(ConnectError::Refused { .. })), "only once");
    let known = KnownWorkers::at(folder.path().join("known"));
    known.note(&running.address(), paired.fingerprint, &paired.name).unwrap();
    let pin = known.find(&running.address()).unwrap().unwrap();
    let (dialer, _inbox) = Dialer::new(identity, Instant::now()).unwrap();
    assert!(dialer.connect(WorkerId(0), &running.address(), pin).await.is_ok());
    running.child.kill().unwrap();
    let mut rest = String::new();
    running.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "nothing else is printed");
}

#[tokio::test]
async fn its_key_stays_the_same_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::start(&mut worker(folder.path()));
    let fingerprint = first.at.fingerprint;
    drop(first);
    assert_eq!(Running::start(&mut worker(folder.path())).at.fingerprint, fingerprint);
}
