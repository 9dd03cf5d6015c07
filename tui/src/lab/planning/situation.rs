//! What is planned for at one moment, and the work of planning it: done beside the lab's loop.

use std::sync::Arc;

use collab_core::event::{Comparison, PredictedLayer, Proposal};
use collab_core::id::WorkerId;
use collab_core::lab::Lab;
use collab_core::network::Network;
use collab_core::partition::Partition;
use collab_core::plan::erl::Portfolio;
use collab_core::plan::{
    Account, BestSingle, Budget, Erl, Features, Plan, Planner, Problem, Proportional, Reach, planner,
};
use collab_core::predict::Costs;

use crate::contained::contained;
use crate::plan::planning_threads;

/// Everything that planning depends on, detached from the lab.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The network.
    pub network: Arc<Network>,
    /// What strips and transfers take now.
    pub costs: Arc<dyn Costs + Send + Sync>,
    /// Who may be given rows.
    pub allowed: Vec<bool>,
    /// Bytes each worker may use.
    pub memory: Vec<u64>,
    /// The running partition, unless a worker of it is gone.
    pub running: Option<Partition>,
    /// The partition that is offered instead, likewise.
    pub offered: Option<Partition>,
}

impl Situation {
    /// As the lab knows it; `None` before anything was measured.
    pub fn of(lab: &Lab) -> Option<Self> {
        let allowed = lab.allowed();
        let possible = |known: &Proposal| {
            let plan = &known.plan;
            let is_allowed = |at: usize| allowed.get(at).copied().unwrap_or(false);
            (0..plan.workers()).all(|at| is_allowed(at) || !plan.uses(at)).then(|| plan.clone())
        };
        let running = lab.running().and_then(possible);
        let offered = lab.proposal.and_then(|id| lab.partitions.get(&id)).and_then(possible);
        Some(Self {
            network: lab.network.clone()?,
            costs: Arc::new(lab.costs()?),
            allowed,
            memory: lab.memory_limits(),
            running,
            offered,
        })
    }

    /// As planners take it.
    pub fn problem(&self) -> Problem<'_> {
        let Self { network, costs, allowed, memory, .. } = self;
        Problem { network, costs: &**costs, allowed, memory }
    }
}

/// How hard to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Whether what was found before still holds.
    Look,
    /// The policies' plans, changed a little, and the simple planners: a first answer within milliseconds.
    First,
    /// The planner with its whole budget.
    Refine,
}

/// A piece of work for the planner.
#[derive(Debug)]
pub struct Task {
    /// What for.
    pub situation: Arc<Situation>,
    /// How hard.
    pub effort: Effort,
    /// The planner's name.
    pub planner: Arc<str>,
    /// Policies trained on this very fleet, if there are any.
    pub portfolio: Option<Portfolio>,
    /// Partitions found before.
    pub known: Vec<Partition>,
    /// Partitions not to be found.
    pub rejected: Vec<Partition>,
    /// Of everything random.
    pub seed: u64,
    /// Which change of conditions it answers.
    pub change: u64,
}

/// A plan, what it looks like and where its time goes.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The plan.
    pub plan: Plan,
    /// Where its time goes.
    pub account: Account,
    /// What the critic sees of it.
    pub features: Features,
}

/// What came of a [`Task`].
#[derive(Debug)]
pub struct Found {
    /// The work it answers.
    pub effort: Effort,
    /// The change of conditions it answers.
    pub change: u64,
    /// The situation.
    pub situation: Arc<Situation>,
    /// The running partition under the costs of now.
    pub running: Option<Judged>,
    /// What the offered partition takes under the costs of now, ms.
    pub offered_ms: Option<f64>,
    /// The best partition found, with the planner that found it.
    pub best: Option<(Judged, String)>,
    /// The predicted layers of the best.
    pub layers: Vec<PredictedLayer>,
    /// Each worker alone, as predicted now, ms; infinite for those that may not be given rows.
    pub singles_ms: Vec<f64>,
    /// Why the best is faster than the running one.
    pub reason: String,
    /// Planners that panicked, each with what it said.
    pub failures: Vec<String>,
}

