//! Rows in fixed proportion, cuts by dynamic programming.
//!
//! For given weights the rows of every block are fixed, so only the cuts and the point where one worker
//! takes over remain. A dynamic program over unit boundaries finds them under the assumption that all
//! workers wait for the slowest at each cut; the simulator, which does not assume it, has the last word
//! among the candidates: every prefix of the workers by speed, and one worker alone.

use std::time::Duration;

use super::{BestSingle, Plan, Planner, Problem, fastest};
use crate::id::{Node, WorkerId};
use crate::network::Split;
use crate::partition::{Block, Partition};
use crate::rows::Rows;

/// Blocks of more units than this are not tried: their halo is never worth it.
const LONGEST_BLOCK: usize = 24;

/// Equal rows for every allowed worker.
pub struct Equal;

/// Rows in proportion to measured speed, for the best prefix of the workers by speed.
pub struct Proportional;

impl Planner for Equal {
    fn name(&self) -> &'static str {
        "equal"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Duration) -> Option<Plan> {
        let weights: Vec<f64> = problem.allowed.iter().map(|&allowed| f64::from(u8::from(allowed))).collect();
        let partition = cut(problem, &weights, false)?;
        Some(problem.cost(partition))
    }
}

impl Planner for Proportional {
    fn name(&self) -> &'static str {
        "proportional"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Duration) -> Option<Plan> {
        let speeds = problem.speeds();
        let mut order: Vec<usize> = problem.candidates().collect();
        order.sort_by(|&a, &b| speeds[b].total_cmp(&speeds[a]));
        let prefixes = (2..=order.len()).filter_map(|count| {
            let mut weights = vec![0.0; problem.workers()];
            order[..count].iter().for_each(|&worker| weights[worker] = speeds[worker]);
            Some(problem.cost(cut(problem, &weights, true)?))
        });
        fastest(BestSingle.plan(problem, budget).into_iter().chain(prefixes))
    }
}

/// Who computes a block: the weighted workers together, or the fastest of them alone.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Together,
    Alone,
}

#[derive(Clone, Copy)]
struct Step {
    ms: f64,
    from: usize,
    mode: Mode,
}

/// The best cuts for fixed `weights`; with `may_leave`, one worker may take over where the rest does not pay.
fn cut(problem: &Problem<'_>, weights: &[f64], may_leave: bool) -> Option<Partition> {
    let network = problem.network;
    let units = network.units.len();
    let speeds = problem.speeds();
    let members = (0..weights.len()).filter(|&worker| weights[worker] > 0.0);
    let fastest = members.max_by(|&a, &b| speeds[a].total_cmp(&speeds[b]))?;
    let block = |from: usize, to: usize, mode: Mode| {
        let rows = network.cut(to).rows;
        match (mode, &network.units[to - 1].split) {
            (Mode::Alone, _) | (_, Split::Whole(_)) => {
                Block::single(from..to, rows, WorkerId::at(fastest), weights.len())
            }
            (Mode::Together, Split::Rows | Split::Features) => Block::shared(from..to, rows, weights),
        }
    };
    let modes: &[Mode] = if may_leave { &[Mode::Together, Mode::Alone] } else { &[Mode::Together] };
    // best[at][mode]: the cheapest way to have units 0..at done, the last block in that mode.
    let mut best: Vec<[Option<Step>; 2]> = vec![[None; 2]; units + 1];
    for at in 1..=units {
        for from in at.saturating_sub(LONGEST_BLOCK)..at {
            for &mode in modes {
                let candidate = block(from, at, mode);
                let compute = slowest_strip(problem, &candidate);
                for &before in modes {
                    let reached = match (from, best[from][before as usize]) {
                        (0, _) => 0.0,
                        (_, Some(step)) => {
                            step.ms + exchange(problem, previous(&best, from, before, &block), &candidate)
                        }
                        (_, None) => continue,
                    };
                    let ms = reached + compute;
                    let slot = &mut best[at][mode as usize];
                    if slot.is_none_or(|step| ms < step.ms) {
                        *slot = Some(Step { ms, from, mode: before });
                    }
                    if from == 0 {
                        break;
                    }
                }
            }
        }
    }
    let mut mode =
        modes.iter().copied().filter(|&mode| best[units][mode as usize].is_some()).min_by(|&a, &b| {
            let ms = |mode: Mode| best[units][mode as usize].map_or(f64::INFINITY, |step| step.ms);
            ms(a).total_cmp(&ms(b))
        })?;
    let mut blocks = Vec::new();
    let mut at = units;
    while at > 0 {
        let step = best[at][mode as usize]?;
        blocks.push(block(step.from, at, mode));
        (at, mode) = (step.from, step.mode);
    }
    blocks.reverse();
    Some(Partition { blocks })
}

