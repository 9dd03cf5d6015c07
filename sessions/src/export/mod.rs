//! A session in forms that other programs read: CSV tables, a trace for the Perfetto UI, JSON lines.

mod lines;
mod tables;
mod trace;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use collab_core::event::{Event, PredictedSpan, Span, What};
use collab_core::id::{PartitionId, RunId};
use collab_core::lab::{Lab, Prediction};
use collab_core::time::Micros;
use thiserror::Error;

use crate::session::ReadError;

pub use lines::jsonl;
pub use tables::{Exported, csv};
pub use trace::perfetto;

/// Why an export ended early.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The session could not be read on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was exported could not be written.
    #[error("cannot write the export: {0}. Choose a place with room that you may write to")]
    Write(#[from] io::Error),
    /// A table could not be written.
    #[error("cannot write {}: {source}. Choose a folder with room that you may write to", path.display())]
    Table {
        /// The table's file, or the folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Runs whose late spans and layers still find their run.
const LATE_RUNS: usize = 64;

/// What an export remembers from earlier events to put beside later ones.
///
/// Predictions are those made before each run, which the lab's fold alone knows.
#[derive(Default)]
struct Facts {
    lab: Lab,
    runs: BTreeMap<RunId, RunFacts>,
}

/// A run that began.
struct RunFacts {
    partition: PartitionId,
    started: Micros,
    input: String,
    predicted: Option<Arc<Prediction>>,
    /// How many spans of a kind were met, by what the predicted ones are matched by.
    met: Vec<(SpanKey, usize)>,
}

/// Node, kind, block and peer: a measured and a predicted span with the same key are of the same bar.
type SpanKey = (collab_core::id::Node, collab_core::event::SpanKind, u32, Option<collab_core::id::Node>);

impl Facts {
    fn take(&mut self, event: &Event) {
        self.lab.apply(event);
        if let What::RunStarted { run, partition, input } = &event.what {
            let begun = self.lab.runs.in_flight.iter().find(|begun| begun.run == *run);
            let facts = RunFacts {
                partition: *partition,
                started: event.at,
                input: input.clone(),
                predicted: begun.and_then(|begun| begun.predicted.clone()),
                met: Vec::new(),
            };
            self.runs.insert(*run, facts);
            if self.runs.len() > LATE_RUNS {
                self.runs.pop_first();
            }
        }
    }

    /// What was predicted of a run before it.
    fn predicted(&self, run: RunId) -> Option<&Prediction> {
        self.runs.get(&run)?.predicted.as_deref()
    }

    /// The predicted span beside a measured one: the one of the same node, kind, block and peer; where a run
    /// has several of them, in the order in which they are reported.
    fn predicted_span(&mut self, span: &Span) -> Option<PredictedSpan> {
        let facts = self.runs.get_mut(&span.run)?;
        let key = (span.node, span.kind, span.block, span.peer);
        let nth = match facts.met.iter_mut().find(|(met, _)| *met == key) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                facts.met.push((key, 1));
                0
            }
        };
        let predicted = facts.predicted.as_deref()?;
        let of_key = |at: &&PredictedSpan| (at.node, at.kind, at.block, at.peer) == key;
        predicted.spans.iter().filter(of_key).nth(nth).copied()
    }
}
