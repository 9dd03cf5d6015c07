//! What every search shares: the cost of a draft, how many were costed, the best so far.

use super::costing::{Costing, State};
use super::draft::{Draft, Pair};
use super::memory::{Limits, fits};
use super::replan::Beam;
use super::{Plan, Problem};
use crate::network::Split;

/// How much slower a draft that exceeds the memory counts, for each full share of excess.
const PENALTY: f64 = 8.0;
/// Starts that differ by less, as a fraction of their latency, are taken for one.
const ALIKE: f64 = 1e-9;
/// By how much a plan may be slower, as a fraction, if it has fewer blocks.
const INDIFFERENCE: f64 = 1e-4;

/// Where an evaluation costs more than so many strips, there are fewer.
const STRIPS: usize = 175;

/// How far a planner may go. The caller translates time into evaluations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Partitions that may be costed.
    pub evaluations: u64,
    /// Where random numbers start; the same seed gives the same plan.
    pub seed: u64,
    /// Threads that may search; the plan is the same whatever their number.
    pub threads: usize,
}

impl Default for Budget {
    /// What refines a plan on two cores of a desktop processor in about 50 ms. On one it takes nearly twice as long: fewer there
    /// would be other plans for the same seed.
    fn default() -> Self {
        Self { evaluations: 70_000, seed: 0, threads: 1 }
    }
}

/// One planner at work on one problem.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) problem: &'a Problem<'a>,
    pub(crate) costing: Costing<'a>,
    pub(crate) limits: Limits<'a>,
    pub(crate) evaluations: u64,
    /// What has been costed beyond those, less than one.
    partly: f64,
    /// Networks per ms, by worker; 0 for those that are not allowed.
    pub(crate) speeds: Vec<f64>,
    /// Some units cannot be split.
    pub(crate) some_whole: bool,
    /// Links are not what they are: what is costed is not remembered as the best.
    pub(crate) eased: bool,
    pair: Pair,
    /// For annealing, from one time to the next.
    pub(crate) states: [Vec<State>; 2],
    /// For planning boundaries anew, from one time to the next.
    pub(crate) beam: Beam,
    pub(crate) best: Option<(f64, Draft)>,
    /// Drafts from which a search may start, with their cost.
    offered: Vec<(f64, Draft)>,
}

impl<'a> Search<'a> {
    /// `None` if no worker is allowed.
    pub(crate) fn new(problem: &'a Problem<'a>) -> Option<Self> {
        problem.candidates().next()?;
        let costing = Costing::new(problem);
        let pair = costing.pair();
        let mut speeds = problem.speeds();
        speeds.iter_mut().zip(problem.allowed).for_each(|(speed, allowed)| {
            *speed = if *allowed { *speed } else { 0.0 };
        });
        let limits = Limits::new(problem.network, problem.memory, problem.workers());
        Some(Self {
            problem,
            costing,
            limits,
            evaluations: 0,
            partly: 0.0,
            speeds,
            some_whole: problem.network.units.iter().any(|unit| matches!(unit.split, Split::Whole(_))),
            eased: false,
            pair,
            states: [Vec::new(), Vec::new()],
            beam: Beam::default(),
            best: None,
            offered: Vec::new(),
        })
    }

    /// Another search of the same problem, for another thread.
    pub(crate) fn fork(&self) -> Self {
        Self {
            costing: self.costing.clone(),
            limits: self.limits.clone(),
            evaluations: 0,
            partly: 0.0,
            speeds: self.speeds.clone(),
            pair: self.costing.pair(),
            states: [Vec::new(), Vec::new()],
            beam: Beam::default(),
            best: None,
            offered: Vec::new(),
            ..*self
        }
    }

    /// Counts from nothing, with what is `known` as the best.
    pub(crate) fn begin(&mut self, known: &Option<(f64, Draft)>) {
        (self.evaluations, self.partly) = (0, 0.0);
        self.best.clone_from(known);
    }

    /// Remembers `found` if it is better than the best so far.
    pub(crate) fn learn(&mut self, found: Option<(f64, Draft)>) {
        let is_better = |found: &(f64, Draft)| self.best.as_ref().is_none_or(|best| found.0 < best.0);
        if let Some(found) = found.filter(is_better) {
            self.best = Some(found);
        }
    }

    /// How many units the network has.
    pub(crate) fn units(&self) -> usize {
        self.problem.network.units.len()
    }

    /// About how many strips a change costs, times a number that is the same for all networks and fleets: units and workers, some more
    /// of both than there are.
    pub(crate) fn strips(&self) -> usize {
        (self.units() + 8) * (self.problem.workers() + 1)
    }

    /// So many of `evaluations` take no longer than all of them would with fewer workers.
    pub(crate) fn bounded(&self, evaluations: u64) -> u64 {
        let share = (STRIPS as f64 / self.strips() as f64).min(1.0);
        (evaluations as f64 * share) as u64
    }