impl Task {
    /// Does the work; takes milliseconds to some hundred.
    pub fn work(self) -> Found {
        let situation = self.situation.clone();
        let problem = situation.problem();
        let judge = |plan: Plan| {
            let account = problem.account(&plan);
            let features = Features::of(&plan, &account);
            Judged { plan, account, features }
        };
        let running = situation.running.clone().map(|plan| judge(problem.cost(plan)));
        let offered = situation.offered.clone().map(|plan| problem.cost(plan).timeline.finish_ms);
        let (best, failures) = self.best(&problem);
        let best = best.map(|(plan, name)| (judge(plan), name));
        let alone = |worker: usize| {
            let plan = Partition::single(&situation.network, WorkerId::at(worker), problem.workers());
            if problem.allowed[worker] { problem.cost(plan).timeline.finish_ms } else { f64::INFINITY }
        };
        let singles_ms: Vec<f64> = (0..problem.workers()).map(alone).collect();
        let layers = best.as_ref().map_or(Vec::new(), |(best, _)| problem.layers(&best.plan));
        let reason = best.as_ref().map_or(String::new(), |(best, _)| match &running {
            Some(running) if running.plan.partition == best.plan.partition => String::new(),
            Some(running) => problem.reasons(&best.plan, &running.plan),
            None => over_singles(&best.plan, &singles_ms),
        });
        let Self { effort, change, .. } = self;
        let situation = situation.clone();
        let offered_ms = offered;
        Found { effort, change, situation, running, offered_ms, best, layers, singles_ms, reason, failures }
    }

    /// The fastest of what is known, what the planner says and what simple planners say; and which of them failed.
    fn best(&self, problem: &Problem<'_>) -> (Option<(Plan, String)>, Vec<String>) {
        let fits = |plan: &&Partition| {
            let allowed = |at: usize| problem.allowed.get(at).copied().unwrap_or(false);
            plan.check(problem.network, problem.workers()).is_ok()
                && (0..plan.workers()).all(|at| allowed(at) || !plan.uses(at))
        };
        let known = self.known.iter().filter(fits).map(|plan| problem.cost(plan.clone()));
        let mut plans: Vec<(Plan, String)> = known.map(|plan| (plan, self.planner.to_string())).collect();
        let mut failures = Vec::new();
        // Beside a partition that runs, planning takes no more than one processor from the screen and from workers of this machine.
        let threads = if self.situation.running.is_some() { 1 } else { planning_threads() };
        let mut ask = |planner: &dyn Planner, name: &str, evaluations: u64| {
            let budget = Budget { evaluations, seed: self.seed, threads };
            let answer = contained(|| planner.plan(problem, budget));
            let answered = answer.is_ok();
            match answer {
                Ok(plan) => plans.extend(plan.map(|plan| (plan, name.to_owned()))),
                Err(words) => failures.push(format!("{name} failed: {words}")),
            }
            answered
        };
        let learns = matches!(&*self.planner, "erl" | "policy" | "auto");
        let learned = |reach: Reach| {
            // Those trained on this fleet first: a first answer asks only the first few.
            let members = self.portfolio.iter().chain([Portfolio::shipped()]);
            let members = members.flat_map(|portfolio| portfolio.members.clone()).collect();
            Erl { portfolio: Portfolio { members }, reach }
        };
        match self.effort {
            Effort::Look => {}
            Effort::First => {
                if learns {
                    ask(&learned(Reach::Mended), "policy", 0);
                }
                ask(&Proportional, Proportional.name(), 0);
                plans.extend(problem.candidates().map(|worker| {
                    let alone = Partition::single(problem.network, WorkerId::at(worker), problem.workers());
                    (problem.cost(alone), BestSingle.name().to_owned())
                }));
            }
            Effort::Refine => {
                let Budget { evaluations, .. } = Budget::default();
                let answered = match &*self.planner {
                    "erl" => ask(&learned(Reach::Refined), "erl", evaluations),
                    name => planner(name).is_some_and(|planner| ask(&*planner, name, evaluations)),
                };
                if learns || !answered {
                    ask(&Proportional, Proportional.name(), evaluations);
                }
            }
        }
        plans.retain(|(plan, _)| !self.rejected.contains(&plan.partition));
        let best = plans.into_iter().min_by(|a, b| a.0.timeline.finish_ms.total_cmp(&b.0.timeline.finish_ms));
        (best, failures)
    }
}

/// What a partition gains over the best worker alone, in a sentence.
fn over_singles(plan: &Plan, singles_ms: &[f64]) -> String {
    let others = singles_ms.iter().filter(|ms| ms.is_finite()).count() > 1;
    match plan.partition.single_owner() {
        Some(owner) if !others => format!("there is nobody but {owner}"),
        Some(owner) => format!("{owner} alone is best: every split costs more in transfers than it saves"),
        None => {
            let single = singles_ms.iter().copied().fold(f64::INFINITY, f64::min);
            format!("×{:.2} over the best worker alone, as predicted", single / plan.timeline.finish_ms)
        }
    }
}

/// The parts of a [`Comparison`] that accounts tell.
pub fn compare(new: &Account, now: &Account) -> Comparison {
    let compute = new.workers.iter().zip(&now.workers);
    Comparison {
        compute_ms: compute.map(|(new, now)| new.compute_ms - now.compute_ms).collect(),
        transfer_ms: new.transfer_ms - now.transfer_ms,
        halo_ms: new.halo_ms() - now.halo_ms(),
        wait_ms: new.wait_ms() - now.wait_ms(),
        ..Comparison::default()
    }
}
