//! The gradient agent as a planner of its own: it learns on the one problem it is asked about.

use super::trainer::{Part, Trainer};
use crate::plan::search::Search;
use crate::plan::{Budget, Draft, Plan, Planner, Problem};

/// An agent without a population and without training before, for comparison: from random weights, as many
/// generations on the problem as the budget allows.
#[derive(Clone, Copy, Debug)]
pub struct AgentAlone;

impl Planner for AgentAlone {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let mut trainer = Trainer::new(vec![problem.network.clone()], &[Part::Population], budget.seed);
        let mut spent = 0;
        while spent < budget.evaluations {
            let generation = trainer.generation_on(std::slice::from_ref(problem));
            if generation.evaluations == spent {
                break;
            }
            spent = generation.evaluations;
            if let Some(agent) = trainer.standings(problem).agent {
                search.offer(Draft::of(&agent.partition));
            }
        }
        let plan = search.answer()?;
        Some(Plan { evaluations: plan.evaluations + spent, ..plan })
    }
}
