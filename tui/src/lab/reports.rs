//! Workers' reports, in their own clocks, as events in the lab's.

use collab_core::event::{LayersTimed, Span, What};
use collab_core::id::{Node, RunId, WorkerId};
use collab_core::wire::{RunReport, WorkerSpan};

/// A span as an event; `at` gives a moment of its clock as ms since its run's start, if the run is known.
pub fn span(node: Node, span: &WorkerSpan, at: impl Fn(u64) -> Option<f64>) -> Option<What> {
    Some(What::SpanDone(Span {
        run: span.run,
        node,
        kind: span.kind,
        block: span.block,
        peer: span.peer,
        rows: span.rows,
        start_ms: at(span.start_us)?,
        end_ms: at(span.end_us)?,
        bytes: span.bytes,
    }))
}

/// What a worker computed and waited for in a run, as events.
pub fn computed(worker: WorkerId, report: RunReport, at: impl Fn(u64) -> Option<f64>) -> Vec<What> {
    let run: RunId = report.run;
    let spans = report.spans.iter().filter_map(|each| span(Node::Worker(worker), each, &at));
    let layers = report.blocks.into_iter().map(|block| {
        What::LayersTimed(LayersTimed { run, worker, block: block.block, layers: block.layers })
    });
    spans.collect::<Vec<_>>().into_iter().chain(layers).collect()
}

#[cfg(test)]
mod tests {
    use collab_core::event::{BlockTimes, SpanKind};
    use collab_core::rows::Rows;

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
        let events = computed(WorkerId(1), report, |micros| Some(micros as f64 / 1e3 - 9.0));
        let [What::SpanDone(span), What::LayersTimed(timed)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((span.start_ms, span.end_ms), (1.0, 3.0));
        assert_eq!(timed.layers, [(4, 4, 1.5)]);
    }

    #[test]
    fn a_span_of_a_run_that_is_forgotten_is_no_event() {
        assert_eq!(span(Node::Lab, &worker_span(5), |_| None), None);
    }
}
