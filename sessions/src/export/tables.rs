//! CSV tables, a row for each thing that happened. Times are in seconds since the session's start, durations
//! in ms, blocks and layers counted as in the events; a value that is not known is left empty.
//!
//! A run that was lost has no `measured_ms`. In `workers.csv` the event `link` is what was measured from the
//! lab to the worker, `link to B` from the worker to B.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::{Event, LayersTimed, Span, SpanKind, Trained, Verdict, What};
use collab_core::id::{Node, RunId};
use collab_core::time::Micros;
use csv::Writer;

use super::{ExportError, Facts};
use crate::session::Session;

/// A table that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its file.
    pub path: PathBuf,
    /// Rows below the header.
    pub rows: u64,
}

const TABLES: [(&str, &str); 6] = [
    ("runs.csv", "time,run,partition,predicted_ms,measured_ms,verdict"),
    ("layers.csv", "time,run,worker,block,layer,op,rows,predicted_ms,measured_ms"),
    ("spans.csv", "time,run,worker,kind,block,start_ms,end_ms,predicted_start_ms,predicted_end_ms,bytes"),
    ("training.csv", "time,generation,best_ms,mean_ms,agent_ms,actor_loss,critic_loss,evaluations"),
    ("commands.csv", "time,command,target,value,status,predicted_ms,measured_ms"),
    ("workers.csv", "time,worker,event,cpu_percent,temperature_c,throttle_percent,rtt_ms,rate_mbps"),
];
const RUNS: usize = 0;
const LAYERS: usize = 1;
const SPANS: usize = 2;
const TRAINING: usize = 3;
const COMMANDS: usize = 4;
const WORKERS: usize = 5;

/// Writes every table into `folder`, which is made if need be. Tables of an earlier export are replaced.
pub fn csv(session: &Session, folder: &Path) -> Result<Vec<Exported>, ExportError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| ExportError::Table { path: folder.to_owned(), source })?;
    let mut tables = Tables { open: Vec::new(), facts: Facts::default(), commands: Vec::new() };
    for (name, header) in TABLES {
        tables.open.push(Table::create(folder.join(name), header)?);
    }
    session.visit(|entry| match entry.event() {
        Some(event) => tables.take(&event, entry.at),
        None => Ok(()),
    })?;
    for command in std::mem::take(&mut tables.commands) {
        tables.open[COMMANDS].row(&command.cells())?;
    }
    tables.open.into_iter().map(Table::finish).collect()
}

struct Table {
    path: PathBuf,
    rows: u64,
    writer: Writer<BufWriter<File>>,
}

impl Table {
    fn create(path: PathBuf, header: &str) -> Result<Self, ExportError> {
        match File::create(&path) {
            Ok(file) => {
                let mut table = Self { path, rows: 0, writer: Writer::from_writer(BufWriter::new(file)) };
                table.record(header.split(','))?;
                Ok(table)
            }
            Err(source) => Err(ExportError::Table { path, source }),
        }
    }

    fn record<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<(), ExportError> {
        let path = &self.path;
        let failed = |error: csv::Error| ExportError::Table { path: path.clone(), source: error.into() };
        self.writer.write_record(cells).map_err(failed)
    }

    fn row(&mut self, cells: &[String]) -> Result<(), ExportError> {
        self.rows += 1;
        self.record(cells)
    }

    fn finish(mut self) -> Result<Exported, ExportError> {
        let flushed = self.writer.flush().map_err(|source: io::Error| source);
        match flushed {
            Ok(()) => Ok(Exported { path: self.path, rows: self.rows }),
            Err(source) => Err(ExportError::Table { path: self.path, source }),
        }
    }
}

/// A command, whose row is known when the session is over.
struct Command {
    id: CommandId,
    at: Micros,
    verb: Verb,
    status: String,
    predicted_ms: Option<f64>,
    measured_ms: Option<f64>,
}

impl Command {
    fn cells(self) -> [String; 7] {
        let value = match &self.verb {
            Verb::Throttle { percent, .. } => number(*percent),
            Verb::Link { rate_mbps, delay_ms, .. } => {
                let rate = rate_mbps.map_or("unpaced".to_owned(), |rate| format!("{} Mbit/s", number(rate)));
                format!("{rate}, {} ms", number(*delay_ms))
            }
            Verb::Reject { reason } => reason.clone(),
            Verb::Edit { partition } => partition.clone(),
            Verb::Mark { name } => name.clone(),
            Verb::Accept
            | Verb::Freeze
            | Verb::Thaw
            | Verb::Undo
            | Verb::Verify
            | Verb::PauseTraining
            | Verb::ResumeTraining => String::new(),
        };
        [
            seconds(self.at),
            self.verb.name().to_owned(),
            self.verb.target(),
            value,
            self.status,
            optional(self.predicted_ms),
            optional(self.measured_ms),
        ]
    }
}

struct Tables {
    open: Vec<Table>,
    facts: Facts,
    commands: Vec<Command>,
}

