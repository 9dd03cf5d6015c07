//! What a plan's latency hangs on: the worker, block by block, whose work or rows everything waited for.
//!
//! Only a change that shortens this path makes a plan faster (for schedules of shops: Nowicki and Smutnicki 1996),
//! so a part of the search's changes is aimed at it.

use rand::{Rng, RngExt};

use super::draft::Draft;
use super::search::Search;
use super::shifts::{owners, step};

/// How often rows go to a neighbour, not to any owner of the block.
const NEAR: f64 = 0.5;
/// How often the blocks around that hang on the same worker are changed as well.
const ALONG: f64 = 0.5;
/// So many blocks are looked at for one that is shared.
const DRAWN: usize = 4;

impl Search<'_> {
    /// Takes rows of block `index`, or of another if that has one owner, from the worker it hangs on, by `path`, and gives
    /// them to another owner; who is between the two keeps as many as before.
    pub(crate) fn relieve(
        &self,
        draft: &mut Draft,
        path: &[usize],
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let is_shared = |at: &usize| owners(draft.block(*at)).nth(1).is_some();
        let drawn = std::iter::once(index).chain((1..DRAWN).map(|_| rng.random_range(0..draft.len())));
        let index = drawn.into_iter().find(is_shared)?;
        let worker = *path.get(index)?;
        let others = || owners(draft.block(index)).filter(|&other| other != worker);
        let taker = if rng.random_bool(NEAR) {
            let above = others().take_while(|&other| other < worker).last();
            let below = others().find(|&other| other > worker);
            let (first, second) = if rng.random_bool(0.5) { (above, below) } else { (below, above) };
            first.or(second)?
        } else {
            others().nth(rng.random_range(0..others().count().max(1)))?
        };
        let (mut first, mut end) = (index, index + 1);
        if rng.random_bool(ALONG) {
            while first > 0 && path[first - 1] == worker {
                first -= 1;
            }
            while path.get(end) == Some(&worker) {
                end += 1;
            }
        }
        let height = i64::from(self.rows(draft.ends[index]));
        let by = step(height, rng).unsigned_abs();
        let mut changed = None;
        for at in first..end {
            let rows = u64::from(self.rows(draft.ends[at]));
            let by = (by * rows / height as u64).max(1) as u32;
            let by = by.min(draft.rows(at, worker).len());
            if by == 0 || draft.rows(at, taker).is_empty() {
                continue;
            }
            let bounds = draft.block_mut(at);
            if worker < taker {
                bounds[worker + 1..=taker].iter_mut().for_each(|bound| *bound -= by);
            } else {
                bounds[taker + 1..=worker].iter_mut().for_each(|bound| *bound += by);
            }
            changed = changed.or(Some(at));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::chain;
    use crate::plan::Problem;
    use crate::predict::{LinkCost, RatePerWorker};

    #[test]
    fn equal_shares_hang_on_the_slowest_worker_and_relieving_it_makes_them_faster() {
        let network = chain(96, 6);
        let link = LinkCost::new(940.0, 0.2);
        let costs = RatePerWorker { macs_per_ms: vec![1e5, 1e4, 1e5], links: vec![link; 3], lab: link };
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
        let mut search = Search::new(&problem).unwrap();
        let mut draft = Draft::new(3);
        (1..=6).for_each(|to| draft.push(to, &search.in_proportion(to, &[1.0; 3])));
        let mut states = vec![search.costing.state()];
        search.costing.open(draft.ends[0], draft.block(0), &mut states[0]);
        for index in 1..draft.len() {
            let mut next = search.costing.state();
            search.costing.step(&states[index - 1], draft.ends[index], draft.block(index), &mut next);
            states.push(next);
        }
        let mut path = Vec::new();
        search.costing.critical(&states, &mut path);
        assert_eq!(path, [1; 6]);
        let before = search.cost(&draft);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for index in [2, 4] {
            let had: Vec<u32> = (0..3).map(|worker| draft.rows(index, worker).len()).collect();
            search.relieve(&mut draft, &path, index, &mut rng).unwrap();
            let has: Vec<u32> = (0..3).map(|worker| draft.rows(index, worker).len()).collect();
            assert!(has[1] < had[1] && has.iter().sum::<u32>() == 96, "{had:?} {has:?}");
        }
        assert!(search.cost(&draft) < before);
    }
}
