//! Everything on one worker: what collaboration must beat.

use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};

/// The fastest worker alone.
pub struct BestSingle;

impl Planner for BestSingle {
    fn name(&self) -> &'static str {
        "best-single"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        search.answer()
    }
}
