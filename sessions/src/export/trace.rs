//! A trace in Chrome's JSON form, as the Perfetto UI (ui.perfetto.dev) opens it: a process for each node, in
//! it tracks for computing, sending and waiting; runs as slices and commands as instants in the lab's.

use std::collections::HashMap;
use std::io::Write;

use collab_core::event::{Event, Span, SpanKind, What};
use collab_core::id::Node;
use collab_core::time::Micros;
use serde_json::{Value, json};

use super::{ExportError, Facts};
use crate::session::Session;

/// Writes the whole session as one JSON object.
pub fn perfetto(session: &Session, out: impl Write) -> Result<(), ExportError> {
    let mut trace = Trace { out, facts: Facts::default(), tracks: HashMap::new(), first: true };
    trace.out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
    trace.name_process(Node::Lab, "lab")?;
    session.visit(|entry| match entry.event() {
        Some(event) => trace.take(&event, entry.at),
        None => Ok(()),
    })?;
    trace.out.write_all(b"\n]}\n")?;
    Ok(trace.out.flush()?)
}

/// What a track of a node shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Track {
    Runs,
    Commands,
    Losses,
    Spans(SpanKind),
}

impl Track {
    fn name(self) -> &'static str {
        match self {
            Track::Runs => "runs",
            Track::Commands => "commands",
            Track::Losses => "losses",
            Track::Spans(SpanKind::Compute) => "compute",
            Track::Spans(SpanKind::Send) => "send",
            Track::Spans(SpanKind::Wait) => "wait",
            Track::Spans(SpanKind::Receive) => "receive",
        }
    }

    /// Lanes of a track. A thread's number is unique in the trace: process, place and lane as decimal digits.
    const LANES: usize = 100;

    fn place(self) -> usize {
        match self {
            Track::Runs => 1,
            Track::Commands | Track::Losses => 2,
            Track::Spans(SpanKind::Compute) => 3,
            Track::Spans(SpanKind::Send) => 4,
            Track::Spans(SpanKind::Wait) => 5,
            Track::Spans(SpanKind::Receive) => 6,
        }
    }
}

/// Slices that overlap by less belong to the same lane: clocks of two nodes agree no better, µs.
const OVERLAP: f64 = 50.0;

struct Trace<W> {
    out: W,
    facts: Facts,
    /// When each lane of a track is free again, µs. Slices of one lane must not overlap.
    tracks: HashMap<(Node, Track), Vec<f64>>,
    first: bool,
}

/// To whole nanoseconds.
fn rounded(micros: f64) -> f64 {
    (micros * 1e3).round() / 1e3
}

fn process(node: Node) -> usize {
    match node {
        Node::Lab => 1,
        Node::Worker(worker) => worker.index() + 2,
    }
}

impl<W: Write> Trace<W> {
    fn put(&mut self, value: &Value) -> Result<(), ExportError> {
        let separator: &[u8] = if std::mem::take(&mut self.first) { b"\n" } else { b",\n" };
        self.out.write_all(separator)?;
        serde_json::to_writer(&mut self.out, value).map_err(std::io::Error::from)?;
        Ok(())
    }

