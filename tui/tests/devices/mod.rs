//! Workers and a lab as processes of their own, which know each other by pairing.

mod lab;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub use lab::{Lab, pair};

/// How long anything is waited for: machines that run tests may be busy with much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process whose lines are read as they come; killed at the latest with this.
pub struct Process {
    /// To be ended or waited for.
    pub child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program was built");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The first further line that satisfies `condition`.
    ///
    /// # Panics
    /// If the process ends, or much time passes, before it says so.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if condition(&line) => return line,
                Ok(line) => said.push(line),
                Err(_) => panic!("{what} never came, only:\n{}", said.join("\n")),
            }
        }
    }

    /// Asks it to end, and gives its exit code and its last line.
    pub fn stop(mut self) -> (Option<i32>, String) {
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(kill.expect("sh").success());
        self.end()
    }

    /// Waits until it ends by itself; its exit code and its last line.
    pub fn end(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        // The line's other end is gone when the process is.
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            last = line;
        }
        (self.child.wait().expect("it was started here").code(), last)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker with its key and networks in `state`.
pub struct Worker {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: String,
}

impl Worker {
    /// Starts a worker at `address` (port 0: any), slowed down twofold.
    pub fn start(state: &Path, address: &str, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_collab-tui"));
        command.args(["worker", "--listen", address, "--emulate", "2", "--state"]).arg(state).args(more);
        let process = Process::start(command.stdin(Stdio::null()));
        let line = process.wait_for("where it listens", |line| line.starts_with("listening "));
        let address = line.split(' ').nth(1).expect("an address").to_owned();
        Self { process, address }
    }

    /// Starts one that anybody may pair with who knows its code; gives the code too.
    pub fn pairing(state: &Path) -> (Self, String) {
        let worker = Self::start(state, "127.0.0.1:0", &["--pair"]);
        let line = worker.process.wait_for("a code", |line| line.starts_with("pairing code "));
        let code = line.split(' ').nth(2).expect("a code").to_owned();
        (worker, code)
    }
}
