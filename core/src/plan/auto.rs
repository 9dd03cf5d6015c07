//! The best of several starts, refined: what the lab runs.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::draft::Draft;
use super::erl::{Portfolio, Room};
use super::refine::REFINING;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};
use crate::partition::Partition;

/// What every simple planner answers, levelled rows for the best subsets, the shipped policies' plans and
/// what the caller brings; the best are annealed, the better of them longer. So it is never slower than any of them.
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
        let subsets = search.try_simple();
        for members in subsets.iter().take(2) {
            search.try_levelled(members, true);
        }
        for start in &self.starts {
            let allowed = (0..start.workers()).all(|worker| {
                problem.allowed.get(worker).is_some_and(|&allowed| allowed) || !start.uses(worker)
            });
            if allowed && start.check(problem.network, problem.workers()).is_ok() {
                search.offer(Draft::of(start));
            }
        }
        let mut room = Room::new(search);
        let drafts = Portfolio::shipped().all_drafts(&mut room);
        let mut search = room.search;
        drafts.into_iter().for_each(|draft| {
            search.offer(draft);
        });
        let left = search.bounded(budget.evaluations).saturating_sub(search.evaluations);
        let mut helpers = search.helpers(budget.threads);
        search.refine(&REFINING, left, &mut rng, &mut helpers);
        search.answer()
    }
}
