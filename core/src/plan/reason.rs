//! Why a plan is better or worse than another: computing, transfers, recomputed halo rows, waiting.
//!
//! A run's latency is the sum along its critical path, walked back from the last row the lab receives. What
//! happens beside that path, such as waiting and most of the recomputed rows, explains it.

use super::{Plan, Problem};
use crate::event::{PredictedSpan, SpanKind};
use crate::id::{Node, WorkerId};
use crate::partition::{Block, Partition};

/// Times within this many ms are the same moment.
const SAME: f64 = 1e-7;
/// Parts of a latency below this share of it are not worth a word.
const WORTH_SAYING: f64 = 0.005;

/// Where one worker's time goes in one run, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerAccount {
    /// Computing, recomputed rows included.
    pub compute_ms: f64,
    /// Of that, for rows that another worker computes as well, and for computing in pieces.
    pub halo_ms: f64,
    /// Its link is busy.
    pub send_ms: f64,
    /// Waiting for rows of others.
    pub wait_ms: f64,
}

/// Where the time of one run goes, ms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// When the lab has the output.
    pub finish_ms: f64,
    /// Of that, computing along the critical path.
    pub compute_ms: f64,
    /// Of that, transfers along the critical path, with their delay.
    pub transfer_ms: f64,
    /// Every worker.
    pub workers: Vec<WorkerAccount>,
}

impl Account {
    /// Recomputed rows of all workers, ms.
    pub fn halo_ms(&self) -> f64 {
        self.workers.iter().map(|worker| worker.halo_ms).sum()
    }

    /// Waiting of all workers, ms.
    pub fn wait_ms(&self) -> f64 {
        self.workers.iter().map(|worker| worker.wait_ms).sum()
    }
}

