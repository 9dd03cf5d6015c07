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
const TEMPERATURE: (f64, f64) = (0.003, 0.000_05);

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

impl Search<'_> {
    /// Anneals from `start` for `steps` steps; the search remembers the best. The latency where it ended.
    pub(crate) fn anneal(&mut self, start: &Draft, steps: u64, rng: &mut ChaCha8Rng) -> f64 {
        let mut now = Current { draft: start.clone(), cost: 0.0, states: Vec::new() };
        let mut spare = Vec::new();
        let mut candidate = start.clone();
        now.cost = self.simulate_from(&candidate, 0, &now.states, &mut spare);
        std::mem::swap(&mut now.states, &mut spare);
        let unit = now.cost;
        let (hot, cold) = TEMPERATURE;
        for step in 0..steps {
            let progress = step as f64 / steps as f64;
            let temperature = unit * hot * (cold / hot).powf(progress);
            candidate.copy(&now.draft);
            let Some(first) = self.change(&mut candidate, &now.states, rng) else { continue };
            let cost = self.simulate_from(&candidate, first, &now.states, &mut spare);
            let worse = cost - now.cost;
            if worse <= 0.0 || rng.random::<f64>() < (-worse / temperature).exp() {
                while now.states.len() < candidate.len() {
                    now.states.push(self.costing.state());
                }
                if first < candidate.len() {
                    now.states[first..candidate.len()].swap_with_slice(&mut spare[first..candidate.len()]);
                }
                now.draft.copy(&candidate);
                now.cost = cost;
            }
        }
        now.cost
    }

    /// The cost of `draft`, of which the blocks before `first` are simulated in `known`; the others'
    /// states are left in `spare`.
    fn simulate_from(&mut self, draft: &Draft, first: usize, known: &[State], spare: &mut Vec<State>) -> f64 {
        while spare.len() < draft.len() {
            spare.push(self.costing.state());
        }
        for index in first..draft.len() {
            let (end, bounds) = (draft.ends[index], draft.block(index));
            let (done, next) = spare.split_at_mut(index);
            match index.checked_sub(1) {
                None => self.costing.open(end, bounds, &mut next[0]),
                Some(before) if before < first => {
                    self.costing.step(&known[before], end, bounds, &mut next[0]);
                }
                Some(before) => self.costing.step(&done[before], end, bounds, &mut next[0]),
            }
        }
        // A merge may leave the last block as it was.
        let last = draft.len() - 1;
        let state = if last < first { &known[last] } else { &spare[last] };
        let latency = self.costing.finish(state);
        self.judge(draft, latency)
    }
}
