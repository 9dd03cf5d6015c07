//! Local search with a falling temperature (Kirkpatrick 1983): what turns a good start into a very good plan.
//!
//! A change re-simulates only the blocks from the first one it touched.

use std::ops::Range;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::costing::State;
use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};

/// First and last temperature, as shares of the latency at the start.
const TEMPERATURE: (f64, f64) = (0.0027, 0.000_06);
/// At most so many changes are drawn for each that is costed.
const DRAWN: u64 = 4;

/// A change is given up when it looks as if it would take longer than the limit by this share of the latency. That it could
/// have come right again misses hardly any that would be taken.
const HOPELESS: f64 = 0.01;
/// As what part of an evaluation such a change counts: if strips alone were looked at, which takes 0.4 of one's time but finds
/// more if it counts as less, and if blocks were placed.
const FORESEEN: f64 = 0.25;
const GIVEN_UP: f64 = 0.8;

/// Annealing from the proportional plan.
pub struct Anneal;

impl Planner for Anneal {
    fn name(&self) -> &'static str {
        "anneal"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        search.try_proportional();
        let start = search.starts().into_iter().next()?;
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        let left = budget.evaluations.saturating_sub(search.evaluations);
        search.anneal(&start, left, &mut rng);
        search.answer()
    }
}

/// So many blocks after the last that changed its rows, everything but times is as before: a strip's pieces depend
/// on the rows of the block before and after its own.
const UNMOVED: usize = 2;

/// A draft with the simulated state after each of its blocks.
pub(crate) struct Current {
    pub(crate) draft: Draft,
    /// Its latency, ms.
    pub(crate) cost: f64,
    pub(crate) states: Vec<State>,
    /// What its latency hangs on, if that was asked for.
    pub(crate) path: Vec<usize>,
}

/// What came of a change.
enum Trial {
    /// It would take longer than the limit.
    Rejected,
    /// Its latency, ms; from this block on the states are those of before.
    Costed(f64, usize),
}