    /// Rows of the tensor at cut `end`.
    pub(crate) fn rows(&self, end: usize) -> u32 {
        self.problem.network.cut(end).rows
    }

    /// Whether a block that ends at cut `end` may have several owners.
    pub(crate) fn shared(&self, end: usize) -> bool {
        !matches!(self.problem.network.units[end - 1].split, Split::Whole(_))
    }

    /// The allowed workers, the fastest first.
    pub(crate) fn by_speed(&self) -> Vec<usize> {
        let mut order: Vec<usize> = self.problem.candidates().collect();
        order.sort_by(|&a, &b| self.speeds[b].total_cmp(&self.speeds[a]).then(a.cmp(&b)));
        order
    }

    /// Latency of `draft`, ms, with a penalty where it exceeds a memory; remembers the best that fits.
    pub(crate) fn cost(&mut self, draft: &Draft) -> f64 {
        let latency = self.costing.latency(draft, &mut self.pair);
        self.judge(draft, latency)
    }

    /// Costs `draft` and keeps it as a start.
    pub(crate) fn offer(&mut self, draft: Draft) -> f64 {
        let cost = self.cost(&draft);
        self.offered.push((cost, draft));
        cost
    }

    /// What was offered, the best first; of plans that take equally long, which are mostly the same cut differently, the
    /// first.
    pub(crate) fn starts(&mut self) -> Vec<Draft> {
        let mut offered = std::mem::take(&mut self.offered);
        offered.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut starts: Vec<Draft> = Vec::with_capacity(offered.len());
        let mut last = f64::NEG_INFINITY;
        for (cost, draft) in offered {
            if cost > last * (1.0 + ALIKE) {
                starts.push(draft);
                last = cost;
            }
        }
        starts
    }

    /// The same for a draft whose latency is known.
    pub(crate) fn judge(&mut self, draft: &Draft, latency: f64) -> f64 {
        self.evaluations += 1;
        let excess = self.limits.excess(draft);
        if excess > 0.0 {
            return latency * (1.0 + PENALTY * (1.0 + excess));
        }
        match &mut self.best {
            _ if self.eased => {}
            Some((best, held)) if latency < *best => {
                *best = latency;
                held.copy(draft);
            }
            Some(_) => {}
            None => self.best = Some((latency, draft.clone())),
        }
        latency
    }

    /// Counts a draft of which only this share was costed.
    pub(crate) fn count_part(&mut self, share: f64) {
        self.partly += share;
        if self.partly >= 1.0 {
            self.partly -= 1.0;
            self.evaluations += 1;
        }
    }

    /// The best draft so far and its latency.
    pub(crate) fn best(&self) -> Option<(f64, &Draft)> {
        self.best.as_ref().map(|(latency, draft)| (*latency, draft))
    }

    /// The best draft as a plan, in as few blocks as it can be had; `None` if none that fits the memories was found.
    pub(crate) fn answer(self) -> Option<Plan> {
        let Self { problem, mut costing, evaluations, mut pair, best, .. } = self;
        let (latency, draft) = best?;
        let partition = draft.partition();
        let joined = partition.joined();
        let simpler = joined.blocks.len() < partition.blocks.len()
            && fits(problem, &joined)
            && costing.latency(&Draft::of(&joined), &mut pair) <= latency * (1.0 + INDIFFERENCE);
        let partition = if simpler { joined } else { partition };
        Some(Plan { evaluations, ..problem.cost(partition) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::named;
    use crate::plan::planner;
    use crate::plan::scenario::{LinkClass, costs, seed_like};

    #[test]
    fn many_workers_get_fewer_evaluations_few_workers_all_of_them() {
        let network = named("vgg16").unwrap();
        let bounded = |workers: usize| {
            let device = seed_like(1, LinkClass::Gigabit)[0];
            let costs = costs(&network, &vec![device; workers], LinkClass::Gigabit);
            let allowed = vec![true; workers];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            Search::new(&problem).unwrap().bounded(35_000)
        };
        assert_eq!(bounded(2), 35_000);
        assert!((20_000..30_000).contains(&bounded(8)), "{}", bounded(8));
    }

    #[test]
    fn a_seed_decides_the_plan_and_evaluations_stay_within_the_budget() {
        let network = named("alexnet").unwrap();
        let costs = costs(&network, &seed_like(4, LinkClass::Wifi), LinkClass::Wifi);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 4], memory: &[] };
        let budget = Budget { evaluations: 6000, seed: 7, ..Budget::default() };
        let plan = || planner("erl").unwrap().plan(&problem, budget).unwrap();
        let first = plan();
        assert_eq!(first, plan());
        // What is put together after the last round comes on top.
        assert!(first.evaluations < budget.evaluations * 11 / 10, "{}", first.evaluations);
    }
}