impl Tables {
    fn take(&mut self, event: &Event, at: Micros) -> Result<(), ExportError> {
        self.facts.take(event);
        match &event.what {
            What::RunDone { run, ms, verdict } => self.run(at, *run, Some(*ms), *verdict),
            What::RunLost { run, .. } => self.run(at, *run, None, Verdict::Unchecked),
            What::LayersTimed(timed) => self.layers(at, timed),
            What::SpanDone(span) => self.span(at, span),
            What::Trained(trained) => self.trained(at, trained),
            What::CommandGiven { id, verb, predicted_ms, .. } => {
                self.commands.push(Command {
                    id: *id,
                    at,
                    verb: verb.clone(),
                    status: "pending".to_owned(),
                    predicted_ms: *predicted_ms,
                    measured_ms: None,
                });
                Ok(())
            }
            What::CommandSettled { id, outcome } => {
                if let Some(command) = self.command(*id) {
                    command.status = match outcome {
                        Settled::Done => "done".to_owned(),
                        Settled::Refused(reason) => format!("refused: {reason}"),
                    };
                }
                Ok(())
            }
            What::CommandMeasured { id, measured_ms } => {
                if let Some(command) = self.command(*id) {
                    command.measured_ms = Some(*measured_ms);
                }
                Ok(())
            }
            _ => self.worker(at, &event.what),
        }
    }

    fn trained(&mut self, at: Micros, trained: &Trained) -> Result<(), ExportError> {
        self.open[TRAINING].row(&[
            seconds(at),
            trained.generation.to_string(),
            number(trained.best_ms),
            number(trained.mean_ms),
            optional(trained.agent_ms),
            optional(trained.actor_loss),
            optional(trained.critic_loss),
            trained.evaluations.to_string(),
        ])
    }

    fn command(&mut self, id: CommandId) -> Option<&mut Command> {
        self.commands.iter_mut().rev().find(|command| command.id == id)
    }

    fn run(&mut self, at: Micros, run: RunId, ms: Option<f64>, verdict: Verdict) -> Result<(), ExportError> {
        let partition = self.facts.runs.get(&run).map(|facts| facts.partition.0.to_string());
        let predicted_ms = self.facts.predicted(run).map(|predicted| predicted.ms);
        self.open[RUNS].row(&[
            seconds(at),
            run.to_string(),
            partition.unwrap_or_default(),
            optional(predicted_ms),
            optional(ms),
            verdict.name().to_owned(),
        ])
    }

    fn layers(&mut self, at: Micros, timed: &LayersTimed) -> Result<(), ExportError> {
        let predicted = self.facts.predicted(timed.run);
        for &(layer, rows, ms) in &timed.layers {
            let known =
                self.facts.lab.network.as_ref().and_then(|network| network.layers.get(layer as usize));
            let expected = predicted.and_then(|run| run.layer_ms(timed.worker, timed.block, layer));
            self.open[LAYERS].row(&[
                seconds(at),
                timed.run.to_string(),
                timed.worker.to_string(),
                timed.block.to_string(),
                known.map_or_else(|| layer.to_string(), |layer| layer.name.clone()),
                known.map_or_else(String::new, |layer| layer.op.clone()),
                rows.to_string(),
                optional(expected),
                number(f64::from(ms)),
            ])?;
        }
        Ok(())
    }

    fn span(&mut self, at: Micros, span: &Span) -> Result<(), ExportError> {
        let predicted = self.facts.predicted_span(span);
        self.open[SPANS].row(&[
            seconds(at),
            span.run.to_string(),
            span.node.to_string(),
            kind_name(span.kind).to_owned(),
            span.block.to_string(),
            number(span.start_ms),
            number(span.end_ms),
            optional(predicted.map(|predicted| predicted.start_ms)),
            optional(predicted.map(|predicted| predicted.end_ms)),
            span.bytes.to_string(),
        ])
    }

    fn worker(&mut self, at: Micros, what: &What) -> Result<(), ExportError> {
        let row = |worker: String, event: String, values: [Option<f64>; 5]| {
            let [cpu, temperature, throttle, rtt, rate] = values.map(optional);
            [seconds(at), worker, event, cpu, temperature, throttle, rtt, rate]
        };
        let plain = |worker: String, event: &str| row(worker, event.to_owned(), [None; 5]);
        let cells = match what {
            What::WorkerJoined(info) => plain(info.worker.to_string(), "joined"),
            What::WorkerLoading { worker, .. } => plain(worker.to_string(), "loading"),
            What::WorkerReady { worker } => plain(worker.to_string(), "ready"),
            What::WorkerLost { worker, .. } => plain(worker.to_string(), "lost"),
            What::SingleMeasured { worker, .. } => plain(worker.to_string(), "single"),
            What::WorkerCalibrated { worker, .. } => plain(worker.to_string(), "calibrated"),
            What::WorkerStatus(status) => row(
                status.worker.to_string(),
                "status".to_owned(),
                [Some(status.cpu_percent), status.temperature_c, Some(status.throttle_percent), None, None],
            ),
            What::LinkMeasured { from, to, rtt_ms, rate_mbps, .. } => {
                let (worker, event) = match from {
                    Node::Lab => (to.to_string(), "link".to_owned()),
                    Node::Worker(_) => (from.to_string(), format!("link to {to}")),
                };
                row(worker, event, [None, None, None, Some(*rtt_ms), *rate_mbps])
            }
            _ => return Ok(()),
        };
        self.open[WORKERS].row(&cells)
    }
}

fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Compute => "compute",
        SpanKind::Send => "send",
        SpanKind::Wait => "wait",
        SpanKind::Receive => "receive",
    }
}

fn seconds(at: Micros) -> String {
    number(at.secs())
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, number)
}

/// With six decimals at most: microseconds of seconds, nanoseconds of ms. Empty if it is no number.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
