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
    /// Anneals from `start` for `steps` steps; the best plan it came by, with its latency.
    pub(crate) fn anneal(&mut self, start: &Draft, steps: u64, rng: &mut ChaCha8Rng) -> (f64, Draft) {
        let mut now = Current { draft: start.clone(), cost: 0.0, states: Vec::new() };
        let mut spare = Vec::new();
        let mut candidate = start.clone();
        if let Trial::Costed(cost, _) = self.try_change(&candidate, 0, f64::INFINITY, &now, &mut spare) {
            now.cost = cost;
        }
        std::mem::swap(&mut now.states, &mut spare);
        let unit = now.cost;
        let mut best = (now.cost, start.clone());
        let (hot, cold) = TEMPERATURE;
        let cooling = (cold / hot).ln() / steps.max(1) as f64;
        for step in 0..steps {
            let temperature = unit * hot * (cooling * step as f64).exp();
            candidate.copy(&now.draft);
            let Some(first) = self.change(&mut candidate, &now.states, rng) else { continue };
            // Drawn before the change is costed, so that costing may stop as soon as it exceeds the limit.
            let limit = now.cost - temperature * rng.random::<f64>().max(f64::MIN_POSITIVE).ln();
            let Trial::Costed(cost, known) = self.try_change(&candidate, first, limit, &now, &mut spare)
            else {
                continue;
            };
            if cost > limit {
                continue;
            }
            while now.states.len() < candidate.len() {
                now.states.push(self.costing.state());
            }
            let known = known.min(candidate.len());
            if first < known {
                now.states[first..known].swap_with_slice(&mut spare[first..known]);
            }
            std::mem::swap(&mut now.draft, &mut candidate);
            now.cost = cost;
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
        let (same, shift) = if self.problem.memory.is_empty() && !now.states.is_empty() {
            (count - draft.same_blocks_at_the_end(&now.draft), now.draft.len() as isize - count as isize)
        } else {
            (count, 0)
        };
        for index in first..count {
            let (end, bounds) = (draft.ends[index], draft.block(index));
            let (done, next) = spare.split_at_mut(index);
            match index.checked_sub(1) {
                None => self.costing.open(end, bounds, &mut next[0]),
                Some(before) if before < first => {
                    self.costing.step(&now.states[before], end, bounds, &mut next[0]);
                }
                Some(before) => self.costing.step(&done[before], end, bounds, &mut next[0]),
            }
            if index > same {
                let old = &now.states[index.wrapping_add_signed(shift)];
                let (least, most) = next[0].later_than(old);
                if now.cost + least > limit {
                    self.evaluations += 1;
                    return Trial::Rejected;
                }
                if shift == 0 && least == 0.0 && most == 0.0 {
                    return Trial::Costed(self.judge(draft, now.cost), index);
                }
            }
        }
        // A merge may leave the last block as it was.
        let last = count - 1;
        let state = if last < first { &now.states[last] } else { &spare[last] };
        let latency = self.costing.finish(state);
        Trial::Costed(self.judge(draft, latency), count)
    }
}
