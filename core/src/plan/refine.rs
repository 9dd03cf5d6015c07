//! Several starts annealed in races, and how the evaluations are shared out.

use rand_chacha::ChaCha8Rng;

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
    rounds: &[(24, 0.15), (16, 0.15), (10, 0.15), (7, 0.15), (4, 0.2), (2, 0.2)],
};

impl Search<'_> {
    /// Anneals the best of what was offered within `evaluations`: those from easier links and the best as they come,
    /// in rounds, the best of which enter the next.
    pub(crate) fn refine(&mut self, how: &Refinement, evaluations: u64, rng: &mut ChaCha8Rng) {
        let mut left = self.starts();
        let begun = self.evaluations;
        // A single start is a single worker.
        if left.len() > 1 {
            let eased = self.eased(how.easing, &left, evaluations, rng);
            left.truncate(how.kept);
            left.extend(eased);
        }
        for (at, &(count, share)) in how.rounds.iter().enumerate() {
            left.truncate(count);
            let rest: f64 = how.rounds[at..].iter().map(|round| round.1).sum();
            let remaining = evaluations.saturating_sub(self.evaluations - begun);
            let each = (remaining as f64 * share / rest) as u64 / left.len().max(1) as u64;
            let mut ended: Vec<(f64, Draft)> =
                left.iter().map(|start| self.anneal(start, each, rng)).collect();
            ended.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.cross(&mut ended);
            left = ended.into_iter().map(|(_, draft)| draft).collect();
        }
    }
}
