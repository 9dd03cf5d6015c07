//! `collab-tui bench replay`: seeking and folding a recorded session.

use std::path::Path;
use std::time::Instant;

use collab_core::time::Micros;
use collab_sessions::Session;
use serde::Serialize;

use crate::headless::print;

/// Seeks of one benchmark.
const SEEKS: u64 = 101;

/// Seeks `file` and prints how long that took.
pub fn run(file: &Path, json: bool) -> anyhow::Result<()> {
    let seeks = seek(file)?;
    let text = format!(
        "{} events, {:.1} s, {} bytes: {} seeks, median {:.2} ms, worst {:.2} ms",
        seeks.events, seeks.length_s, seeks.bytes, SEEKS, seeks.median_ms, seeks.worst_ms
    );
    print(&if json { serde_json::to_string(&seeks)? } else { text })?;
    Ok(())
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
fn seek(file: &Path) -> anyhow::Result<Seeks> {
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
