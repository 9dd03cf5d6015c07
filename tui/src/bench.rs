//! `collab-tui bench`: what is measured, and how it is printed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use collab_core::time::Micros;
use collab_sessions::Session;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::cli::Bench;
use crate::headless::print;
use crate::journal::Journal;
use crate::lab::{self, LinkSpeed, Setup, Versus, Workers};
use crate::stage::{Shown, Stage};

/// Seeks of one replay benchmark.
const SEEKS: u64 = 101;

/// Measures and prints.
pub fn run(what: &Bench) -> anyhow::Result<()> {
    match what {
        Bench::Run { model, devices, link, partition, rounds, json } => {
            let setup = Setup {
                model: model.clone(),
                input: None,
                workers: Workers::Demo(devices.clone(), link.map(crate::cli::LinkPreset::shape)),
                planner: "proportional".to_owned(),
                partition: partition.clone(),
                auto: false,
                read_only: false,
                seed: 7,
                for_time: None,
                output: None,
            };
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let versus = runtime.block_on(lab::versus(setup, journal(), *rounds))?;
            runtime.shutdown_background();
            print(&if *json { serde_json::to_string(&versus)? } else { sentence(&versus) });
        }
        Bench::Link { json } => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            for speed in runtime.block_on(lab::link_speeds(journal()))? {
                print(&if *json { serde_json::to_string(&speed)? } else { link_sentence(&speed) });
            }
        }
        Bench::Replay { file, json } => {
            let seeks = replay(file)?;
            let text = format!(
                "{} events, {:.1} s, {} bytes: {} seeks, median {:.2} ms, worst {:.2} ms",
                seeks.events, seeks.length_s, seeks.bytes, SEEKS, seeks.median_ms, seeks.worst_ms
            );
            print(&if *json { serde_json::to_string(&seeks)? } else { text });
        }
    }
    Ok(())
}

/// Benchmarks keep no session: the disk is not what is measured.
fn journal() -> Arc<Journal> {
    Arc::new(Journal::new(Arc::new(Stage::new(Shown::default())), None, None))
}

fn sentence(versus: &Versus) -> String {
    format!(
        "{} on {} workers, {} runs each in turn: best single {:.1} ms, together {:.1} ms, ×{:.2}\n\
         bound ×{:.2}, reached {:.2} of it; predicted {:.1} ms; {}\n{}",
        versus.network,
        versus.workers,
        versus.rounds,
        versus.single_ms,
        versus.together_ms,
        versus.speedup,
        versus.bound,
        versus.of_bound,
        versus.predicted_ms.unwrap_or(f64::NAN),
        versus.verdict,
        versus.partition
    )
}

fn link_sentence(speed: &LinkSpeed) -> String {
    let rate = speed.rate_mbps.map_or("–".to_owned(), |rate| format!("{rate:.0} Mbit/s"));
    format!("{} to {}: round trip {:.3} ms, {rate}", speed.from, speed.to, speed.rtt_ms)
}

#[derive(Serialize)]
struct Seeks {
    events: u64,
    length_s: f64,
    bytes: u64,
    median_ms: f64,
    worst_ms: f64,
}

/// Seeks to moments spread over the session in no order.
fn replay(file: &Path) -> anyhow::Result<Seeks> {
    let session = Session::open(file)?;
    let length = session.length();
    let mut times = Vec::new();
    for seek in 0..SEEKS {
        // A step that is coprime to the count visits every place once, far from the one before.
        let place = seek * 37 % SEEKS;
        let begun = Instant::now();
        session.seek(Micros(length.0 / SEEKS * place))?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(Seeks {
        events: session.events(),
        length_s: length.secs(),
        bytes: session.bytes(),
        median_ms: times[times.len() / 2],
        worst_ms: times[times.len() - 1],
    })
}
