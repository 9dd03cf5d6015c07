//! Several starts annealed in races, and how the evaluations are shared out.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

use super::draft::Draft;
use super::ease::Easing;
use super::search::Search;

/// How evaluations are spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refinement {
    easing: Easing,
    /// So many of the best starts enter the races as they come, beside what easier links led to.
    kept: usize,
    /// How many plans are annealed in every round, and for which share of what is left; after each, plans are put together
    /// from two.
    rounds: &'static [(usize, f64)],
}

/// For some hundred changes.
pub(crate) const MENDING: Refinement = Refinement {
    easing: Easing { share: 0.2, ranked: 12, chains: 1, easiest: 0.5, stages: 1 },
    kept: 1,
    rounds: &[(2, 0.5), (1, 0.5)],
};

/// For the whole budget.
pub(crate) const REFINING: Refinement = Refinement {
    easing: Easing { share: 0.25, ranked: usize::MAX, chains: 20, easiest: 0.125, stages: 8 },
    kept: 4,
    rounds: &[(24, 0.15), (16, 0.15), (12, 0.15), (8, 0.15), (4, 0.2), (2, 0.2)],
};

/// What a chain draws its changes from: quicker than what its seed was drawn from, since it draws a dozen numbers for each.
pub(crate) fn chain_rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

impl<'a> Search<'a> {
    /// Anneals the best of what was offered within `evaluations`: those from easier links and the best as they come,
    /// in rounds, the best of which enter the next. The chains of a round are shared out over `helpers` and this.
    pub(crate) fn refine(
        &mut self,
        how: &Refinement,
        evaluations: u64,
        rng: &mut impl Rng,
        helpers: &mut [Self],
    ) {
        let mut left = self.starts();
        let begun = self.evaluations;
        // A single start is a single worker.
        if left.len() > 1 {
            let eased = self.eased(how.easing, &left, evaluations, rng, helpers);
            left.truncate(how.kept);
            left.extend(eased);
        }
        for (at, &(count, share)) in how.rounds.iter().enumerate() {
            left.truncate(count);
            let rest: f64 = how.rounds[at..].iter().map(|round| round.1).sum();
            let remaining = evaluations.saturating_sub(self.evaluations - begun);
            let each = (remaining as f64 * share / rest) as u64 / left.len().max(1) as u64;
            let chains: Vec<(Draft, u64)> = left.into_iter().map(|start| (start, rng.random())).collect();
            let mut ended = self.divide(helpers, &chains, |search, (start, seed)| {
                search.anneal(start, each, &mut chain_rng(*seed))
            });
            ended.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.cross(&mut ended, helpers);
            left = ended.into_iter().map(|(_, draft)| draft).collect();
        }
    }
}
