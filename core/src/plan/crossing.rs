//! Plans put together from two: the first blocks of one, then how another goes on (crossover: Holland 1975).
//!
//! What makes a plan good lies in stretches of blocks. Chains that were annealed apart have found different ones, and
//! single changes do not exchange a stretch, as every step between would be slower.

use super::costing::State;
use super::draft::Draft;
use super::search::Search;

/// So many of the best plans are put together.
const PARENTS: usize = 16;
/// As what part of an evaluation a plan counts that is given up two blocks after it was put together.
const GIVEN_UP: f64 = 0.5;

/// A plan whose beginning, or end, others may take.
struct Parent {
    draft: Draft,
    /// After each of its blocks, with what lies behind.
    states: Vec<State>,
}

impl Search<'_> {
    /// Adds to `pool`, whose plans go by latency in ms, for each of its best the fastest that begins as that one and
    /// goes on as another, if it is faster than the slowest of those.
    pub(crate) fn cross(&mut self, pool: &mut Vec<(f64, Draft)>, helpers: &mut [Self]) {
        let count = pool.len().min(PARENTS);
        if count < 2 {
            return;
        }
        let slowest = pool[count - 1].0;
        let parents: Vec<Parent> = pool[..count].iter().map(|(_, draft)| self.parent(draft)).collect();
        let firsts: Vec<usize> = (0..count).collect();
        let children = self.divide(helpers, &firsts, |search, &first| search.child(&parents, first, slowest));
        pool.extend(children.into_iter().flatten());
        pool.sort_by(|a, b| a.0.total_cmp(&b.0));
        pool.dedup_by(|a, b| a.1 == b.1);
    }

    /// The fastest plan that begins as parent `first` and goes on as another, if it takes less than `slowest` ms.
    fn child(&mut self, parents: &[Parent], first: usize, slowest: f64) -> Option<(f64, Draft)> {
        let mut room = [self.costing.state(), self.costing.state()];
        let mut child = Draft::new(self.problem.workers());
        let mut best: Option<(f64, Draft)> = None;
        let others = parents.iter().enumerate().filter(|other| other.0 != first);
        // Another search numbers grounds in another order, so that of its states only the tails can be read here.
        let first = &parents[first].draft;
        let states = self.states_of(first);
        for ((_, second), head) in others.flat_map(|other| (1..first.len()).map(move |head| (other, head))) {
            let from = child.put_together(first, head, &second.draft);
            if child == *first || child == second.draft {
                continue;
            }
            let limit = best.as_ref().map_or(slowest, |best| best.0);
            let (state, rest) = (&states[head - 1], &second.states[from..]);
            let Some(latency) = self.go_on(state, &child, head, rest, limit, &mut room) else {
                self.count_part(GIVEN_UP);
                continue;
            };
            let cost = self.judge(&child, latency);
            if cost < limit {
                best = Some((cost, child.clone()));
            }
        }
        best
    }

    fn parent(&mut self, draft: &Draft) -> Parent {
        let mut states = self.states_of(draft);
        self.costing.look_back(&mut states, 0..draft.len());
        Parent { draft: draft.clone(), states }
    }

    /// The states after all blocks of `draft`.
    fn states_of(&mut self, draft: &Draft) -> Vec<State> {
        let mut states: Vec<State> = Vec::with_capacity(draft.len());
        for index in 0..draft.len() {
            let mut state = self.costing.state();
            match states.last() {
                None => self.costing.open(draft.ends[index], draft.block(index), &mut state),
                Some(last) => self.costing.step(last, draft.ends[index], draft.block(index), &mut state),
            }
            states.push(state);
        }
        states
    }

    /// The latency of `child` in ms, of which `head` blocks were placed, the last of them with `state`; none once it cannot be less
    /// than `limit`. It goes on with the blocks of `rest`, the first of which may begin elsewhere.
    fn go_on(
        &mut self,
        state: &State,
        child: &Draft,
        head: usize,
        rest: &[State],
        limit: f64,
        [now, next]: &mut [State; 2],
    ) -> Option<f64> {
        self.costing.step(state, child.ends[head], child.block(head), now);
        for (index, known) in (head + 1..child.len()).zip(&rest[1..]) {
            self.costing.step(now, child.ends[index], child.block(index), next);
            if next.least_latency(known) >= limit {
                return None;
            }
            std::mem::swap(now, next);
        }
        Some(self.costing.finish(now))
    }
}

impl Draft {
    /// Becomes the first `head` blocks of `first` and what comes after them in `second`; from which block of that.
    fn put_together(&mut self, first: &Self, head: usize, second: &Self) -> usize {
        let cut = first.ends[head - 1];
        let from = second.ends.partition_point(|&end| end <= cut);
        self.ends.clear();
        self.bounds.clear();
        self.ends.extend_from_slice(&first.ends[..head]);
        self.ends.extend_from_slice(&second.ends[from..]);
        self.bounds.extend_from_slice(&first.bounds[..head * first.stride]);
        self.bounds.extend_from_slice(&second.bounds[from * second.stride..]);
        from
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::plan::draft::tests::{any_partition, on_any_problems};

    #[test]
    fn plans_put_together_are_partitions_that_take_what_is_said_and_no_other_pair_is_faster() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let (mut given, mut found) = (0, 0);
        on_any_problems(&mut rng, 60, |search, rng| {
            let (network, workers) = (search.problem.network, search.problem.workers());
            let mut parents: Vec<(f64, Draft)> = (0..4)
                .map(|_| Draft::of(&any_partition(rng, network, workers)))
                .map(|draft| (search.cost(&draft), draft))
                .collect();
            parents.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut pool = parents.clone();
            search.cross(&mut pool, &mut []);
            assert!(pool.is_sorted_by(|a, b| a.0 <= b.0));
            for (cost, draft) in &pool {
                draft.partition().check(network, workers).unwrap();
                let real = search.cost(draft);
                assert!((cost - real).abs() <= 1e-9 * real, "{cost} {real}");
            }
            // Of parents that are the same one is left.
            (given, found) = (given + parents.len(), found + pool.len());
            let mut child = Draft::new(workers);
            for (first, second) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
                for head in 1..parents[first].1.len() {
                    child.put_together(&parents[first].1, head, &parents[second].1);
                    let cost = search.cost(&child);
                    assert!(pool[0].0 <= cost * (1.0 + 1e-9), "{} {cost}", pool[0].0);
                }
            }
        });
        assert!(found > given + 60, "{found} {given}");
    }
}
