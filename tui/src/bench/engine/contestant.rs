//! One engine in a process of its own, and how it is talked to: a line in for each run, the run's milliseconds out,
//! and a last line of JSON when there are no more.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use collab_core::id::Digest;
use collab_core::rows::Rows;
use collab_models::{LayerTimes, LoadOptions, Map, Model, Spares, Team, Unmodified};
use collab_worker::host;
use serde::{Deserialize, Serialize};

use super::ort;
use crate::cli::{ContestantArgs, EngineName};
use crate::headless::print;

/// The file of input values in the folder that contestants share; outputs are named for their engines.
const INPUT: &str = "input";

/// Time of one layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerTime {
    /// The layer's name.
    pub name: String,
    /// For people.
    pub op: String,
    /// Median of all runs.
    pub ms: f64,
}

/// What a contestant says last.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ending {
    /// The most memory that its process had at once.
    pub peak_mb: f64,
    /// Its layers, if it can tell them apart.
    #[serde(default)]
    pub layers: Vec<LayerTime>,
}

/// A process that runs one engine. It is killed when this is dropped.
pub struct Contestant {
    /// Which.
    pub engine: EngineName,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Contestant {
    /// Starts an engine of this program and waits until it is ready.
    pub fn ours(engine: EngineName, file: &Path, folder: &Path, threads: usize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.args(["bench", "contestant", engine.text()]).arg(file).arg(folder);
        command.arg(threads.to_string());
        Self::start(engine, command)
    }

    /// Starts onnxruntime in a Python interpreter.
    pub fn ort(interpreter: &Path, file: &Path, folder: &Path, threads: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(interpreter);
        command.args(["-c", ort::SCRIPT]).arg(file).arg(folder.join(INPUT));
        command.arg(folder.join(EngineName::Ort.text())).arg(threads.to_string());
        Self::start(EngineName::Ort, command)
    }

    fn start(engine: EngineName, mut command: Command) -> anyhow::Result<Self> {
        let failed = || format!("cannot start {}", engine.text());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().with_context(failed)?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().with_context(failed)?);
        let mut contestant = Self { engine, child, orders, answers };
        let ready = contestant.answer()?;
        if ready != "ready" {
            bail!("{} says {ready:?} instead of being ready", engine.text());
        }
        Ok(contestant)
    }

    /// Runs once; milliseconds.
    pub fn run(&mut self) -> anyhow::Result<f64> {
        let orders = self.orders.as_mut().context("the contestant has ended")?;
        orders.write_all(b"run\n").with_context(|| format!("{} has ended", self.engine.text()))?;
        let answer = self.answer()?;
        answer.parse().with_context(|| format!("{} says {answer:?} instead of a time", self.engine.text()))
    }

    /// Ends it.
    pub fn end(mut self) -> anyhow::Result<Ending> {
        self.orders = None;
        let last = self.answer()?;
        serde_json::from_str(&last).with_context(|| format!("{} ended with {last:?}", self.engine.text()))
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("cannot read")?;
        if line.is_empty() {
            bail!("{} ended without an answer; what it wrote above says why", self.engine.text());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of the process that [`Contestant::ours`] starts.
pub fn compete(args: &ContestantArgs) -> anyhow::Result<()> {
    let (input, output) = (args.folder.join(INPUT), args.folder.join(args.engine.text()));
    match args.engine {
        EngineName::Collab => ours(&args.file, args.threads, &input, &output),
        EngineName::Tract => {
            let bytes =
                fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
            let network = Unmodified::load(&bytes).map_err(anyhow::Error::msg)?;
            drop(bytes);
            let values = floats(&fs::read(&input)?);
            let run = || network.run(&values).map_err(anyhow::Error::msg);
            fs::write(output, little_endian(&run()?))?;
            take_turns(|| Ok(()), |()| run().map(drop))?;
            end(Vec::new())
        }
        EngineName::Ort => bail!("onnxruntime runs in an interpreter of its own"),
    }
}

fn ours(file: &Path, threads: usize, input: &PathBuf, output: &PathBuf) -> anyhow::Result<()> {
    let team = Team::new(threads);
    // Nobody asks for the identity of a network that is measured.
    let model = Model::load_file(file, Digest([0; 32]), &LoadOptions::default())?.with_team(team);
    let network = model.network().clone();
    let mut whole = model.whole()?;
    let (cut, rows) = (network.input.cut, Rows::all(network.input.cut.rows));
    let values = noise((cut.row_values() * u64::from(cut.rows)) as usize);
    fs::write(input, little_endian(&values))?;
    let clock = Instant::now();
    let spares = Spares::default();
    let input = || {
        let mut input = spares.map(cut, rows);
        input.values_mut().copy_from_slice(&values);
        Ok(input)
    };
    let mut run = |input: Map| -> anyhow::Result<(Map, LayerTimes)> {
        let mut times = LayerTimes::new(&network);
        let output = whole.run(input, &mut || clock.elapsed(), &mut times)?;
        Ok((output, times))
    };
    fs::write(output, little_endian(run(input()?)?.0.values()))?;
    let mut runs = Vec::new();
    take_turns(input, |input| {
        runs.push(run(input)?.1);
        Ok(())
    })?;
    let median = |layer: usize| {
        let times = runs.iter().filter_map(|run| run.layers().get(layer));
        super::median(times.map(|time| time.as_secs_f64() * 1e3).collect())
    };
    let layers = network.layers.iter().enumerate();
    end(layers
        .map(|(at, layer)| LayerTime { name: layer.name.clone(), op: layer.op.clone(), ms: median(at) })
        .collect())
}

/// Runs once for every line of stdin. A run's input is prepared before its turn, as
/// onnxruntime's is.
fn take_turns<T>(
    prepare: impl Fn() -> anyhow::Result<T>,
    mut run: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    print("ready")?;
    let mut input = prepare()?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let begun = Instant::now();
        run(input)?;
        print(&(begun.elapsed().as_secs_f64() * 1e3).to_string())?;
        input = prepare()?;
    }
    Ok(())
}

fn end(layers: Vec<LayerTime>) -> anyhow::Result<()> {
    let peak = host::peak_memory().ok_or_else(|| anyhow!("this system does not tell peaks of memory"));
    let peak_mb = peak.map_or(0.0, |bytes| bytes as f64 / 1e6);
    print(&serde_json::to_string(&Ending { peak_mb, layers })?)?;
    Ok(())
}

/// Values between -1 and 1, the same every time.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
