//! Partitions run by real workers, each run beside what was predicted of it before.

use anyhow::Context as _;
use collab_core::event::{PredictedSpan, Proposal, Span, SpanKind};
use collab_core::id::RunId;
use collab_core::lab::Prediction;
use collab_core::partition::Partition;

use super::controller::Controller;

/// A run with what was predicted of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What was known when it was predicted.
    pub state: &'static str,
    /// The partition in its text form.
    pub partition: String,
    /// The run's latency: predicted and measured, ms.
    pub run: (f64, f64),
    /// What each transfer occupied its sender: predicted and measured, ms.
    pub transfers: Vec<(f64, f64)>,
}

impl Controller {
    /// Measures every worker alone, then runs each partition: `first` runs as it was predicted before it ever
    /// ran, and `late` more, after `learned` of them, each as it was predicted right before.
    pub async fn trials(
        &mut self,
        partitions: Vec<Partition>,
        first: usize,
        learned: usize,
        late: usize,
    ) -> anyhow::Result<Vec<Trial>> {
        self.reference_for(0);
        self.measure_singles().await;
        let mut trials = Vec::new();
        for partition in partitions {
            let proposal = self.announced(&partition)?;
            let id = proposal.partition;
            self.offer(proposal, true, None);
            anyhow::ensure!(self.wait_until_prepared(id).await, "partition {partition} was refused");
            self.switch_now();
            let mut before_all = None;
            for run in 0..learned + late {
                let run_id = self.run_once(id).await.context("a run was lost")?;
                let before = self.journal.stage().look().lab.timeline_predicted.clone();
                let before_all = before_all.get_or_insert_with(|| before.clone());
                if run < first {
                    trials.extend(self.compare("profiled", &partition, before_all.as_deref(), run_id));
                } else if run >= learned {
                    trials.extend(self.compare("live", &partition, before.as_deref(), run_id));
                }
            }
        }
        Ok(trials)
    }

    fn announced(&mut self, partition: &Partition) -> anyhow::Result<Proposal> {
        let shown = self.journal.stage().look();
        self.planning.announce(&shown.lab, "random", partition.clone()).context("nothing was measured")
    }

    fn compare(
        &self,
        state: &'static str,
        partition: &Partition,
        predicted: Option<&Prediction>,
        run: RunId,
    ) -> Option<Trial> {
        let (shown, predicted) = (self.journal.stage().look(), predicted?);
        let last = shown.lab.runs.last().filter(|last| last.run == run)?;
        let measured =
            shown.lab.timeline.iter().filter(|span| span.run == run && span.kind == SpanKind::Send);
        let transfers = measured.filter_map(|span| {
            let predicted = predicted.spans.iter().find(|predicted| is_of(predicted, span))?;
            Some((predicted.end_ms - predicted.start_ms, span.end_ms - span.start_ms))
        });
        let transfers = transfers.collect();
        Some(Trial { state, partition: partition.to_string(), run: (predicted.ms, last.ms), transfers })
    }
}

/// Whether the prediction is of this transfer.
fn is_of(predicted: &PredictedSpan, span: &Span) -> bool {
    (predicted.node, predicted.kind, predicted.block, predicted.peer, predicted.bytes)
        == (span.node, span.kind, span.block, span.peer, span.bytes)
}