    fn name_process(&mut self, node: Node, name: &str) -> Result<(), ExportError> {
        let pid = process(node);
        self.put(&json!({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}))?;
        self.put(&json!({"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}))
    }

    /// A lane of a track that is free at about `start`, as its thread, and when it is; named when it is new.
    fn lane(&mut self, node: Node, track: Track, start: f64, end: f64) -> Result<(usize, f64), ExportError> {
        let lanes = self.tracks.entry((node, track)).or_default();
        let free = lanes.iter().take(Track::LANES - 1).position(|until| *until <= start + OVERLAP);
        let (lane, is_new) = match free {
            Some(lane) => (lane, false),
            None if lanes.len() < Track::LANES => {
                lanes.push(0.0);
                (lanes.len() - 1, true)
            }
            None => (Track::LANES - 1, false),
        };
        let start = start.max(lanes[lane]).min(end);
        lanes[lane] = end;
        let thread = (process(node) * 10 + track.place()) * Track::LANES + lane;
        if is_new {
            let name = match lane {
                0 => track.name().to_owned(),
                lane => format!("{} {}", track.name(), lane + 1),
            };
            let pid = process(node);
            self.put(
                &json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": thread, "args": {"name": name}}),
            )?;
            let place = json!({"sort_index": thread});
            self.put(
                &json!({"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": thread, "args": place}),
            )?;
        }
        Ok((thread, start))
    }

    fn slice(
        &mut self,
        (node, track): (Node, Track),
        name: &str,
        (start, duration): (f64, f64),
        args: Value,
    ) -> Result<(), ExportError> {
        let end = (start + duration).max(0.0);
        let (tid, start) = self.lane(node, track, start.max(0.0), end)?;
        let category = track.name();
        let pid = process(node);
        self.put(&json!({
            "ph": "X", "name": name, "cat": category, "pid": pid, "tid": tid,
            "ts": rounded(start), "dur": rounded(end - start), "args": args,
        }))
    }

    fn take(&mut self, event: &Event, at: Micros) -> Result<(), ExportError> {
        self.facts.take(event);
        let now = at.0 as f64;
        match &event.what {
            What::WorkerJoined(info) => {
                let name = format!("{} {}", info.worker, info.name);
                self.name_process(Node::Worker(info.worker), &name)
            }
            What::SpanDone(span) => self.span(span, now),
            What::RunDone { run, ms, verdict } => {
                let facts = self.facts.runs.get(run);
                let start = facts.map_or(now - ms * 1e3, |facts| facts.started.0 as f64);
                let args = json!({
                    "partition": facts.map(|facts| facts.partition),
                    "input": facts.map(|facts| &facts.input),
                    "predicted_ms": self.facts.predicted(*run).map(|predicted| predicted.ms),
                    "verdict": verdict.name(),
                });
                self.slice((Node::Lab, Track::Runs), &format!("run {run}"), (start, ms * 1e3), args)
            }
            What::RunLost { run, reason } => {
                let start = self.facts.runs.get(run).map_or(now, |facts| facts.started.0 as f64);
                let name = format!("run {run}, lost");
                self.slice((Node::Lab, Track::Runs), &name, (start, now - start), json!({"reason": reason}))
            }
            What::CommandGiven { who, verb, before, after, .. } => {
                let (tid, _) = self.lane(Node::Lab, Track::Commands, now, now)?;
                let args = json!({"who": who, "before": before, "after": after});
                self.put(&json!({
                    "ph": "i", "s": "g", "name": verb.to_string(), "cat": "commands",
                    "pid": process(Node::Lab), "tid": tid, "ts": now, "args": args,
                }))
            }
            What::WorkerLost { worker, reason } => {
                let node = Node::Worker(*worker);
                let (tid, _) = self.lane(node, Track::Losses, now, now)?;
                self.put(&json!({
                    "ph": "i", "s": "p", "name": format!("lost: {reason}"), "cat": "losses",
                    "pid": process(node), "tid": tid, "ts": now,
                }))
            }
            What::WorkerStatus(status) => self.put(&json!({
                "ph": "C", "name": "cpu %", "pid": process(Node::Worker(status.worker)), "ts": now,
                "args": {"cpu": status.cpu_percent, "throttle": status.throttle_percent},
            })),
            _ => Ok(()),
        }
    }

    fn span(&mut self, span: &Span, now: f64) -> Result<(), ExportError> {
        let predicted = self.facts.predicted_span(span);
        let length = (span.end_ms - span.start_ms) * 1e3;
        let facts = self.facts.runs.get(&span.run);
        let start = facts.map_or(now - length, |facts| facts.started.0 as f64 + span.start_ms * 1e3);
        let name = match (span.kind, span.peer) {
            (SpanKind::Compute, _) | (_, None) => format!("block {}", span.block),
            (SpanKind::Send, Some(peer)) => format!("block {} to {peer}", span.block),
            (SpanKind::Wait | SpanKind::Receive, Some(peer)) => format!("block {} from {peer}", span.block),
        };
        let args = json!({
            "run": span.run,
            "rows": [span.rows.start, span.rows.end],
            "bytes": span.bytes,
            "predicted_ms": predicted.map(|predicted| predicted.end_ms - predicted.start_ms),
        });
        self.slice((span.node, Track::Spans(span.kind)), &name, (start, length), args)
    }
}
