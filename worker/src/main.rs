//! The program `worker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    collab_worker::program::run(std::env::args_os().skip(1))
}
