//! The program, with a folder of its own.

use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// `collab-tui` with its data in `folder`.
pub fn program(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_collab-tui"));
    command.env("XDG_DATA_HOME", folder.path()).env("HOME", folder.path()).current_dir(folder.path());
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end; the exit code and what it said to whom.
pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program was built");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}
