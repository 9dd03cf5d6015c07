//! Boundaries that rows cross one way only: who is on one side never waits for who is on the other.
//!
//! Where links are slow, good plans hand rows on: from block to block a boundary moves by just as many rows as a strip
//! needs beyond its own. Single boundaries do not get there one by one, since each alone would be out of line.

use rand::{Rng, RngExt};

use super::draft::Draft;
use super::search::Search;
use super::shifts::{neighbours, owners};

/// Fewer blocks than this are changed at once, few as likely as twice as many.
const LONGEST: f64 = 4.0;
/// The same for all boundaries at once, on either side of a block.
const FARTHEST_TILTED: f64 = 8.0;
/// How often those are the boundaries of all owners.
const ALL: f64 = 0.5;

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
            let row = self.one_way(draft, at, lower, backward, frees_upper).clamp(low, high);
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

    /// Has the boundaries between neighbours, all or some that follow each other, run one way from block `index` on, and up to it: the
    /// upper, or the lower, of each two owners needs just its own rows for the block that follows. Shares of all but the outer workers
    /// hardly change.
    pub(crate) fn tilt(&mut self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let all: Vec<usize> = owners(draft.block(index)).collect();
        let pairs = all.len().checked_sub(1).filter(|&pairs| pairs > 0)?;
        let (one, other) = match rng.random_bool(ALL) {
            true => (0, pairs - 1),
            false => (rng.random_range(0..pairs), rng.random_range(0..pairs)),
        };
        let tilted = &all[one.min(other)..=one.max(other) + 1];
        let frees_upper = rng.random_bool(0.5);
        let mut changed = None;
        for backward in [true, false] {
            let farthest = rng.random_range(0.0..FARTHEST_TILTED.log2()).exp2() as usize;
            let farthest = if backward { farthest - rng.random_range(0..2) } else { farthest };
            for step in 1..=farthest {
                let at = if backward { index.checked_sub(step) } else { Some(index + step) };
                let Some(at) = at.filter(|&at| at < draft.len()) else { break };
                for pair in tilted.windows(2) {
                    let (upper, lower) = (pair[0], pair[1]);
                    let bounds = draft.block(at);
                    let (low, old) = (bounds[upper], bounds[lower]);
                    if bounds[upper + 1] != old || low == old || old == bounds[lower + 1] {
                        continue;
                    }
                    let height = bounds[draft.stride - 1];
                    let row = self.one_way(draft, at, lower, backward, frees_upper).max(low).min(height);
                    if row == old {
                        continue;
                    }
                    // Whoever is in the way gets fewer rows.
                    let bounds = draft.block_mut(at);
                    bounds[upper + 1..=lower].fill(row);
                    bounds[lower + 1..].iter_mut().for_each(|bound| *bound = row.max(*bound));
                    changed = Some(at.min(changed.unwrap_or(at)));
                }
            }
        }
        changed
    }

    /// Where the rows of `lower` have to begin in block `at` for the upper neighbour to need none of them, or for `lower` to need none of
    /// the neighbour's: given the block after that if `backward`, else the one before.
    fn one_way(&mut self, draft: &Draft, at: usize, lower: usize, backward: bool, frees_upper: bool) -> u32 {
        let later = if backward { at + 1 } else { at };
        let (from, to) = (draft.start(later), draft.ends[later]);
        self.costing.spans.span(from, to);
        let span = self.costing.spans.known(from, to);
        match (backward, frees_upper) {
            (true, true) => span.hi(draft.block(later)[lower]),
            (true, false) => span.lo(draft.block(later)[lower]),
            (false, true) => span.last_end(draft.block(at - 1)[lower]),
            (false, false) => span.first_start(draft.block(at - 1)[lower]),
        }
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
        let (mut changed, mut tilted) = (0, 0);
        on_any_problems(&mut rng, 60, |search, rng| {
            let (network, workers) = (search.problem.network, search.problem.workers());
            let start = Draft::of(&any_partition(rng, network, workers));
            for index in (0..start.len()).cycle().take(20) {
                let mut draft = start.clone();
                let tilts = rng.random_bool(0.5);
                let first = match tilts {
                    true => search.tilt(&mut draft, index, rng),
                    false => search.slide(&mut draft, index, rng),
                };
                let Some(first) = first else {
                    assert_eq!(draft, start, "what does not apply changes nothing");
                    continue;
                };
                (changed, tilted) = (changed + 1, tilted + usize::from(tilts));
                (0..first).for_each(|at| assert_eq!(draft.block(at), start.block(at)));
                assert_ne!(draft.block(first), start.block(first));
                search.mend(&mut draft, first);
                draft.partition().check(network, workers).unwrap();
            }
        });
        assert!(tilted > 60 && changed > tilted + 60, "{changed} {tilted}");
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
