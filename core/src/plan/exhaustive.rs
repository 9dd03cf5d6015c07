//! The true optimum of small problems: every cut, every row, depth first, with a bound.
//!
//! The bound: what remains, perfectly shared and without transfers, cannot be done before the workers' free
//! time has absorbed it. Worker `w` does at most a share `s_w` of the ideal team's work in a millisecond.

use super::costing::State;
use super::search::{Budget, Search};
use super::{Auto, Plan, Planner, Problem};

/// Depth-first search, where it can be finished.
pub struct Exhaustive;

/// Blocks placed before a proof is given up.
pub(crate) const PROOF: u64 = 5_000_000;

/// Milliseconds by which a better plan must be better, so that rounding does not keep the search busy.
const SLACK: f64 = 1e-9;

impl Planner for Exhaustive {
    fn name(&self) -> &'static str {
        "exhaustive"
    }

    /// The optimum; nothing where it cannot be proven.
    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let budget = Budget { evaluations: budget.evaluations.max(PROOF), ..budget };
        let solved = Self::is_feasible(problem).then(|| self.solve(problem, budget)).flatten();
        solved.and_then(|(plan, proven)| proven.then_some(plan))
    }
}

/// Plans, as a power of e, up to which a proof is worth trying.
const LN_PLANS: f64 = 21.0;

impl Exhaustive {
    /// Whether `problem` has so few plans that a proof may be expected within some million blocks.
    pub fn is_feasible(problem: &Problem<'_>) -> bool {
        let owners = problem.candidates().count();
        let ln_splits = |unit: &crate::network::Unit| -> f64 {
            let rows = match unit.split {
                crate::network::Split::Whole(_) => return (owners as f64).ln(),
                _ => f64::from(unit.output.rows),
            };
            (1..owners).map(|at| ((rows + at as f64) / at as f64).ln()).sum()
        };
        problem.network.units.iter().map(|unit| ln_splits(unit) + f64::ln(2.0)).sum::<f64>() <= LN_PLANS
    }

    /// The best plan, and whether it is proven that none is better.
    ///
    /// The budget counts blocks placed. With several workers, rows of `h` and `u` units it needs up to
    /// `(h^(workers − 1) / (workers − 1)!)^u` of them without the bound: fit for a handful of units.
    pub fn solve(&self, problem: &Problem<'_>, budget: Budget) -> Option<(Plan, bool)> {
        let start = Auto::default()
            .plan(problem, Budget { evaluations: budget.evaluations.min(20_000), ..budget })?;
        let mut search = Search::new(problem)?;
        search.cost(&super::Draft::of(&start.partition));
        let remaining = Remaining::new(&search);
        let states = (0..=search.units()).map(|_| search.costing.state()).collect();
        let mut walk =
            Walk { states, remaining, left: budget.evaluations, draft: super::Draft::new(problem.workers()) };
        walk.descend(&mut search, 0);
        let proven = walk.left > 0;
        search.evaluations += budget.evaluations - walk.left;
        search.answer().map(|plan| (plan, proven))
    }
}

/// What the units from one on take an ideal team, and how much of it a worker does at most.
struct Remaining {
    /// By unit: ms of the ideal team from there to the end.
    ideal: Vec<f64>,
    /// By unit, then by worker: the largest share of the team's rate from there to the end.
    share: Vec<Vec<f64>>,
}

impl Remaining {
    fn new(search: &Search<'_>) -> Self {
        let network = search.problem.network;
        let workers = search.problem.workers();
        let units = network.units.len();
        let rows = crate::rows::Rows::all(network.cut(units).rows);
        let demand = network.demand(&(0..units), rows);
        let mut ideal = vec![0.0; units + 1];
        let mut share: Vec<Vec<f64>> = vec![vec![0.0; workers]; units + 1];
        for unit in (0..units).rev() {
            let (first, end) = network.units[unit].layers;
            // Calls are left out: a worker without rows makes none.
            let alone = |worker: usize| -> f64 {
                let layers = first as usize..end as usize;
                let row_ms = |layer| search.problem.costs.layer(network, worker, layer).row_ms;
                layers.map(|layer| row_ms(layer) * f64::from(demand.layers[layer].len())).sum()
            };
            let rates: Vec<f64> = (0..workers)
                .map(|worker| if search.speeds[worker] > 0.0 { 1.0 / alone(worker).max(1e-12) } else { 0.0 })
                .collect();
            let team: f64 = rates.iter().sum();
            ideal[unit] = ideal[unit + 1] + 1.0 / team;
            share[unit] =
                (0..workers).map(|worker| share[unit + 1][worker].max(rates[worker] / team)).collect();
        }
        Self { ideal, share }
    }

    /// The earliest finish of the units from `unit` on when worker `w` is free from `free[w]` on, ms.
    fn bound(&self, unit: usize, free: &mut [(f64, f64)]) -> f64 {
        free.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut work, mut rate) = (self.ideal[unit], 0.0);
        let mut finish = 0.0;
        for at in 0..free.len() {
            rate += free[at].1;
            finish = free[at].0 + if rate > 0.0 { work / rate } else { f64::INFINITY };
            let Some(next) = free.get(at + 1) else { break };
            if finish <= next.0 {
                break;
            }
            work -= rate * (next.0 - free[at].0);
        }
        finish
    }
}

