//! Everything on one worker: what collaboration must beat.

use std::time::Duration;

use super::{Plan, Planner, Problem, fastest};
use crate::id::WorkerId;
use crate::partition::Partition;

/// The fastest worker alone.
pub struct BestSingle;

impl Planner for BestSingle {
    fn name(&self) -> &'static str {
        "best-single"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Duration) -> Option<Plan> {
        let workers = problem.workers();
        let alone = |worker| Partition::single(problem.network, WorkerId::at(worker), workers);
        fastest(problem.candidates().map(|worker| problem.cost(alone(worker))))
    }
}
