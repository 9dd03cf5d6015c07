//! A lab that leads workers, and what it reports.

use std::process::Command;

use tempfile::TempDir;

use super::Process;
use crate::program::{program, run};

/// Has the lab of `home` and the worker at `address`, which printed `code`, trust each other.
pub fn pair(home: &TempDir, address: &str, code: &str) {
    let (exit, said, complaint) = run(program(home).args(["pair", address, "--code", code]));
    assert_eq!(exit, Some(0), "{complaint}");
    assert!(said.contains("is trusted from now on"), "{said}");
}

/// A lab without a screen, as a process.
pub struct Lab(pub Process);

impl Lab {
    /// The lab of `home` leads the workers at these addresses, all of which get equal rows.
    pub fn lead(home: &TempDir, addresses: &[&str]) -> Self {
        let mut command: Command = program(home);
        command.args(["live", "--model", "tiny_face_detector", "--planner", "equal", "--json"]);
        for address in addresses {
            command.args(["--worker", address]);
        }
        Self(Process::start(&mut command))
    }

    /// The next event of this kind.
    pub fn event(&self, kind: &str, what: &str) -> String {
        let part = kind_of(kind);
        self.0.wait_for(what, |line| line.contains(&part))
    }

    /// The next event of this kind that a worker has.
    pub fn event_of(&self, kind: &str, worker: usize, what: &str) -> String {
        let parts = [kind_of(kind), format!(r#""worker":{worker}"#)];
        self.0.wait_for(what, |line| parts.iter().all(|part| line.contains(part)))
    }

    /// It has measured so many workers, alone and together, and runs what it planned for them.
    pub fn wait_until_planned(&self, workers: usize) {
        for _ in 0..workers {
            self.event("single_measured", "a worker measured alone");
        }
        self.wait_until_planned_anew();
    }

    /// It has measured workers together, and runs what it planned for them.
    pub fn wait_until_planned_anew(&self) {
        for what in ["all measured together", "a planned partition"] {
            self.event("partition_switched", what);
        }
        self.event("run_done", "a run");
    }

    /// Asked to end it does with this exit code, with no run lost and every output as it should be.
    pub fn ends(self, code: i32) {
        let (exit, summary) = self.0.stop();
        assert_eq!(exit, Some(code), "{summary}");
        for part in [r#""event":"summary""#, r#""lost":0,"#, r#""verdict":"bit-equal""#] {
            assert!(summary.contains(part), "{part} is not in {summary}");
        }
    }
}

fn kind_of(kind: &str) -> String {
    format!(r#""event":"{kind}""#)
}