impl Search<'_> {
    /// Anneals from `start` until `evaluations` changes are costed; the best plan it came by, with its latency.
    ///
    /// Changes that do not apply, or that change nothing, are drawn anew and not counted.
    pub(crate) fn anneal(&mut self, start: &Draft, evaluations: u64, rng: &mut impl Rng) -> (f64, Draft) {
        let [states, mut spare] = std::mem::take(&mut self.states);
        let mut now = self.current(start, states, &mut spare);
        let mut candidate = Draft::new(self.problem.workers());
        let unit = now.cost;
        let mut best = (now.cost, start.clone());
        let (hot, cold) = TEMPERATURE;
        let cooling = (cold / hot).ln() / evaluations.max(1) as f64;
        let begun = self.evaluations;
        // Where it is no copy of the plan; before the first change and where blocks are more or fewer, everywhere.
        let mut stale: Option<Range<usize>> = None;
        for _ in 0..evaluations * DRAWN {
            let spent = self.evaluations - begun;
            if spent >= evaluations {
                break;
            }
            let temperature = unit * hot * (cooling * spent as f64).exp();
            match stale.take() {
                Some(blocks) => candidate.copy_blocks(&now.draft, blocks),
                None => candidate.copy(&now.draft),
            }
            let Some(first) = self.change(&mut candidate, &mut now, rng) else { continue };
            let Some(blocks) = candidate.differs_in(&now.draft, first) else {
                stale = Some(0..0);
                continue;
            };
            if candidate.len() == now.draft.len() {
                stale = Some(blocks.clone());
            }
            // Drawn before the change is costed, so that costing may stop as soon as it exceeds the limit.
            let limit = now.cost - temperature * rng.random::<f64>().max(f64::MIN_POSITIVE).ln();
            let Trial::Costed(cost, known) =
                self.try_change(&candidate, blocks.clone(), limit, &now, &mut spare)
            else {
                continue;
            };
            if cost > limit {
                continue;
            }
            let changed = now.take(blocks, known, &candidate, &mut spare);
            std::mem::swap(&mut now.draft, &mut candidate);
            now.cost = cost;
            self.costing.look_back(&mut now.states[..now.draft.len()], changed);
            if cost < best.0 {
                best.0 = cost;
                best.1.copy(&now.draft);
            }
        }
        self.states = [now.states, spare];
        best
    }

    /// Costs `draft`, whose states take the place of others in `states` and `spare`, and looks back from its end.
    pub(crate) fn current(&mut self, draft: &Draft, states: Vec<State>, spare: &mut Vec<State>) -> Current {
        let mut now =
            Current { draft: Draft::new(self.problem.workers()), cost: 0.0, states, path: Vec::new() };
        if let Trial::Costed(cost, _) = self.try_change(draft, 0..draft.len(), f64::INFINITY, &now, spare) {
            now.cost = cost;
        }
        now.draft.copy(draft);
        std::mem::swap(&mut now.states, spare);
        self.costing.look_back(&mut now.states[..draft.len()], 0..draft.len());
        now
    }

    /// Costs `draft`, which differs from `now`, if that has blocks, in blocks `changed`, and leaves new states in `spare`.
    ///
    /// Where both have the same blocks up to the end, times can only be passed on. If what lay behind one of them makes
    /// it exceed the limit, so does the end; if none has changed, nor has the end.
    /// Where blocks differ, it is given up if it is too late to hope for, and before that if somebody gets more rows than
    /// it has time for.
    /// (The order of a strip's pieces may bend that rule a little, which only misleads the search.)
    fn try_change(
        &mut self,
        draft: &Draft,
        changed: Range<usize>,
        limit: f64,
        now: &Current,
        spare: &mut Vec<State>,
    ) -> Trial {
        let count = draft.len();
        while spare.len() < count {
            spare.push(self.costing.state());
        }
        // What follows is as before, `shift` places further on.
        let (first, same) = (changed.start, changed.end);
        let shift = now.draft.len() as isize - count as isize;
        let before = |index: usize| &now.states[index.wrapping_add_signed(shift)];
        let hopeless = limit + HOPELESS * now.cost;
        // What exceeds a memory counts as slower, whatever it takes.
        let may_stop = now.draft.len() > 0 && !self.limits.bind();
        if may_stop && shift == 0 {
            let is_alike = |&index: &usize| draft.ends[index] == now.draft.ends[index];
            let is_too_much = |index: usize| {
                let (before, after) = (&now.states[index], &now.states[index + 1]);
                self.costing.is_too_much(before, draft.block(index), after, hopeless)
            };
            if (first..same.min(count - 1)).take_while(is_alike).any(is_too_much) {
                self.count_part(FORESEEN);
                return Trial::Rejected;
            }
        }
        for index in first..count {
            let (done, next) = spare.split_at_mut(index);
            let (end, bounds, next) = (draft.ends[index], draft.block(index), &mut next[0]);
            let state = match index.checked_sub(1) {
                None => None,
                Some(last) if last < first => Some(&now.states[last]),
                Some(last) => Some(&done[last]),
            };
            match state {
                None => self.costing.open(end, bounds, next),
                Some(state) if index >= same + UNMOVED => self.costing.again(state, before(index), next),
                Some(state) => self.costing.step(state, end, bounds, next),
            }
            if index == first || !may_stop {
                continue;
            }
            if index <= same {
                // Both have come as far there.
                let compares = shift == 0 && draft.ends[index - 1] == now.draft.ends[index - 1];
                if compares && next.likely_latency(&now.states[index]) > hopeless {
                    self.count_part(GIVEN_UP);
                    return Trial::Rejected;
                }
                continue;
            }
            let known = index.wrapping_add_signed(shift);
            if next.least_latency(&now.states[known]) > limit {
                self.evaluations += 1;
                return Trial::Rejected;
            }
            if shift == 0 && next.times_are_those_of(&now.states[known]) {
                return Trial::Costed(self.judge(draft, now.cost), index + 1);
            }
        }
        // A merge may leave the last block as it was.
        let last = count - 1;
        let latency = match last {
            _ if last < first => self.costing.finish(&now.states[last]),
            _ if last >= same + UNMOVED => self.costing.finish_again(&spare[last], before(last)),
            _ => self.costing.finish(&spare[last]),
        };
        Trial::Costed(self.judge(draft, latency), count)
    }
}

