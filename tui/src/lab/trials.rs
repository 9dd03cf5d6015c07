//! Partitions run by real workers, each run beside what was predicted of it before.

use anyhow::Context as _;
use collab_core::event::{PredictedSpan, Proposal, SpanKind};
use collab_core::id::{Node, RunId};
use collab_core::lab::{Prediction, Transfer};
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
    /// Each transfer, from its turn on the line until it was there: predicted and measured, ms.
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
        self.know_reference().await;
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
        let transfers = shown.lab.transfers(&shown.lab.timeline).into_iter();
        let transfers =
            transfers.filter_map(|of| Some((transfer_ms(&predicted.spans, &of)?, of.ms))).collect();
        Some(Trial { state, partition: partition.to_string(), run: (predicted.ms, last.ms), transfers })
    }
}

/// What a transfer should take, from its first byte sent to its last one there, ms.
fn transfer_ms(predicted: &[PredictedSpan], of: &Transfer) -> Option<f64> {
    let span = |node: Node, peer: Node, kind: SpanKind, block: u32| {
        predicted.iter().find(|span| {
            (span.node, span.peer, span.kind) == (node, Some(peer), kind)
                && (span.block, span.bytes) == (block, of.bytes)
        })
    };
    let sent_in = if of.from == Node::Lab { 0 } else { of.block - 1 };
    let sent = span(of.from, of.to, SpanKind::Send, sent_in)?;
    Some(span(of.to, of.from, SpanKind::Receive, of.block)?.end_ms - sent.start_ms)
}
