//! How well predictions hold: mean absolute percentage errors over what was last measured.

use super::Lab;
use crate::event::{PredictedSpan, Span, SpanKind};
use crate::id::Node;

impl Lab {
    /// Mean of |predicted − measured| / measured over layers, as a fraction; medians of late runs.
    pub fn layer_mape(&self) -> Option<f64> {
        mean(self.layers.iter().filter_map(|layer| layer.error()).map(f64::abs))
    }

    /// The same over blocks: the time each worker computed each block in the last run.
    pub fn block_mape(&self) -> Option<f64> {
        let (_, partition) = self.timeline_of?;
        let proposal = self.partitions.get(&partition)?;
        let errors = proposal.plan.blocks.iter().enumerate().flat_map(|(block, plan)| {
            plan.owners().filter_map(move |worker| self.block_error(&proposal.spans, worker, block as u32))
        });
        mean(errors.map(f64::abs))
    }

    /// One worker's blocks of the last run, predicted against measured, as a mean absolute fraction.
    pub fn worker_mape(&self, worker: usize) -> Option<f64> {
        let (_, partition) = self.timeline_of?;
        let proposal = self.partitions.get(&partition)?;
        let blocks = 0..proposal.plan.blocks.len() as u32;
        mean(blocks.filter_map(|block| self.block_error(&proposal.spans, worker, block)).map(f64::abs))
    }

    fn block_error(&self, predicted: &[PredictedSpan], worker: usize, block: u32) -> Option<f64> {
        let node = Node::Worker(crate::id::WorkerId::at(worker));
        let is_it = |span: &&Span| span.node == node && span.block == block && span.kind == SpanKind::Compute;
        let measured: f64 = self.timeline.iter().filter(is_it).map(|span| span.end_ms - span.start_ms).sum();
        let is_it = |span: &&PredictedSpan| {
            span.node == node && span.block == block && span.kind == SpanKind::Compute
        };
        let predicted: f64 = predicted.iter().filter(is_it).map(|span| span.end_ms - span.start_ms).sum();
        (measured > 0.0).then(|| predicted / measured - 1.0)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}
