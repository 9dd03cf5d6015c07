//! Workers' reports, in their own clocks, as events in the lab's.

use collab_core::event::{LayersTimed, Level, Span, What, WorkerStatus};
use collab_core::id::{Node, RunId, WorkerId};
use collab_core::wire::{StatusReport, Telemetry, WorkerSpan};

/// What a report means for the run it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing.
    Nothing,
    /// One of the reports that a run waits for.
    Part(RunId),
    /// The worker gave the run up, with a sentence.
    Failed(RunId, String),
}

/// Translates a report into events. `at` gives a worker's moment as ms since a run's start, if it is known.
pub fn translate(
    worker: WorkerId,
    telemetry: Telemetry,
    at: impl Fn(RunId, u64) -> Option<f64>,
) -> (Vec<What>, Report) {
    let span = |span: &WorkerSpan| {
        Some(What::SpanDone(Span {
            run: span.run,
            node: Node::Worker(worker),
            kind: span.kind,
            block: span.block,
            peer: span.peer,
            rows: span.rows,
            start_ms: at(span.run, span.start_us)?,
            end_ms: at(span.run, span.end_us)?,
            bytes: span.bytes,
        }))
    };
    match telemetry {
        Telemetry::Computed(report) => {
            let run = report.run;
            let mut events: Vec<What> = report.spans.iter().filter_map(span).collect();
            events.extend(report.blocks.into_iter().map(|block| {
                let (block, layers) = (block.block, block.layers);
                What::LayersTimed(LayersTimed { run, worker, block, layers })
            }));
            (events, Report::Part(run))
        }
        Telemetry::Sent(sent) => (span(&sent).into_iter().collect(), Report::Part(sent.run)),
        Telemetry::Arrived(_) | Telemetry::PeerJoined { .. } => (Vec::new(), Report::Nothing),
        Telemetry::Failed { run, reason } => (Vec::new(), Report::Failed(run, reason)),
        Telemetry::PeerLost { peer, reason } => {
            let text = format!("{worker} lost its link to {peer}: {reason}");
            (vec![What::Noted { level: Level::Warning, text }], Report::Nothing)
        }
        Telemetry::Status(report) => (vec![status(worker, report)], Report::Nothing),
    }
}

fn status(worker: WorkerId, report: StatusReport) -> What {
    What::WorkerStatus(WorkerStatus {
        worker,
        cpu_percent: report.cpu_percent,
        temperature_c: report.temperature_c,
        throttle_percent: report.throttle_percent,
        link: report.link,
        memory: report.memory,
        dropped: report.dropped,
        refused: report.refused,
    })
}

#[cfg(test)]
mod tests {
    use collab_core::event::SpanKind;
    use collab_core::rows::Rows;
    use collab_core::wire::{BlockTimes, RunReport};

    use super::*;

    fn worker_span(start_us: u64) -> WorkerSpan {
        WorkerSpan {
            run: RunId(3),
            kind: SpanKind::Compute,
            block: 1,
            peer: None,
            rows: Rows::new(0, 4),
            start_us,
            end_us: start_us + 2000,
            bytes: 0,
        }
    }

    #[test]
    fn a_workers_clock_becomes_time_since_the_runs_start() {
        let report = RunReport {
            run: RunId(3),
            spans: vec![worker_span(10_000)],
            blocks: vec![BlockTimes { block: 1, layers: vec![(4, 4, 1.5)] }],
        };
        let at = |_: RunId, micros: u64| Some(micros as f64 / 1e3 - 9.0);
        let (events, part) = translate(WorkerId(1), Telemetry::Computed(report), at);
        assert_eq!(part, Report::Part(RunId(3)));
        let [What::SpanDone(span), What::LayersTimed(timed)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((span.start_ms, span.end_ms), (1.0, 3.0));
        assert_eq!(timed.layers, [(4, 4, 1.5)]);
    }

    #[test]
    fn a_span_of_a_run_that_is_forgotten_is_no_event() {
        let (events, part) = translate(WorkerId(0), Telemetry::Sent(worker_span(5)), |_, _| None);
        assert!(events.is_empty());
        assert_eq!(part, Report::Part(RunId(3)));
    }
}