impl Problem<'_> {
    /// Where the time of `plan` goes.
    pub fn account(&self, plan: &Plan) -> Account {
        let mut account = Account {
            finish_ms: plan.timeline.finish_ms,
            workers: vec![WorkerAccount::default(); self.workers()],
            ..Account::default()
        };
        for span in &plan.timeline.spans {
            let Node::Worker(worker) = span.node else { continue };
            let Some(worker) = account.workers.get_mut(worker.index()) else { continue };
            let ms = span.end_ms - span.start_ms;
            match span.kind {
                SpanKind::Compute => worker.compute_ms += ms,
                SpanKind::Send => worker.send_ms += ms,
                SpanKind::Wait => worker.wait_ms += ms,
                // Counted with its sender.
                SpanKind::Receive => {}
            }
        }
        for (worker, account) in account.workers.iter_mut().enumerate() {
            let useful: f64 = plan.partition.blocks.iter().map(|block| self.useful_ms(worker, block)).sum();
            account.halo_ms = (account.compute_ms - useful).max(0.0);
        }
        (account.compute_ms, account.transfer_ms) =
            self.critical(&plan.timeline.spans, plan.timeline.finish_ms);
        account
    }

    /// What `worker` would compute for its rows of `block` if no row were computed twice, ms.
    fn useful_ms(&self, worker: usize, block: &Block) -> f64 {
        let rows = block.rows(worker);
        if rows.is_empty() {
            return 0.0;
        }
        let span = block.span();
        let height = self.network.cut(span.end).rows;
        let all = self.network.demand(&span, crate::rows::Rows::all(height));
        let share = f64::from(rows.len()) / f64::from(height);
        let first = self.network.layers_of(&span).start;
        let layers = all.layers.iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        layers
            .map(|(offset, rows)| {
                let cost = self.costs.layer(self.network, worker, first + offset);
                cost.call_ms + share * f64::from(rows.len()) * cost.row_ms
            })
            .sum()
    }

    /// Computing and transfers along the critical path, ms.
    fn critical(&self, spans: &[PredictedSpan], finish_ms: f64) -> (f64, f64) {
        let delay =
            |span: &PredictedSpan| span.peer.map_or(0.0, |peer| self.costs.link(span.node, peer).delay_ms);
        let arrives = |to: Node, at: f64| {
            let sends = spans.iter().filter(|span| span.kind == SpanKind::Send && span.peer == Some(to));
            sends.min_by(|a, b| {
                let off = |span: &PredictedSpan| (span.end_ms + delay(span) - at).abs();
                off(a).total_cmp(&off(b))
            })
        };
        let ends = |node: Node, kind: SpanKind, at: f64| {
            let same = |span: &&PredictedSpan| (span.end_ms - at).abs() < SAME && span.end_ms > span.start_ms;
            spans.iter().filter(|span| span.node == node && span.kind == kind).find(same)
        };
        let (mut compute, mut transfer) = (0.0, 0.0);
        let mut next = arrives(Node::Lab, finish_ms);
        // A transfer that only holds up the next one on its link is on the path without its delay.
        let mut awaited = true;
        for _ in 0..=spans.len() {
            let Some(span) = next else { break };
            let (node, start) = (span.node, span.start_ms);
            let ms = span.end_ms - start;
            let sending = span.kind == SpanKind::Send;
            if sending {
                transfer += ms + if awaited { delay(span) } else { 0.0 };
            } else {
                compute += ms;
            }
            awaited = false;
            next = ends(node, SpanKind::Compute, start);
            if next.is_none() && sending {
                next = ends(node, SpanKind::Send, start);
            }
            if next.is_none() && !sending {
                awaited = true;
                next = arrives(node, start).filter(|send| (send.end_ms + delay(send) - start).abs() < SAME);
            }
        }
        (compute, transfer)
    }

    /// Why `plan` is faster or slower than `other`, which `label` names in the middle of a sentence.
    pub fn explain(&self, plan: &Plan, other: &Plan, label: &str) -> String {
        let (now, then) = (self.account(plan), self.account(other));
        let because = self.because(plan, other, &now, &then);
        format!("{} {because}", self.compare(plan, &now, &then, label)).trim_end().to_owned()
    }

    /// The same without how long either takes and where, for where that is said as it is learnt anew.
    pub fn reasons(&self, plan: &Plan, other: &Plan) -> String {
        self.because(plan, other, &self.account(plan), &self.account(other))
    }

    fn because(&self, plan: &Plan, other: &Plan, now: &Account, then: &Account) -> String {
        let mut sentences = Vec::new();
        if let Some(owner) = plan.partition.single_owner()
            && other.partition.single_owner().is_none()
        {
            sentences.push(one_is_better(owner, now, then));
        } else {
            if now.halo_ms() > WORTH_SAYING * now.finish_ms {
                sentences
                    .push(format!("Rows computed twice take {} of all workers together.", ms(now.halo_ms())));
            }
            sentences.extend(longest_wait(now));
        }
        let idle = self.candidates().filter(|&worker| !plan.partition.uses(worker));
        let shared = plan.partition.single_owner().is_none();
        sentences.extend(idle.filter(|_| shared).map(|worker| self.why_left_out(plan, now, worker)));
        sentences.join(" ")
    }

    fn compare(&self, plan: &Plan, now: &Account, then: &Account, label: &str) -> String {
        let owners: Vec<String> = (0..self.workers())
            .filter(|&worker| plan.partition.uses(worker))
            .map(|worker| WorkerId::at(worker).to_string())
            .collect();
        let ratio = then.finish_ms / now.finish_ms;
        format!(
            "{} on {}: {ratio:.2} × {label} ({}); on the critical path {}.",
            ms(now.finish_ms),
            owners.join(", "),
            ms(then.finish_ms),
            along(now, then),
        )
    }

    /// Why `worker` has no rows: what happens when it gets its share of every block of `plan`.
    fn why_left_out(&self, plan: &Plan, now: &Account, worker: usize) -> String {
        let name = WorkerId::at(worker);
        let with = self.cost(self.with_share(&plan.partition, worker));
        if !with.partition.uses(worker) {
            return format!("{name} is too slow for a single row: left out.");
        }
        if !super::memory::fits(self, &with.partition) {
            return format!("{name} has too little memory for a share: left out.");
        }
        let then = self.account(&with);
        let own = then.workers[worker];
        let useful = own.compute_ms - own.halo_ms;
        let lost = then.finish_ms - now.finish_ms;
        if lost <= 0.0 {
            return format!("{name} was not found to help by more than it costs: left out.");
        }
        let because = if own.halo_ms > useful {
            format!("costs more in halo rows ({}) than it computes ({})", ms(own.halo_ms), ms(useful))
        } else if then.transfer_ms - now.transfer_ms > lost {
            format!("would add {} of transfers", ms(then.transfer_ms - now.transfer_ms))
        } else {
            format!("would make the run {} longer", ms(lost))
        };
        format!("{name} {because}: left out.")
    }

    /// `partition` with a proportional share for `worker` in every block that has several owners.
    fn with_share(&self, partition: &Partition, worker: usize) -> Partition {
        let speeds = self.speeds();
        let mut partition = partition.clone();
        for block in partition.blocks.iter_mut().filter(|block| block.owners().count() > 1) {
            let mut shares: Vec<f64> =
                (0..self.workers()).map(|other| f64::from(block.rows(other).len())).collect();
            let speed: f64 = block.owners().map(|owner| speeds[owner]).sum();
            shares[worker] = shares.iter().sum::<f64>() * speeds[worker] / speed;
            let rows = self.network.cut(block.span().end).rows;
            *block = Block::shared(block.span(), rows, &shares);
        }
        partition
    }
}

