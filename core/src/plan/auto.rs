//! The best of several starts, refined: what the lab runs.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};
use crate::partition::Partition;

/// Starts that are refined.
const REFINED: usize = 3;
/// Share of the budget for all of them; the rest goes to the best.
const FIRST_ROUND: f64 = 0.5;

/// Best single workers, proportional rows for every subset by speed, levelled rows for the best subsets,
/// and what the caller brings; the best three are annealed.
#[derive(Clone, Debug, Default)]
pub struct Auto {
    /// Partitions to start from as well: the running one, a policy's. Those that do not fit are skipped.
    pub starts: Vec<Partition>,
}

impl Planner for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        search.try_singles();
        for start in &self.starts {
            let allowed = (0..start.workers()).all(|worker| {
                problem.allowed.get(worker).is_some_and(|&allowed| allowed) || !start.uses(worker)
            });
            if allowed && start.check(problem.network, problem.workers()).is_ok() {
                search.offer(Draft::of(start));
            }
        }
        let subsets = search.try_proportional();
        for members in subsets.iter().take(2) {
            search.try_levelled(members, true);
        }
        let starts: Vec<Draft> = search.starts().into_iter().take(REFINED).collect();
        let left = budget.evaluations.saturating_sub(search.evaluations);
        let each = (left as f64 * FIRST_ROUND) as u64 / starts.len().max(1) as u64;
        for start in &starts {
            search.anneal(start, each, &mut rng);
        }
        let best = search.best().map(|(_, draft)| draft.clone());
        let left = budget.evaluations.saturating_sub(search.evaluations);
        if let Some(best) = best {
            search.anneal(&best, left, &mut rng);
        }
        search.answer()
    }
}
