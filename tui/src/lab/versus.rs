//! A collaborative partition against the best single worker, in turn.

use anyhow::Context as _;
use collab_core::partition::Partition;
use serde::Serialize;

use super::controller::Controller;

/// What came out, medians in ms.
#[derive(Clone, Debug, Serialize)]
pub struct Versus {
    /// The network.
    pub network: String,
    /// How many workers.
    pub workers: usize,
    /// The partition in its text form.
    pub partition: String,
    /// Runs of each kind.
    pub rounds: usize,
    /// The best single worker.
    pub single_ms: f64,
    /// All together.
    pub together_ms: f64,
    /// `single_ms / together_ms`.
    pub speedup: f64,
    /// The sum of the workers' speeds over the fastest one's: no partition can do better.
    pub bound: f64,
    /// `speedup / bound`.
    pub of_bound: f64,
    /// What the simulator said of the partition before it ran.
    pub predicted_ms: Option<f64>,
    /// The median of what was predicted just before each of the runs that count.
    pub late_predicted_ms: Option<f64>,
    /// The worst verdict.
    pub verdict: String,
}

impl Controller {
    /// Runs the planned partition and the best single worker in turn, `rounds` times each after a warm-up. What counts is
    /// a run that follows one of its own kind, as in a lab that goes on: right after the other kind, memory and caches
    /// are laid out for other strips.
    pub async fn versus(&mut self, rounds: usize) -> anyhow::Result<Versus> {
        self.know_reference().await;
        self.measure_singles().await;
        let (best, singles) = {
            let shown = self.journal.stage().look();
            let (best, _) = shown.lab.best_single().context("no worker could be measured alone")?;
            let singles = shown.lab.workers.iter().filter_map(|worker| worker.single_ms);
            (best.info.worker, singles.collect::<Vec<f64>>())
        };
        let proposal = self.plan_first().await?.context("no partition was found")?;
        let (together, plan, predicted_ms) =
            (proposal.partition, proposal.plan.to_string(), proposal.predicted_ms);
        let alone = Partition::single(self.model.network(), best, self.fleet.len());
        let single = {
            let shown = self.journal.stage().look();
            self.planning.announce(&shown.lab, "best-single", alone).context("nothing was measured")?
        };
        let single_id = single.partition;
        for proposal in [single, proposal] {
            let id = proposal.partition;
            self.offer(proposal, true, None);
            anyhow::ensure!(self.wait_until_prepared(id).await, "partition {id} was refused");
            // Both stay prepared: nothing is switched, so neither is dropped.
            self.next = None;
        }
        let mut times: [Vec<f64>; 2] = Default::default();
        let mut late = Vec::new();
        for _ in 0..rounds {
            for (kind, id) in [single_id, together].into_iter().enumerate() {
                for _ in 0..2 {
                    self.run_once(id).await.context("a run was lost")?;
                }
                let shown = self.journal.stage().look();
                let last = shown.lab.runs.last();
                times[kind].extend(last.map(|last| last.ms));
                let predicted = last.filter(|_| id == together).and_then(|last| last.predicted);
                late.extend(predicted.map(|(ms, _)| f64::from(ms)));
            }
        }
        let [single_ms, together_ms] = times.map(median);
        let fastest = singles.iter().copied().fold(f64::INFINITY, f64::min);
        let bound = singles.iter().map(|ms| fastest / ms).sum::<f64>();
        let speedup = single_ms / together_ms;
        let shown = self.journal.stage().look();
        Ok(Versus {
            network: self.model.network().name.clone(),
            workers: self.fleet.len(),
            partition: plan,
            rounds,
            single_ms,
            together_ms,
            speedup,
            bound,
            of_bound: speedup / bound,
            predicted_ms,
            late_predicted_ms: (!late.is_empty()).then(|| median(late)),
            verdict: shown.lab.runs.overall().unwrap_or("unchecked").to_owned(),
        })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
