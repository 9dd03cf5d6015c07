//! Greedy row moves between pools, in the manner of EdgeLD: blocks end at pools, rows start out equal, and
//! one row at a time goes from the slowest worker to the fastest while the slowest gets faster.

use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};
use crate::network::{Kind, Split};

/// Blocks between pools, one row at a time from the slowest worker to the fastest.
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

    fn move_rows(&self, from: usize, to: usize, workers: &[usize], bounds: &mut Vec<u32>) {
        let times = |bounds: &[u32]| -> Vec<(f64, usize)> {
            let strip = |&worker: &usize| match (bounds[worker], bounds[worker + 1]) {
                (start, end) if start < end => (self.strip(from, to, worker, start, end), worker),
                _ => (0.0, worker),
            };
            workers.iter().map(strip).collect()
        };
        let slowest = |times: &[(f64, usize)]| {
            times.iter().copied().fold((0.0, 0), |a, b| if b.0 > a.0 { b } else { a })
        };
        let mut now = times(bounds);
        loop {
            let (worst, giver) = slowest(&now);
            let Some(&(_, taker)) = now.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
            if giver == taker {
                return;
            }
            let mut moved = bounds.clone();
            if giver < taker {
                moved[giver + 1..=taker].iter_mut().for_each(|bound| *bound -= 1);
            } else {
                moved[taker + 1..=giver].iter_mut().for_each(|bound| *bound += 1);
            }
            let after = times(&moved);
            if slowest(&after).0 >= worst {
                return;
            }
            (*bounds, now) = (moved, after);
        }
    }
}
