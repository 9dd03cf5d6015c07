//! Boundaries that rows cross one way only: who is on one side never waits for who is on the other.
//!
//! Where links are slow, good plans hand rows on: from block to block a boundary moves by just as many rows as a strip
//! needs beyond its own. Single boundaries do not get there one by one, since each alone would be out of line.

use rand::{Rng, RngExt};

use super::draft::Draft;
use super::search::Search;
use super::shifts::neighbours;

/// Fewer blocks than this are changed at once, few as likely as twice as many.
const LONGEST: f64 = 4.0;

impl Search<'_> {
    /// Moves a boundary of some blocks before `index`, or after, to where one of its two owners, the upper or the lower,
    /// needs just its own rows for the block that follows.
    pub(crate) fn slide(&mut self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let (upper, lower) = neighbours(draft, index, rng)?;
        let frees_upper = rng.random_bool(0.5);
        let length = (rng.random::<f64>() * LONGEST.log2()).exp2() as usize;
        let backward = rng.random_bool(0.5);
        let mut changed = None;
        for step in 1..=length {
            let at = if backward { index.checked_sub(step) } else { Some(index + step) };
            let Some(at) = at.filter(|&at| at < draft.len()) else { break };
            let bounds = draft.block(at);
            let (low, old, high) = (bounds[upper], bounds[lower], bounds[lower + 1]);
            if bounds[upper + 1] != old || low == old || old == high {
                break;
            }
            let later = if backward { at + 1 } else { at };
            let (from, to) = (draft.start(later), draft.ends[later]);
            self.costing.spans.span(from, to);
            let span = self.costing.spans.known(from, to);
            let row = match (backward, frees_upper) {
                (true, true) => span.hi(draft.block(later)[lower]),
                (true, false) => span.lo(draft.block(later)[lower]),
                (false, true) => span.last_end(draft.block(at - 1)[lower]),
                (false, false) => span.first_start(draft.block(at - 1)[lower]),
            };
            let row = row.clamp(low, high);
            if row != old {
                draft.block_mut(at)[upper + 1..=lower].fill(row);
                changed = Some(at.min(changed.unwrap_or(at)));
            }
            if row == low || row == high {
                break;
            }
        }
        changed
    }

    /// Moves boundaries of the block `from..to` away from the rows of `heir`, so far that nobody needs rows of who is nearer to
    /// it, if the block before has boundaries `before`.
    pub(crate) fn drift(&mut self, before: &[u32], from: usize, to: usize, heir: usize, bounds: &mut [u32]) {
        self.costing.spans.span(from, to);
        let span = self.costing.spans.known(from, to);
        for (bound, &before) in bounds[..=heir].iter_mut().zip(before) {
            *bound = (*bound).min(span.last_end(before));
        }
        let last = bounds.len() - 1;
        for (bound, &before) in bounds[heir + 1..last].iter_mut().zip(&before[heir + 1..]) {
            *bound = (*bound).max(span.first_start(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::chain;
    use crate::plan::Problem;
    use crate::plan::draft::tests::{AnyCosts, any_partition, on_any_problems};

    #[test]
    fn slides_lead_from_partitions_to_partitions() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut changed = 0;
        on_any_problems(&mut rng, 60, |search, rng| {
            let (network, workers) = (search.problem.network, search.problem.workers());
            let start = Draft::of(&any_partition(rng, network, workers));
            for index in (0..start.len()).cycle().take(20) {
                let mut draft = start.clone();
                let Some(first) = search.slide(&mut draft, index, rng) else {
                    assert_eq!(draft, start, "what does not apply changes nothing");
                    continue;
                };
                changed += 1;
                (0..first).for_each(|at| assert_eq!(draft.block(at), start.block(at)));
                assert_ne!(draft.block(first), start.block(first));
                search.mend(&mut draft, first);
                draft.partition().check(network, workers).unwrap();
            }
        });
        assert!(changed > 60, "{changed}");
    }

    #[test]
    fn drifting_rows_are_needed_by_nobody_farther_from_the_heir() {
        let network = chain(96, 6);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let costs = AnyCosts::random(&mut rng, &network, 4);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 4], memory: &[] };
        let mut search = Search::new(&problem).unwrap();
        let before = [0, 20, 50, 70, 96];
        for (heir, drifted) in [(0, [0, 22, 52, 72, 96]), (1, [0, 18, 52, 72, 96]), (3, [0, 18, 48, 68, 96])]
        {
            let mut bounds = before;
            search.drift(&before, 2, 4, heir, &mut bounds);
            assert_eq!(bounds, drifted, "two units of 3×3 convolutions need two rows beyond their own");
        }
    }
}
