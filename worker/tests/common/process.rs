//! Workers as processes of their own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use collab_worker::program::Announcement;

/// The program, on any free port, with its files in `state`.
pub(crate) fn worker(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
    command.args(["--listen", "127.0.0.1:0", "--state"]).arg(state).stdin(Stdio::null());
    command
}

/// A running worker, killed at the latest with this.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) at: Announcement,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let at = Announcement::parse(&line).unwrap_or_else(|| panic!("the first line is {line:?}"));
        Self { child, stdout, at }
    }

    pub(crate) fn address(&self) -> String {
        self.at.address.to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
