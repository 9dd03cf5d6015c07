//! Local search with a falling temperature (Kirkpatrick 1983): what turns a good start into a very good plan.
//!
//! A change re-simulates only the blocks from the first one it touched.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::costing::State;
use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};

/// First and last temperature, as shares of the latency at the start.
const TEMPERATURE: (f64, f64) = (0.0027, 0.000_06);
/// At most so many changes are drawn for each that is costed.
const DRAWN: u64 = 4;

/// A change of many blocks is given up when the last worker is done with one of them later than before by this share of the
/// latency, beyond what the limit allows. That it could have come right again misses hardly any that would be taken.
const HOPELESS: f64 = 0.05;
/// As what part of an evaluation such a change counts; it takes about that long.
const GIVEN_UP: f64 = 0.7;

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
struct Current {
    draft: Draft,
    cost: f64,
    states: Vec<State>,
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
    pub(crate) fn anneal(&mut self, start: &Draft, evaluations: u64, rng: &mut ChaCha8Rng) -> (f64, Draft) {
        let mut now = Current { draft: start.clone(), cost: 0.0, states: Vec::new() };
        let mut spare = Vec::new();
        let mut candidate = start.clone();
        if let Trial::Costed(cost, _) = self.try_change(&candidate, 0, f64::INFINITY, &now, &mut spare) {
            now.cost = cost;
        }
        std::mem::swap(&mut now.states, &mut spare);
        let unit = now.cost;
        let mut best = (now.cost, start.clone());
        let mut path = Vec::new();
        self.costing.critical(&now.states[..now.draft.len()], &mut path);
        let (hot, cold) = TEMPERATURE;
        let cooling = (cold / hot).ln() / evaluations.max(1) as f64;
        let begun = self.evaluations;
        for _ in 0..evaluations * DRAWN {
            let spent = self.evaluations - begun;
            if spent >= evaluations {
                break;
            }
            let temperature = unit * hot * (cooling * spent as f64).exp();
            candidate.copy(&now.draft);
            let Some(first) = self.change(&mut candidate, &now.states, &path, rng) else { continue };
            if candidate == now.draft {
                continue;
            }
            // Drawn before the change is costed, so that costing may stop as soon as it exceeds the limit.
            let limit = now.cost - temperature * rng.random::<f64>().max(f64::MIN_POSITIVE).ln();
            let Trial::Costed(cost, known) = self.try_change(&candidate, first, limit, &now, &mut spare)
            else {
                continue;
            };
            if cost > limit {
                continue;
            }
            now.take(first, known, &candidate, &mut spare);
            std::mem::swap(&mut now.draft, &mut candidate);
            now.cost = cost;
            self.costing.critical(&now.states[..now.draft.len()], &mut path);
            if cost < best.0 {
                best.0 = cost;
                best.1.copy(&now.draft);
            }
        }
        best
    }

    /// Costs `draft`, which differs from `now` from block `first` on, and leaves new states in `spare`.
    ///
    /// Where both have the same blocks up to the end, times can only be passed on. If all of them are later
    /// than before by more than the limit allows, so is the end; if none has changed, nor has the end.
    /// Where blocks differ, it is given up if it is too late to hope for.
    /// (The order of a strip's pieces may bend that rule a little, which only misleads the search.)
    fn try_change(
        &mut self,
        draft: &Draft,
        first: usize,
        limit: f64,
        now: &Current,
        spare: &mut Vec<State>,
    ) -> Trial {
        let count = draft.len();
        while spare.len() < count {
            spare.push(self.costing.state());
        }
        // From this block on all are as before, `shift` places further on.
        let same =
            if now.states.is_empty() { count } else { count - draft.same_blocks_at_the_end(&now.draft) };
        let shift = now.draft.len() as isize - count as isize;
        let before = |index: usize| &now.states[index.wrapping_add_signed(shift)];
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
            // Both have come as far there.
            let compares = || shift == 0 && draft.ends[index - 1] == now.draft.ends[index - 1];
            if !now.states.is_empty() && index > first && index <= same && compares() && !self.limits.bind() {
                let late = next.last_computed() - before(index).last_computed();
                if late > limit - now.cost + HOPELESS * now.cost {
                    self.count_part(GIVEN_UP);
                    return Trial::Rejected;
                }
            }
            if index > same && !self.limits.bind() {
                let (least, most) = next.later_than(before(index));
                if now.cost + least > limit {
                    self.evaluations += 1;
                    return Trial::Rejected;
                }
                if shift == 0 && least == 0.0 && most == 0.0 {
                    return Trial::Costed(self.judge(draft, now.cost), index + 1);
                }
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
    /// Takes over the states that [`Search::try_change`] left in `spare` for blocks `first..known` of `draft`.
    fn take(&mut self, first: usize, known: usize, draft: &Draft, spare: &mut [State]) {
        let (old, new) = (self.draft.len(), draft.len());
        let same = new - draft.same_blocks_at_the_end(&self.draft);
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
        let draft = Draft::of(&any_partition(rng, network, workers));
        let mut now = Current { draft, cost: 0.0, states: Vec::new() };
        let mut spare = Vec::new();
        let start = now.draft.clone();
        let Trial::Costed(cost, _) = search.try_change(&start, 0, f64::INFINITY, &now, &mut spare) else {
            panic!()
        };
        now.cost = cost;
        std::mem::swap(&mut now.states, &mut spare);
        let mut pair = search.costing.pair();
        let (mut compared, mut path) = (0, Vec::new());
        for _ in 0..changes {
            let mut candidate = now.draft.clone();
            search.costing.critical(&now.states[..now.draft.len()], &mut path);
            let Some(first) = search.change(&mut candidate, &now.states, &path, rng) else { continue };
            let Trial::Costed(cost, known) =
                search.try_change(&candidate, first, f64::INFINITY, &now, &mut spare)
            else {
                panic!("rejected without a limit");
            };
            let whole = search.costing.latency(&candidate, &mut pair);
            assert!((cost - whole).abs() <= 1e-9 * whole, "{}: {cost} {whole}", network.name);
            compared += 1;
            now.take(first, known, &candidate, &mut spare);
            (now.draft, now.cost) = (candidate, cost);
        }
        compared
    }

    #[test]
    fn a_change_costs_what_the_whole_plan_does() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let mut compared = 0;
        for _ in 0..40 {
            let network = random(&mut rng, 9, 96);
            let workers = rng.random_range(1..7);
            compared += change_and_compare(&mut rng, &network, workers, 100);
        }
        compared += change_and_compare(&mut rng, &named("resnet50").unwrap(), 4, 300);
        assert!(compared > 2000, "{compared}");
    }
}
