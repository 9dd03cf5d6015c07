//! `collab-tui`: an interactive lab for collaborative DNN inference on unlike devices.
//!
//! This file maps the command line to what does it, and results to exit codes: 0 well, 1 error, 2 usage,
//! 3 a worker was lost for good.

mod app;
mod bench;
mod cli;
mod contained;
mod folders;
mod headless;
mod inspect;
mod journal;
mod keys;
mod lab;
mod pair;
mod plan;
mod replay;
mod screen;
mod stage;
mod terminal;
mod theme;
mod watch;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Demo(cli.demo));
    match run(command) {
        Ok(code) => code,
        Err(error) if has_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a reader of errors either, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "collab-tui: {}", headless::plain(&sentence(&error)));
            ExitCode::from(1)
        }
    }
}

/// Whether whoever reads the output has read enough, as `head` does; that is no error of ours.
fn has_reader_gone(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An error and its causes, without those that the one before already tells.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match (told.is_empty(), told.contains(&cause)) {
            (true, _) => cause,
            (false, true) => told,
            (false, false) => format!("{told}: {cause}"),
        }
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(demo) => Ok(ExitCode::from(app::run(&demo.run, demo.fleet.workers(), false)?)),
        Command::Live(live) => {
            let workers = lab::Workers::Live(live.workers.clone());
            Ok(ExitCode::from(app::run(&live.run, workers, live.read_only)?))
        }
        Command::Replay(args) => watch::replay(&args).map(|()| ExitCode::SUCCESS),
        Command::Watch(args) => watch::watch(&args).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => watch::export(&args).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Plan(args) => plan::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args.what).map(|()| ExitCode::SUCCESS),
        Command::Pair(args) => pair::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Worker { arguments } => Ok(collab_worker::program::run(arguments)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use collab_sessions::export::ExportError;

    use super::*;

    #[test]
    fn a_reader_that_has_read_enough_is_told_from_a_full_disk() {
        let failed = |kind: ErrorKind| anyhow::Error::from(ExportError::Write(Error::from(kind)));
        assert!(has_reader_gone(&failed(ErrorKind::BrokenPipe).context("export")));
        assert!(!has_reader_gone(&failed(ErrorKind::StorageFull)));
        assert!(!has_reader_gone(&anyhow::anyhow!("broken pipe")));
    }
}