impl Current {
    /// Takes over the states that [`Search::try_change`] left in `spare` for the blocks of `draft` from the first of `changed` to
    /// `known`; which of them lie differently.
    fn take(
        &mut self,
        changed: Range<usize>,
        known: usize,
        draft: &Draft,
        spare: &mut [State],
    ) -> Range<usize> {
        let (old, new) = (self.draft.len(), draft.len());
        let (first, same) = (changed.start, changed.end);
        // What follows keeps its places, so that only times are exchanged there.
        if new > old {
            self.states.resize_with(self.states.len().max(new), || spare[0].clone());
            self.states[first..new].rotate_right(new - old);
        } else {
            self.states[first..old].rotate_left(old - new);
        }
        let moved = known.min(same + UNMOVED).max(first);
        let known = known.max(moved);
        self.states[first..moved].swap_with_slice(&mut spare[first..moved]);
        for (state, other) in self.states[moved..known].iter_mut().zip(&mut spare[moved..known]) {
            state.swap_clocks(other);
        }
        self.path.clear();
        first..moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::network::samples::{named, random};
    use crate::plan::draft::tests::{AnyCosts, any_partition};

    /// Makes `changes` random changes one after the other, each costed both ways.
    fn change_and_compare(rng: &mut ChaCha8Rng, network: &Network, workers: usize, changes: usize) -> usize {
        let costs = AnyCosts::random(rng, network, workers);
        let allowed = vec![true; workers];
        let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
        let mut search = Search::new(&problem).unwrap();
        let start = Draft::of(&any_partition(rng, network, workers));
        let mut now = Current { draft: Draft::new(workers), cost: 0.0, states: Vec::new(), path: Vec::new() };
        let mut spare = Vec::new();
        let Trial::Costed(cost, _) =
            search.try_change(&start, 0..start.len(), f64::INFINITY, &now, &mut spare)
        else {
            panic!()
        };
        (now.draft, now.cost) = (start, cost);
        std::mem::swap(&mut now.states, &mut spare);
        let mut pair = search.costing.pair();
        let mut compared = 0;
        for _ in 0..changes {
            let mut candidate = now.draft.clone();
            let Some(first) = search.change(&mut candidate, &mut now, rng) else { continue };
            let Some(blocks) = candidate.differs_in(&now.draft, first) else { continue };
            let Trial::Costed(cost, known) =
                search.try_change(&candidate, blocks.clone(), f64::INFINITY, &now, &mut spare)
            else {
                panic!("rejected without a limit");
            };
            let whole = search.costing.latency(&candidate, &mut pair);
            assert!((cost - whole).abs() <= 1e-9 * whole, "{}: {cost} {whole}", network.name);
            compared += 1;
            now.take(blocks, known, &candidate, &mut spare);
            (now.draft, now.cost) = (candidate, cost);
        }
        compared
    }

    #[test]
    fn a_change_costs_what_the_whole_plan_does() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let mut compared = 0;
        for _ in 0..44 {
            let network = random(&mut rng, 9, 96);
            let workers = rng.random_range(1..7);
            compared += change_and_compare(&mut rng, &network, workers, 100);
        }
        compared += change_and_compare(&mut rng, &named("resnet50").unwrap(), 4, 300);
        assert!(compared > 2000, "{compared}");
    }
}
