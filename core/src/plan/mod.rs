//! Planners: all answer the same problem and are judged by the same cost, the simulated schedule.

mod anneal;
mod auto;
mod beam;
mod correction;
mod costing;
mod crew;
mod critical;
mod crossing;
mod cuts;
mod draft;
mod ease;
pub mod erl;
mod exhaustive;
mod fill;
mod genome;
mod greedy;
mod handover;
mod leaps;
mod members;
mod memory;
mod moves;
mod peak;
mod proportional;
mod reason;
mod refine;
mod replan;
pub mod scenario;
mod search;
mod shifts;
mod single;
mod slides;
mod spans;
mod stages;
#[cfg(test)]
mod tests;

pub use anneal::Anneal;
pub use auto::Auto;
pub use beam::Beam;
pub use correction::{Correction, Corrector, Features, Misses};
pub use costing::{Costing, State};
pub use crew::HELPER;
pub use draft::{Draft, Pair};
pub use erl::{Erl, Reach};
pub use exhaustive::Exhaustive;
pub use genome::{CrossEntropy, Evolution, RandomSearch, Strategy};
pub use greedy::Greedy;
pub use peak::{loaded_memory, loading_memory, maps_of_partition, peak_memory};
pub use proportional::{Bisection, CutProgram, Equal, EqualPerUnit, Proportional};
pub use reason::{Account, WorkerAccount};
pub use search::Budget;
pub use single::BestSingle;

use crate::event::{PredictedLayer, Proposal};
use crate::id::PartitionId;
use crate::network::Network;
use crate::partition::Partition;
use crate::predict::{Costs, MODEL};
use crate::rows::Rows;
use crate::schedule::Schedule;
use crate::simulate::{Timeline, simulate};

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// The network.
    pub network: &'a Network,
    /// What strips and transfers take.
    pub costs: &'a dyn Costs,
    /// Which workers may be given rows; one entry a worker.
    pub allowed: &'a [bool],
    /// Bytes that each worker has for feature maps beside the program and the network's weights, as
    /// [`maps_of_partition`] counts them; empty for no limits.
    pub memory: &'a [u64],
}

/// A partition with its simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The partition.
    pub partition: Partition,
    /// Its run.
    pub timeline: Timeline,
    /// How many partitions were costed to find it.
    pub evaluations: u64,
}

/// Finds a partition.
pub trait Planner {
    /// As `--planner` and the screen call it.
    fn name(&self) -> &'static str;

    /// The best partition this planner finds; `None` if no worker is allowed or nothing it found fits the
    /// workers' memory.
    ///
    /// `budget` bounds the search of planners that could go on for ever; others ignore it.
    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan>;
}

/// The planner called `name`.
pub fn planner(name: &str) -> Option<Box<dyn Planner + Send + Sync>> {
    match name {
        "best-single" => Some(Box::new(BestSingle)),
        "equal" => Some(Box::new(Equal)),
        "equal-per-unit" => Some(Box::new(EqualPerUnit)),
        "proportional" => Some(Box::new(Proportional)),
        "greedy" => Some(Box::new(Greedy)),
        "bisection" => Some(Box::new(Bisection)),
        "dp" => Some(Box::new(CutProgram)),
        "beam" => Some(Box::new(Beam)),
        "exhaustive" => Some(Box::new(Exhaustive)),
        "random" => Some(Box::new(RandomSearch)),
        "evolution" => Some(Box::new(Evolution)),
        "strategy" => Some(Box::new(Strategy)),
        "agent" => Some(Box::new(erl::AgentAlone)),
        "cem" => Some(Box::new(CrossEntropy)),
        "anneal" => Some(Box::new(Anneal)),
        "forward" => Some(Box::new(Erl::shipped(Reach::Forward))),
        "policy" => Some(Box::new(Erl::shipped(Reach::Mended))),
        "erl" => Some(Box::new(Erl::shipped(Reach::Refined))),
        "auto" => Some(Box::new(Auto::default())),
        _ => None,
    }
}

/// Every planner's name, the simplest first.
pub const PLANNERS: [&str; 19] = [
    "best-single",
    "equal",
    "equal-per-unit",
    "proportional",
    "greedy",
    "bisection",
    "dp",
    "beam",
    "exhaustive",
    "random",
    "evolution",
    "cem",
    "strategy",
    "agent",
    "anneal",
    "forward",
    "policy",
    "erl",
    "auto",
];

impl Problem<'_> {
    /// How many workers the fleet has.
    pub fn workers(&self) -> usize {
        self.allowed.len()
    }

    /// The allowed workers, in order.
    pub fn candidates(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.allowed.len()).filter(|&worker| self.allowed[worker])
    }

    /// How fast each worker is: whole networks per ms, on its own and without transfers.
    pub fn speeds(&self) -> Vec<f64> {
        let units = 0..self.network.units.len();
        let rows = Rows::all(self.network.cut(units.end).rows);
        let alone = |worker| self.costs.strip_ms(self.network, worker, &units, rows).max(1e-9);
        (0..self.workers()).map(|worker| 1.0 / alone(worker)).collect()
    }

    /// Simulates `partition`.
    pub fn cost(&self, partition: Partition) -> Plan {
        let schedule = Schedule::new(self.network, &partition);
        let timeline = simulate(self.network, &schedule, self.costs);
        Plan { partition, timeline, evaluations: 1 }
    }

    /// The predicted layers of a plan.
    pub fn layers(&self, plan: &Plan) -> Vec<PredictedLayer> {
        self.costs.layers(self.network, &plan.partition)
    }

    /// A plan as it is announced under number `id`.
    pub fn propose(&self, id: PartitionId, planner: &str, plan: Plan, reason: String) -> Proposal {
        Proposal {
            partition: id,
            planner: planner.to_owned(),
            predicted_ms: Some(plan.timeline.finish_ms),
            layers: self.layers(&plan),
            spans: plan.timeline.spans,
            plan: plan.partition,
            reason: if reason.is_empty() { format!("predicted from {MODEL}") } else { reason },
        }
    }
}