/// The block that ends at unit `at` in the best way of `mode`.
fn previous(
    best: &[[Option<Step>; 2]],
    at: usize,
    mode: Mode,
    block: &impl Fn(usize, usize, Mode) -> Block,
) -> Option<Block> {
    let step = best[at][mode as usize]?;
    Some(block(step.from, at, mode))
}

/// Milliseconds of the slowest worker's strip.
fn slowest_strip(problem: &Problem<'_>, block: &Block) -> f64 {
    let span = block.span();
    let strip = |worker| problem.costs.strip_ms(problem.network, worker, &span, block.rows(worker));
    block.owners().map(strip).fold(0.0, f64::max)
}

/// Milliseconds until the slowest sender has sent what the next block lacks.
fn exchange(problem: &Problem<'_>, before: Option<Block>, next: &Block) -> f64 {
    let Some(before) = before else { return 0.0 };
    let cut = problem.network.cut(before.span().end);
    let mut sending = vec![0.0; problem.workers()];
    let mut delay: f64 = 0.0;
    for worker in next.owners() {
        let need = problem.network.demand(&next.span(), next.rows(worker)).input;
        for owner in before.owners().filter(|&owner| owner != worker) {
            let rows: Rows = before.rows(owner).intersect(need);
            if !rows.is_empty() {
                let ends = (Node::Worker(WorkerId::at(owner)), Node::Worker(WorkerId::at(worker)));
                let link = problem.costs.link(ends.0, ends.1);
                sending[owner] += link.sending_ms(cut.bytes(rows.len()));
                delay = delay.max(link.delay_ms);
            }
        }
    }
    sending.into_iter().fold(0.0, f64::max) + delay
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::chain;
    use crate::plan::PLANNERS;
    use crate::predict::{LinkCost, RatePerWorker};
    use crate::schedule::Schedule;

    fn costs(rates: &[f64], mbps: f64) -> RatePerWorker {
        let link = LinkCost::new(mbps, 0.2);
        RatePerWorker { macs_per_ms: rates.to_vec(), links: vec![link; rates.len()], lab: link }
    }

    #[test]
    fn every_planner_gives_a_partition_that_fits() {
        let network = chain(96, 9);
        for rates in [&[1e4, 5e3, 1e3][..], &[1e4; 8], &[1e4]] {
            let costs = costs(rates, 940.0);
            let allowed = vec![true; rates.len()];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed };
            for name in PLANNERS {
                let plan = crate::plan::planner(name).unwrap().plan(&problem, Duration::ZERO).unwrap();
                plan.partition.check(&network, rates.len()).unwrap();
                Schedule::new(&network, &plan.partition);
            }
        }
    }

    #[test]
    fn proportional_is_never_slower_than_the_best_single_worker() {
        let network = chain(64, 7);
        for mbps in [1.0, 40.0, 940.0, 1e5] {
            let costs = costs(&[2e4, 9e3, 4e2], mbps);
            let problem = Problem { network: &network, costs: &costs, allowed: &[true; 3] };
            let finish =
                |planner: &dyn Planner| planner.plan(&problem, Duration::ZERO).unwrap().timeline.finish_ms;
            assert!(finish(&Proportional) <= finish(&BestSingle));
        }
    }

    #[test]
    fn a_worker_that_is_not_allowed_gets_no_rows() {
        let network = chain(64, 5);
        let costs = costs(&[1e3; 3], 1e5);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true, false, true] };
        for name in PLANNERS {
            let plan = crate::plan::planner(name).unwrap().plan(&problem, Duration::ZERO).unwrap();
            assert!(!plan.partition.uses(1), "{name}: {}", plan.partition);
        }
        let nobody = Problem { network: &network, costs: &costs, allowed: &[false; 3] };
        assert!(Proportional.plan(&nobody, Duration::ZERO).is_none());
    }

    #[test]
    fn a_worker_behind_a_slow_link_is_left_out() {
        let network = chain(64, 5);
        let mut costs = costs(&[1e6, 1e6], 940.0);
        costs.links[1] = LinkCost::new(0.5, 20.0);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2] };
        let plan = Proportional.plan(&problem, Duration::ZERO).unwrap();
        assert_eq!(plan.partition.single_owner(), Some(WorkerId(0)), "{}", plan.partition);
    }
}
