//! `collab-tui bench engine`: our engine, tract as it comes, and onnxruntime where it is found, on one network
//! after the other.
//!
//! Each engine runs in a process of its own ([`contestant`]), so that peaks of memory can be told apart. With one thread
//! all of them take turns run by run, so that what else the machine does falls on all alike. With more, each has its
//! rounds in a block: idle threads of one engine spin for a while and would take processors from the next.

mod contestant;
mod ort;

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use collab_models::{catalogue, recipe, source};
use serde::Serialize;

pub use contestant::compete;
use contestant::{Contestant, LayerTime};

use crate::cli::{BenchEngineArgs, EngineName};
use crate::headless::print;

/// How long idle threads are given to stop spinning.
const SETTLING: Duration = Duration::from_millis(200);

/// What is printed of one engine on one network.
#[derive(Debug, Serialize)]
struct Outcome {
    network: String,
    threads: usize,
    engine: &'static str,
    /// Median of all rounds.
    ms: f64,
    /// Of the same network, where onnxruntime took part.
    ratio_to_ort: Option<f64>,
    /// Of the process, loading included.
    peak_mb: f64,
    /// Largest difference from onnxruntime's output, in units of its range.
    difference_to_ort: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<LayerTime>,
}

/// Measures and prints.
pub fn run(args: &BenchEngineArgs) -> anyhow::Result<()> {
    let names = catalogue::names().map(str::to_owned);
    let networks = if args.model.is_empty() { &names[..] } else { &args.model[..] };
    let interpreter = args.ort.as_deref().map(ort::interpreter).transpose()?;
    for network in networks {
        let folder = tempfile::tempdir().context("there is no place for temporary files")?;
        let outcomes = measure(args, network, interpreter.as_deref(), folder.path())
            .with_context(|| format!("cannot measure {network}"))?;
        for outcome in &outcomes {
            print(&if args.json { serde_json::to_string(outcome)? } else { sentence(outcome) })?;
        }
    }
    Ok(())
}

fn measure(
    args: &BenchEngineArgs,
    network: &str,
    interpreter: Option<&Path>,
    folder: &Path,
) -> anyhow::Result<Vec<Outcome>> {
    let file = onnx_file(network, folder)?;
    let (threads, rounds) = (args.threads.get(), args.rounds.get());
    // Ours comes first: it writes the input that the others read.
    let mut contestants = vec![Contestant::ours(EngineName::Collab, &file, folder, threads)?];
    if threads == 1 {
        contestants.push(Contestant::ours(EngineName::Tract, &file, folder, 1)?);
    }
    if let Some(interpreter) = interpreter {
        contestants.push(Contestant::ort(interpreter, &file, folder, threads)?);
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    let block = if threads == 1 { 1 } else { rounds };
    for _ in 0..rounds / block {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            if block > 1 {
                std::thread::sleep(SETTLING);
            }
            for _ in 0..block {
                times.push(contestant.run()?);
            }
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let ort = contestants.iter().position(|contestant| contestant.engine == EngineName::Ort);
    let name = Path::new(network).file_stem().map_or(network.into(), |stem| stem.to_string_lossy());
    let mut outcomes = Vec::new();
    for (contestant, ms) in contestants.into_iter().zip(&medians) {
        let engine = contestant.engine;
        let ending = contestant.end()?;
        outcomes.push(Outcome {
            network: name.to_string(),
            threads,
            engine: engine.text(),
            ms: *ms,
            ratio_to_ort: ort.map(|ort| ms / medians[ort]),
            peak_mb: ending.peak_mb,
            difference_to_ort: ort.and_then(|_| difference(folder, engine)),
            layers: ending.layers,
        });
    }
    Ok(outcomes)
}

/// The network as an ONNX file: its own, or one written into `folder`.
fn onnx_file(network: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let entry = match catalogue::find(network) {
        Ok(entry) => entry,
        Err(_) if Path::new(network).is_file() => return Ok(PathBuf::from(network)),
        Err(unknown) => return Err(unknown.into()),
    };
    let path = folder.join("network.onnx");
    let mut file = BufWriter::new(File::create(&path).context("cannot write the network")?);
    recipe::write_onnx(source::read(&entry.bytes(7))?.onnx, &mut file).context("cannot write the network")?;
    Ok(path)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How far an engine's output is from onnxruntime's, if both are there and equally long.
fn difference(folder: &Path, engine: EngineName) -> Option<f64> {
    let read = |engine: EngineName| -> Option<Vec<f32>> {
        let bytes = std::fs::read(folder.join(engine.text())).ok()?;
        let (floats, _) = bytes.as_chunks::<4>();
        Some(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    let (ours, theirs) = (read(engine)?, read(EngineName::Ort)?);
    if ours.len() != theirs.len() {
        return None;
    }
    let range = theirs.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let most = ours.iter().zip(&theirs).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
    Some(f64::from(most) / f64::from(range.max(f32::MIN_POSITIVE)))
}

fn sentence(outcome: &Outcome) -> String {
    let ratio = outcome.ratio_to_ort.map_or(String::new(), |ratio| format!("  ×{ratio:.2} of onnxruntime"));
    let mut text = format!(
        "{:<20} {:<7} {} thread(s) {:>9.2} ms{ratio}  peak {:.0} MB",
        outcome.network, outcome.engine, outcome.threads, outcome.ms, outcome.peak_mb
    );
    for layer in &outcome.layers {
        let _ = write!(text, "\n    {:>9.3} ms  {:<24} {}", layer.ms, layer.op, layer.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_count_is_its_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn outputs_are_compared_in_units_of_their_range() {
        let folder = tempfile::tempdir().unwrap();
        let write = |engine: EngineName, values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(folder.path().join(engine.text()), bytes).unwrap();
        };
        write(EngineName::Ort, &[1.0, -4.0, 2.0]);
        assert_eq!(difference(folder.path(), EngineName::Tract), None);
        write(EngineName::Tract, &[1.0, -4.0, 2.5]);
        assert_eq!(difference(folder.path(), EngineName::Tract), Some(0.125));
        write(EngineName::Tract, &[1.0]);
        assert_eq!(difference(folder.path(), EngineName::Tract), None);
    }
}
