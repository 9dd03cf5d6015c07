//! Beam search over cuts and rows together, with rows sent directly as the simulator does.
//!
//! At every cut the best few prefixes are kept, judged by when their workers would have computed all that
//! was placed. For every next block some ways of giving out rows are tried: levelled from when each worker
//! is free for prefixes of the workers by speed, in proportion, as in the block before, and one worker alone.

use std::rc::Rc;

use super::costing::State;
use super::cuts::LONGEST_BLOCK;
use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};
use crate::rows::Rows;

/// Prefixes kept at every cut.
const WIDTH: usize = 16;
/// At most so many subsets of workers are tried for a block.
const SUBSETS: usize = 4;

/// Beam search of a fixed width.
pub struct Beam;

struct Prefix {
    state: State,
    /// When the slowest worker would be done, ms; then the mean over all workers, to break ties.
    key: (f64, f64),
    before: Option<Rc<Prefix>>,
}

impl Planner for Beam {
    fn name(&self) -> &'static str {
        "beam"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let units = search.units();
        let mut beams: Vec<Vec<Rc<Prefix>>> = (0..=units).map(|_| Vec::new()).collect();
        let mut steps = 0;
        for at in 0..units {
            let mut here = std::mem::take(&mut beams[at]);
            here.sort_by(|a, b| a.key.partial_cmp(&b.key).unwrap_or(std::cmp::Ordering::Equal));
            here.truncate(WIDTH);
            let parents: Vec<Option<Rc<Prefix>>> = match at {
                0 => vec![None],
                _ => here.into_iter().map(Some).collect(),
            };
            for parent in parents {
                for (to, beam) in beams.iter_mut().enumerate().skip(at + 1).take(LONGEST_BLOCK) {
                    if steps > budget.evaluations.saturating_mul(4) && to < units {
                        continue;
                    }
                    for bounds in search.options(parent.as_deref(), at, to) {
                        let mut state = search.costing.state();
                        match &parent {
                            None => search.costing.open(to, &bounds, &mut state),
                            Some(parent) => search.costing.step(&parent.state, to, &bounds, &mut state),
                        }
                        steps += 1;
                        let key = search.horizon(&state);
                        keep(beam, Prefix { state, key, before: parent.clone() });
                    }
                }
            }
        }
        for prefix in &beams[units] {
            search.cost(&prefix.draft());
        }
        search.evaluations += steps;
        search.answer()
    }
}

/// Adds `prefix` unless many better ones are there already.
fn keep(beam: &mut Vec<Rc<Prefix>>, prefix: Prefix) {
    beam.push(Rc::new(prefix));
    if beam.len() >= 4 * WIDTH {
        beam.sort_by(|a, b| a.key.partial_cmp(&b.key).unwrap_or(std::cmp::Ordering::Equal));
        beam.truncate(WIDTH);
    }
}

impl Prefix {
    fn draft(&self) -> Draft {
        let mut draft = match &self.before {
            Some(before) => before.draft(),
            None => Draft::new(self.state.bounds().len() - 1),
        };
        draft.push(self.state.units().1, self.state.bounds());
        draft
    }
}

impl Search<'_> {
    /// When the slowest worker is done with the block of `state`, and the mean over the workers, ms.
    fn horizon(&self, state: &State) -> (f64, f64) {
        let (from, to) = state.units();
        let (mut slowest, mut sum): (f64, f64) = (0.0, 0.0);
        for worker in 0..self.problem.workers() {
            let Rows { start, end } = state.rows(worker);
            let done = if start < end {
                state.begin(worker) + self.strip(from, to, worker, start, end)
            } else {
                state.computed(worker)
            };
            slowest = slowest.max(done);
            sum += done;
        }
        (slowest, sum / self.problem.workers() as f64)
    }

    /// Ways of giving out the rows of the block `from..to` after `parent`.
    fn options(&mut self, parent: Option<&Prefix>, from: usize, to: usize) -> Vec<Vec<u32>> {
        let order = self.by_speed();
        let mut options = vec![self.alone(to, order[0])];
        let tail = parent.and_then(|parent| {
            let rows = self.rows(from);
            (0..order.len()).find(|&worker| parent.state.rows(worker).len() == rows)
        });
        if let Some(owner) = tail.filter(|&owner| self.speeds[owner] > 0.0) {
            options.push(self.alone(to, owner));
        }
        if !self.shared(to) {
            options.extend(order.iter().skip(1).take(2).map(|&owner| self.alone(to, owner)));
        } else {
            self.costing.spans.span(from, to);
            let count = order.len();
            let free: Vec<f64> = match parent {
                Some(parent) => self.free(&parent.state),
                None => vec![0.0; self.problem.workers()],
            };
            let step = count.div_ceil(SUBSETS).max(1);
            for size in (2..=count).rev().step_by(step) {
                let weights = self.weights(&order[..size]);
                options.push(self.level(from, to, &weights, &free));
                options.push(self.in_proportion(to, &weights));
            }
            if let Some(parent) = parent {
                let shares: Vec<f64> = (0..self.problem.workers())
                    .map(|worker| f64::from(parent.state.rows(worker).len()))
                    .collect();
                options.push(self.in_proportion(to, &shares));
            }
        }
        options.sort_unstable();
        options.dedup();
        options
    }

    /// When each worker is done with what was placed, from the first of them, ms.
    fn free(&self, state: &State) -> Vec<f64> {
        let (from, to) = state.units();
        let mut free: Vec<f64> = (0..self.problem.workers())
            .map(|worker| match state.rows(worker) {
                Rows { start, end } if start < end => {
                    state.begin(worker) + self.strip(from, to, worker, start, end)
                }
                _ => state.computed(worker),
            })
            .collect();
        let first = free.iter().copied().fold(f64::INFINITY, f64::min);
        free.iter_mut().for_each(|at| *at -= first);
        free
    }
}
