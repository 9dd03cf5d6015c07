//! Greedy row moves between pools, in the manner of EdgeLD: blocks end at pools, rows start out equal, and
//! rows go from the slowest worker to the fastest while the slowest gets faster, at first many at once, then one at a time.

use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};
use crate::network::{Kind, Split};

/// At first rows are moved by this part of all.
const COARSEST: u32 = 32;

/// Blocks between pools, rows from the slowest worker to the fastest.
pub struct Greedy;

impl Planner for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_greedy();
        search.answer()
    }
}

/// Whether a block ends at cut `to`: after a pool, where the kind of split changes, and at the end.
fn ends_block(problem: &Problem<'_>, to: usize) -> bool {
    let units = &problem.network.units;
    let Some(next) = units.get(to) else { return true };
    let unit = &units[to - 1];
    let last = &problem.network.layers[unit.layers.1 as usize - 1];
    last.kind == Kind::Pool || unit.split != next.split || unit.split == Split::Features
}

impl Search<'_> {
    /// Costs the greedy plan.
    pub(crate) fn try_greedy(&mut self) {
        let (order, weights) = (self.by_speed(), self.equal_weights());
        let mut draft = Draft::new(self.problem.workers());
        let mut from = 0;
        for to in (1..=self.units()).filter(|&to| ends_block(self.problem, to)) {
            self.costing.spans.span(from, to);
            if self.shared(to) {
                let mut bounds = self.in_proportion(to, &weights);
                self.move_rows(from, to, &order, &mut bounds);
                draft.push(to, &bounds);
            } else {
                draft.push(to, &self.alone(to, order[0]));
            }
            from = to;
        }
        self.offer(draft);
    }

    /// Moves rows while the slowest gets faster, first many at once, then one by one.
    fn move_rows(&self, from: usize, to: usize, workers: &[usize], bounds: &mut [u32]) {
        let mut by = (bounds[bounds.len() - 1] / COARSEST).max(1);
        loop {
            self.move_some(from, to, workers, bounds, by);
            if by == 1 {
                return;
            }
            by /= 2;
        }
    }

    /// Moves `by` rows from the slowest to the fastest while the slowest gets faster.
    fn move_some(&self, from: usize, to: usize, workers: &[usize], bounds: &mut [u32], by: u32) {
        let strip = |worker: usize, bounds: &[u32]| match (bounds[worker], bounds[worker + 1]) {
            (start, end) if start < end => self.strip(from, to, worker, start, end),
            _ => 0.0,
        };
        let slowest =
            |times: &[f64]| workers.iter().copied().reduce(|a, b| if times[b] > times[a] { b } else { a });
        let mut now = vec![0.0; bounds.len() - 1];
        workers.iter().for_each(|&worker| now[worker] = strip(worker, bounds));
        let (mut moved, mut after) = (bounds.to_owned(), now.clone());
        loop {
            let Some(giver) = slowest(&now) else { return };
            let Some(taker) = workers.iter().copied().min_by(|&a, &b| now[a].total_cmp(&now[b])) else {
                return;
            };
            // Between the two everybody's rows move on.
            let (first, last) = (giver.min(taker), giver.max(taker));
            if first == last || bounds[giver + 1] - bounds[giver] < by {
                return;
            }
            for bound in &mut moved[first + 1..=last] {
                *bound = if giver < taker { *bound - by } else { *bound + by };
            }
            for (worker, ms) in after.iter_mut().enumerate().take(last + 1).skip(first) {
                *ms = strip(worker, &moved);
            }
            if slowest(&after).is_none_or(|worst| after[worst] >= now[giver]) {
                return;
            }
            bounds.copy_from_slice(&moved);
            now.copy_from_slice(&after);
        }
    }
}
