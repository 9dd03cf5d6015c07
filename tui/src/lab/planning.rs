//! When to propose another partition, and which.

use std::time::Duration;

use collab_core::event::Proposal;
use collab_core::id::PartitionId;
use collab_core::lab::Lab;
use collab_core::partition::{Partition, PartitionError};
use collab_core::plan::{BestSingle, Planner, Problem, planner};

/// A proposal must promise to be this much faster than the running partition…
const MARGIN: f64 = 0.03;
/// …over this many looks in a row.
const PATIENCE: u32 = 3;

/// A planner, and how long it has seen something better.
pub struct Planning {
    planner: Box<dyn Planner + Send + Sync>,
    /// Set if the operator gave the first partition by hand.
    given: Option<String>,
    better_for: u32,
    next_id: u32,
}

impl Planning {
    /// By planner name.
    pub fn new(name: &str, given: Option<String>) -> anyhow::Result<Self> {
        let planner = planner(name).ok_or_else(|| {
            let names = collab_core::plan::PLANNERS.join(", ");
            anyhow::anyhow!("there is no planner '{name}'; choose one of {names}")
        })?;
        Ok(Self { planner, given, better_for: 0, next_id: 1 })
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
        let network = lab.network.as_ref()?;
        let costs = lab.costs()?;
        let allowed = ready(lab);
        let problem = Problem { network, costs: &costs, allowed: &allowed };
        let plan = problem.cost(partition);
        Some(problem.propose(self.next_id(), by, plan, String::new()))
    }

    /// The planner's best partition for what the lab knows now.
    pub fn plan(&mut self, lab: &Lab) -> Option<Proposal> {
        let network = lab.network.as_ref()?;
        let costs = lab.costs()?;
        let allowed = ready(lab);
        let problem = Problem { network, costs: &costs, allowed: &allowed };
        let plan = self.planner.plan(&problem, Duration::from_millis(50))?;
        let single = BestSingle.plan(&problem, Duration::ZERO)?.timeline.finish_ms;
        let reason = match plan.partition.single_owner() {
            Some(owner) => {
                format!("{owner} alone is best: every split costs more in transfers than it saves")
            }
            None => format!(
                "×{:.2} over the best single worker, by {}",
                single / plan.timeline.finish_ms,
                collab_core::predict::MODEL
            ),
        };
        let name = self.planner.name();
        Some(problem.propose(self.next_id(), name, plan, reason))
    }

    /// A proposal if the running partition has been beaten long enough; to be asked after every run.
    pub fn reconsider(&mut self, lab: &Lab) -> Option<Proposal> {
        let running = lab.running()?;
        if lab.frozen || lab.proposal.is_some() {
            return None;
        }
        let network = lab.network.as_ref()?;
        let costs = lab.costs()?;
        let allowed = ready(lab);
        let problem = Problem { network, costs: &costs, allowed: &allowed };
        // Both by the same model and the same measurements, so that only the difference counts.
        let now = problem.cost(running.plan.clone()).timeline.finish_ms;
        let best = self.planner.plan(&problem, Duration::from_millis(50))?;
        if best.timeline.finish_ms > now * (1.0 - MARGIN) {
            self.better_for = 0;
            return None;
        }
        self.better_for += 1;
        if self.better_for < PATIENCE {
            return None;
        }
        self.better_for = 0;
        let gain = 1.0 - best.timeline.finish_ms / now;
        let reason = format!(
            "should be {:.0} % faster: {:.1} instead of {now:.1} ms, by {}",
            gain * 100.0,
            best.timeline.finish_ms,
            collab_core::predict::MODEL
        );
        let name = self.planner.name();
        Some(problem.propose(self.next_id(), name, best, reason))
    }
}

fn ready(lab: &Lab) -> Vec<bool> {
    lab.workers.iter().map(|worker| worker.is_ready()).collect()
}
