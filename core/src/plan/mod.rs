//! Planners: all answer the same problem and are judged by the same cost, the simulated schedule.

mod costing;
mod draft;
mod proportional;
mod single;
mod spans;

use std::time::Duration;

pub use costing::{Costing, State};
pub use draft::{Draft, Pair};
pub use proportional::{Equal, Proportional};
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
}

/// A partition with its simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The partition.
    pub partition: Partition,
    /// Its run.
    pub timeline: Timeline,
}

/// Finds a partition.
pub trait Planner {
    /// As `--planner` and the screen call it.
    fn name(&self) -> &'static str;

    /// The best partition this planner finds; `None` if no worker is allowed.
    ///
    /// `budget` bounds the search of planners that could go on for ever; others ignore it.
    fn plan(&self, problem: &Problem<'_>, budget: Duration) -> Option<Plan>;
}

/// The planner called `name`.
pub fn planner(name: &str) -> Option<Box<dyn Planner + Send + Sync>> {
    match name {
        "best-single" => Some(Box::new(BestSingle)),
        "equal" => Some(Box::new(Equal)),
        "proportional" => Some(Box::new(Proportional)),
        _ => None,
    }
}

/// Every planner's name.
pub const PLANNERS: [&str; 3] = ["best-single", "equal", "proportional"];

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
        Plan { partition, timeline }
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

/// The fastest of `plans`; the first of equals.
fn fastest(plans: impl IntoIterator<Item = Plan>) -> Option<Plan> {
    plans.into_iter().reduce(
        |best, plan| {
            if plan.timeline.finish_ms < best.timeline.finish_ms { plan } else { best }
        },
    )
}