struct Walk {
    states: Vec<State>,
    remaining: Remaining,
    left: u64,
    draft: super::Draft,
}

impl Walk {
    fn descend(&mut self, search: &mut Search<'_>, depth: usize) {
        let from = self.draft.ends.last().copied().unwrap_or(0);
        if from == search.units() {
            let latency = search.costing.finish(&self.states[depth - 1]);
            search.judge(&self.draft, latency);
            return;
        }
        for to in (from + 1..=search.units()).rev() {
            let mut bounds = vec![0; search.problem.workers() + 1];
            self.rows(search, depth, to, 0, &mut bounds);
        }
    }

    /// Tries all rows of `worker` and those after it in the block that ends at `to`.
    fn rows(
        &mut self,
        search: &mut Search<'_>,
        depth: usize,
        to: usize,
        worker: usize,
        bounds: &mut Vec<u32>,
    ) {
        if self.left == 0 {
            return;
        }
        let height = search.rows(to);
        if worker == search.problem.workers() {
            if bounds[worker] == height {
                self.place(search, depth, to, bounds);
            }
            return;
        }
        let start = bounds[worker];
        let last = (worker + 1..search.problem.workers()).all(|other| search.speeds[other] == 0.0);
        let ends = if search.speeds[worker] == 0.0 {
            start..=start
        } else if last {
            height..=height
        } else {
            start..=height
        };
        for end in ends {
            let owns_a_part = end > start && (start > 0 || end < height);
            if owns_a_part && !search.shared(to) {
                continue;
            }
            bounds[worker + 1] = end;
            self.rows(search, depth, to, worker + 1, bounds);
        }
    }

    fn place(&mut self, search: &mut Search<'_>, depth: usize, to: usize, bounds: &[u32]) {
        self.left = self.left.saturating_sub(1);
        let (before, after) = self.states.split_at_mut(depth);
        match before.last() {
            None => search.costing.open(to, bounds, &mut after[0]),
            Some(state) => search.costing.step(state, to, bounds, &mut after[0]),
        }
        let state = &after[0];
        let (from, _) = state.units();
        let mut free = Vec::with_capacity(bounds.len());
        for worker in 0..bounds.len() - 1 {
            let (start, end) = (bounds[worker], bounds[worker + 1]);
            // A strip may be computed in pieces, some of them before the last row is there.
            let done = match start < end {
                true => state.computed(worker) + search.strip(from, to, worker, start, end),
                false => state.computed(worker),
            };
            free.push((done, self.remaining.share[to][worker]));
        }
        let busy = free.iter().map(|at| at.0).fold(0.0, f64::max);
        let bound = if to == search.units() { busy } else { self.remaining.bound(to, &mut free).max(busy) };
        if search.best().is_some_and(|(best, _)| bound >= best - SLACK) {
            return;
        }
        self.draft.push(to, bounds);
        self.descend(search, depth + 1);
        self.draft.remove(self.draft.len() - 1);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::random;
    use crate::plan::scenario::{costs, gap, random_fleet};

    /// Every plan of a problem so small that no bound is needed.
    fn by_hand(problem: &Problem<'_>) -> f64 {
        let mut search = Search::new(problem).unwrap();
        let mut best = f64::INFINITY;
        let units = search.units();
        for cuts in 0..1u32 << (units - 1) {
            let ends: Vec<usize> =
                (1..=units).filter(|&end| end == units || cuts >> (end - 1) & 1 == 1).collect();
            let heights: Vec<u32> = ends.iter().map(|&end| search.rows(end)).collect();
            let mut rows = vec![0; ends.len()];
            loop {
                let whole = |at: usize| search.shared(ends[at]) || rows[at] == 0 || rows[at] == heights[at];
                if (0..ends.len()).all(whole) {
                    let mut draft = crate::plan::Draft::new(2);
                    (0..ends.len()).for_each(|at| draft.push(ends[at], &[0, rows[at], heights[at]]));
                    best = best.min(search.cost(&draft));
                }
                let Some(at) = (0..ends.len()).find(|&at| rows[at] < heights[at]) else { break };
                rows[at] += 1;
                rows[..at].fill(0);
            }
        }
        best
    }

    #[test]
    fn the_bound_never_cuts_off_the_optimum() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for _ in 0..12 {
            let network = random(&mut rng, 2, 14);
            if network.units.iter().map(|unit| unit.output.rows as usize + 1).product::<usize>() > 40_000 {
                continue;
            }
            let (devices, lab) = random_fleet(&mut rng, 2);
            let costs = costs(&network, &devices, lab);
            let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2], memory: &[] };
            let budget = Budget { evaluations: 10_000_000, seed: 1, ..Budget::default() };
            let (plan, proven) = Exhaustive.solve(&problem, budget).unwrap();
            assert!(proven);
            let found = gap(plan.timeline.finish_ms, by_hand(&problem));
            assert!(found.abs() < 1e-9, "{found} {}", plan.partition);
        }
    }

    #[test]
    fn a_search_that_runs_out_of_budget_does_not_claim_a_proof() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let network = crate::network::samples::chain(24, 5);
        let (devices, lab) = random_fleet(&mut rng, 3);
        let costs = costs(&network, &devices, lab);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
        let seed = rng.random();
        let (_, proven) =
            Exhaustive.solve(&problem, Budget { evaluations: 50, seed, ..Budget::default() }).unwrap();
        assert!(!proven);
    }
}
