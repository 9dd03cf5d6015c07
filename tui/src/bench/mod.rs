//! `collab-tui bench`: what is measured, a file for each.

mod adapt;
mod engine;
mod link;
mod plan;
mod predict;
mod replay;
mod run;

use std::sync::Arc;

use crate::cli::Bench;
use crate::journal::Journal;
use crate::stage::{Shown, Stage};

/// Measures and prints.
pub fn run(what: &Bench) -> anyhow::Result<()> {
    match what {
        Bench::Run(args) => run::run(args),
        Bench::Engine(args) => engine::run(args),
        Bench::Contestant(args) => engine::compete(args),
        Bench::Predict(args) => predict::run(args),
        Bench::Plan(args) => plan::run(args),
        Bench::Adapt(args) => adapt::run(args),
        Bench::Link { json } => link::run(*json),
        Bench::Replay { file, json } => replay::run(file, *json),
    }
}

/// Benchmarks keep no session: the disk is not what is measured.
fn journal() -> Arc<Journal> {
    Arc::new(Journal::new(Arc::new(Stage::new(Shown::default())), None, None))
}
