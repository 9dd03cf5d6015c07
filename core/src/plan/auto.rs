//! The best of several starts, refined: what the lab runs.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::draft::Draft;
use super::erl::{Portfolio, Room};
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};
use crate::partition::Partition;

/// Of what is spent on refining, the share spent on easier links, and how many plans enter the races beside those from there.
const EASED: f64 = 0.25;
const KEPT: usize = 4;
/// How many plans are annealed in every round, and for which share of the evaluations.
const REFINING: [(usize, f64); 4] = [(8, 0.15), (4, 0.15), (2, 0.2), (1, 0.5)];

/// What every simple planner answers, levelled rows for the best subsets, the shipped policies' plans and
/// what the caller brings; the best eight are annealed, the better of them longer. So it is never slower than any of them.
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
        let left = budget.evaluations.saturating_sub(search.evaluations);
        search.refine(left, &mut rng);
        search.answer()
    }
}

impl Search<'_> {
    /// Spends `evaluations` on the best of what was offered, some of it with transfers that only get as long as they are by and by.
    pub(crate) fn refine(&mut self, evaluations: u64, rng: &mut ChaCha8Rng) {
        let mut starts = self.starts();
        let mut left = evaluations;
        if starts.len() > 1 {
            let begun = self.evaluations;
            let eased = self.eased(&starts, (evaluations as f64 * EASED) as u64, rng);
            left = left.saturating_sub(self.evaluations - begun);
            starts.truncate(KEPT);
            starts.extend(eased);
        }
        self.race(starts, &REFINING, left, rng);
    }

    /// Anneals `starts`, the best first, within `evaluations`: in every round so many, for this share of
    /// the evaluations, of which the best enter the next.
    pub(crate) fn race(
        &mut self,
        mut starts: Vec<Draft>,
        rounds: &[(usize, f64)],
        evaluations: u64,
        rng: &mut ChaCha8Rng,
    ) {
        for &(count, share) in rounds {
            starts.truncate(count);
            let each = (evaluations as f64 * share) as u64 / starts.len().max(1) as u64;
            let mut ended: Vec<(f64, Draft)> =
                starts.iter().map(|start| self.anneal(start, each, rng)).collect();
            ended.sort_by(|a, b| a.0.total_cmp(&b.0));
            starts = ended.into_iter().map(|(_, draft)| draft).collect();
        }
    }
}