/// What changes on the critical path.
fn along(now: &Account, then: &Account) -> String {
    let change = |what: &str, by: f64| format!("{what} {}{}", if by < 0.0 { "−" } else { "+" }, ms(by.abs()));
    let computing = change("computing", now.compute_ms - then.compute_ms);
    format!("{computing}, {}", change("transfers", now.transfer_ms - then.transfer_ms))
}

fn one_is_better(owner: WorkerId, now: &Account, then: &Account) -> String {
    let saved = now.compute_ms - then.compute_ms;
    let transfers = then.transfer_ms - now.transfer_ms;
    let halo = then.halo_ms();
    let outcome = if saved <= 0.0 {
        format!("sharing saves no computing on the critical path (rows computed twice: {})", ms(halo))
    } else {
        format!("sharing saves {} of computing but adds {} of transfers", ms(saved), ms(transfers.max(0.0)))
    };
    let verdict =
        if then.finish_ms >= now.finish_ms { "One device is better" } else { "One device is slower" };
    format!("{verdict} ({owner}): {outcome}.")
}

fn longest_wait(account: &Account) -> Option<String> {
    let waits = account.workers.iter().enumerate();
    let (worker, most) = waits.max_by(|a, b| a.1.wait_ms.total_cmp(&b.1.wait_ms))?;
    let worth = most.wait_ms > 0.05 * account.finish_ms;
    worth.then(|| format!("{} waits {}.", WorkerId::at(worker), ms(most.wait_ms)))
}

/// Milliseconds with three significant digits.
fn ms(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0} ms"),
        value if value >= 10.0 => format!("{value:.1} ms"),
        value => format!("{value:.2} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Device, LinkClass, costs, random_fleet};
    use super::*;
    use crate::network::samples::{chain, named};
    use crate::plan::{BestSingle, Budget, Planner, Proportional, planner};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn computing_and_transfers_on_the_critical_path_are_the_whole_latency() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for name in ["alexnet", "mobilenetv2", "upconv7"] {
            let network = named(name).unwrap();
            for count in [1, 3, 5] {
                let (devices, lab) = random_fleet(&mut rng, count);
                let costs = costs(&network, &devices, lab);
                let allowed = vec![true; count];
                let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
                for planner in ["equal", "greedy", "dp"].map(|name| planner(name).unwrap()) {
                    let plan = planner.plan(&problem, Budget::default()).unwrap();
                    let account = problem.account(&plan);
                    let sum = account.compute_ms + account.transfer_ms;
                    let finish = account.finish_ms;
                    assert!(
                        (sum - finish).abs() < 1e-6 * finish,
                        "{name} {}: {sum} {finish}",
                        plan.partition
                    );
                }
            }
        }
    }

    #[test]
    fn one_device_is_said_to_be_better_where_links_are_slow() {
        let network = chain(64, 6);
        let costs = costs(&network, &[Device::of_speed(1.0, LinkClass::Far); 2], LinkClass::Far);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2], memory: &[] };
        let single = BestSingle.plan(&problem, Budget::default()).unwrap();
        let shared = problem.cost(Partition::parse("0-2:=/3-5:=", &network, 2).unwrap());
        let text = problem.explain(&single, &shared, "an equal split");
        assert!(text.contains("One device is better (A)"), "{text}");
        assert!(text.contains("of transfers"), "{text}");
    }

    #[test]
    fn a_worker_that_mostly_recomputes_is_said_to_cost_more_in_halo_rows_than_it_computes() {
        let network = chain(64, 12);
        let mut devices = vec![Device::of_speed(1.0, LinkClass::Gigabit); 2];
        devices.push(Device::of_speed(0.1, LinkClass::Gigabit));
        let costs = costs(&network, &devices, LinkClass::Gigabit);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
        let plan = problem.cost(Partition::parse("0-11:32,32,0", &network, 3).unwrap());
        let single = BestSingle.plan(&problem, Budget::default()).unwrap();
        let text = problem.explain(&plan, &single, "A alone");
        assert!(text.contains("C costs more in halo rows"), "{text}");
        assert!(text.contains("Rows computed twice"), "{text}");
        assert!(Proportional.plan(&problem, Budget::default()).is_some());
    }
}
