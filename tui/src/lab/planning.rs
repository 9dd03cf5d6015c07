//! When to propose another partition, and which.

use collab_core::event::Proposal;
use collab_core::id::{PartitionId, WorkerId};
use collab_core::lab::Lab;
use collab_core::network::Network;
use collab_core::partition::{Partition, PartitionError};
use collab_core::plan::{BestSingle, Budget, Plan, Planner, Problem, planner};
use collab_core::predict::{FleetCosts, MODEL};

/// A proposal must promise to be this much faster than the running partition…
const MARGIN: f64 = 0.05;
/// …over this many looks in a row.
const PATIENCE: u32 = 3;
/// Runs of a partition before its measured latency is believed.
const BELIEVED: usize = 5;
/// Partitions costed at one look: few, because the lab's loop waits meanwhile.
const LOOK: u64 = 1_000;

/// A planner, and how long it has seen something better.
pub struct Planning {
    planner: Box<dyn Planner + Send + Sync>,
    /// Set if the operator gave the first partition by hand.
    given: Option<String>,
    /// Of the planner's random numbers.
    seed: u64,
    better_for: u32,
    next_id: u32,
    /// Measured over predicted latency of the last split that ran long enough: what the model leaves out.
    left_out: f64,
}

/// What is known at one moment.
struct Known<'a> {
    lab: &'a Lab,
    network: &'a Network,
    costs: FleetCosts,
    allowed: Vec<bool>,
    memory: Vec<u64>,
}

impl<'a> Known<'a> {
    fn of(lab: &'a Lab) -> Option<Self> {
        let (allowed, memory) = (lab.allowed(), lab.memory_limits());
        Some(Self { lab, network: lab.network.as_ref()?, costs: lab.costs()?, allowed, memory })
    }

    fn problem(&self) -> Problem<'_> {
        let Self { network, costs, allowed, memory, .. } = self;
        Problem { network, costs, allowed, memory }
    }

    /// What `owner` alone takes: as measured, at its CPU share of now.
    fn single_ms(&self, owner: WorkerId) -> Option<f64> {
        let worker = self.lab.worker(owner)?;
        Some(worker.single_ms? * 100.0 / worker.throttle.percent)
    }
}

impl Planning {
    /// By planner name.
    pub fn new(name: &str, given: Option<String>, seed: u64) -> anyhow::Result<Self> {
        let planner = planner(name).ok_or_else(|| {
            let names = collab_core::plan::PLANNERS.join(", ");
            anyhow::anyhow!("there is no planner '{name}'; choose one of {names}")
        })?;
        Ok(Self { planner, given, seed, better_for: 0, next_id: 1, left_out: 1.0 })
    }

    /// A number for the next partition.
    pub fn next_id(&mut self) -> PartitionId {
        let id = PartitionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// The partition to begin with: the operator's, else the planner's.
    pub fn first(&mut self, lab: &Lab) -> Result<Option<Proposal>, PartitionError> {
        if let (Some(text), Some(network)) = (self.given.take(), &lab.network) {
            let partition = Partition::parse(&text, network, lab.workers.len())?;
            return Ok(self.announce(lab, "given", partition));
        }
        Ok(self.plan(lab))
    }

    /// A partition by hand, as a proposal.
    pub fn announce(&mut self, lab: &Lab, by: &str, partition: Partition) -> Option<Proposal> {
        let known = Known::of(lab)?;
        let plan = known.problem().cost(partition);
        Some(known.problem().propose(self.next_id(), by, plan, String::new()))
    }

    /// The planner's best partition for what the lab knows now.
    pub fn plan(&mut self, lab: &Lab) -> Option<Proposal> {
        let known = Known::of(lab)?;
        let problem = known.problem();
        let plan = self.planner.plan(&problem, Budget { seed: self.seed, ..Budget::default() })?;
        let single = BestSingle.plan(&problem, Budget::default())?;
        let reason = match plan.partition.single_owner() {
            Some(owner) => {
                format!("{owner} alone is best: every split costs more in transfers than it saves")
            }
            None => {
                let by = single.timeline.finish_ms / plan.timeline.finish_ms;
                format!("×{by:.2} over the best single worker, by {MODEL}")
            }
        };
        let name = self.planner.name();
        Some(problem.propose(self.next_id(), name, plan, reason))
    }

    /// A proposal if the running partition has been beaten long enough; to be asked after runs.
    ///
    /// What was measured counts before what is predicted: a split is expected to take longer than predicted
    /// by the same factor as the last one that ran, a single worker to take what it took.
    pub fn reconsider(&mut self, lab: &Lab) -> Option<Proposal> {
        let running = lab.running()?;
        if lab.frozen || lab.proposal.is_some() {
            return None;
        }
        let known = Known::of(lab)?;
        let problem = known.problem();
        let predicted = problem.cost(running.plan.clone()).timeline.finish_ms;
        let measured = lab.runs.late_median(running.partition, BELIEVED)?;
        if running.plan.single_owner().is_none() {
            self.left_out = measured / predicted;
        }
        let (best, expected_ms) = self.best(&known)?;
        if best.partition == running.plan || expected_ms > measured * (1.0 - MARGIN) {
            self.better_for = 0;
            return None;
        }
        self.better_for += 1;
        if self.better_for < PATIENCE {
            return None;
        }
        self.better_for = 0;
        let gain = 100.0 * (1.0 - expected_ms / measured);
        let alone = best.partition.single_owner().map(|owner| format!("{owner} alone "));
        let reason = format!(
            "{}should be {gain:.0} % faster: {expected_ms:.1} instead of {measured:.1} ms, by {MODEL} and late runs",
            alone.unwrap_or_default()
        );
        let name = self.planner.name();
        let mut proposal = problem.propose(self.next_id(), name, best, reason);
        proposal.predicted_ms = Some(expected_ms);
        Some(proposal)
    }

    /// The planner's plan or the best single worker, whichever should be faster, and what it should take.
    fn best(&self, known: &Known<'_>) -> Option<(Plan, f64)> {
        let problem = known.problem();
        let expected = |plan: Plan| {
            let alone = plan.partition.single_owner().and_then(|owner| known.single_ms(owner));
            let expected = alone.unwrap_or(plan.timeline.finish_ms * self.left_out);
            (plan, expected)
        };
        let planned = expected(self.planner.plan(&problem, Budget { evaluations: LOOK, seed: self.seed })?);
        let singles = problem.candidates().map(|worker| {
            expected(problem.cost(Partition::single(known.network, WorkerId::at(worker), problem.workers())))
        });
        singles.chain([planned]).min_by(|a, b| a.1.total_cmp(&b.1))
    }
}
