//! Cuts by dynamic programming, rows by a rule: equal, in proportion to speed, or levelled by bisection.

use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};

/// Equal rows for every allowed worker, with the best cuts for that: the strongest reading of the published
/// "EE" baseline, whose cuts are not public. It never falls back to fewer workers.
pub struct Equal;

/// Equal rows for every allowed worker, exchanged after every unit: the weakest reading of "EE".
pub struct EqualPerUnit;

/// Rows in proportion to measured speed, for the best prefix of the workers by speed.
pub struct Proportional;

/// Rows of every block such that all allowed workers compute equally long.
pub struct Bisection;

/// As [`Bisection`], for the best prefix of the workers by speed, and one worker where the rest does not pay.
pub struct CutProgram;

impl Planner for Equal {
    fn name(&self) -> &'static str {
        "equal"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_equal();
        search.answer()
    }
}

impl Planner for EqualPerUnit {
    fn name(&self) -> &'static str {
        "equal-per-unit"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_equal_per_unit();
        search.answer()
    }
}

impl Planner for Proportional {
    fn name(&self) -> &'static str {
        "proportional"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        search.try_proportional();
        search.answer()
    }
}

impl Planner for Bisection {
    fn name(&self) -> &'static str {
        "bisection"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        let members = search.by_speed();
        search.try_levelled(&members, false);
        search.answer()
    }
}

impl Planner for CutProgram {
    fn name(&self) -> &'static str {
        "dp"
    }

    fn plan(&self, problem: &Problem<'_>, _budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let order = search.by_speed();
        for count in prefixes(order.len()) {
            search.try_levelled(&order[..count], true);
        }
        search.answer()
    }
}

/// How many of the fastest of `workers` workers are tried together: every number up to 8, then fewer.
pub(crate) fn prefixes(workers: usize) -> impl Iterator<Item = usize> {
    let sizes =
        std::iter::successors(Some(2), |&size: &usize| Some(if size < 8 { size + 1 } else { size * 3 / 2 }));
    sizes.take_while(move |&size| size < workers).chain((workers > 1).then_some(workers))
}

impl Search<'_> {
    /// Costs every allowed worker alone.
    pub(crate) fn try_singles(&mut self) {
        for worker in self.by_speed() {
            let mut draft = Draft::new(self.problem.workers());
            draft.push(self.units(), &self.alone(self.units(), worker));
            self.offer(draft);
        }
    }

    /// Costs equal rows for all allowed workers with the best cuts.
    pub(crate) fn try_equal(&mut self) {
        let (owner, weights) = (self.by_speed()[0], self.equal_weights());
        let draft = self.proportional_cuts(owner, false, &weights);
        self.offer(draft);
    }

    /// Rows in proportion to `weights` with the best cuts, as [`Search::best_cuts`] has them.
    fn proportional_cuts(&mut self, owner: usize, may_leave: bool, weights: &[f64]) -> Draft {
        // The same wherever a block begins, and mostly at the next cut.
        let mut rows: Vec<Vec<u32>> = Vec::with_capacity(self.units());
        for to in 1..=self.units() {
            let before = rows
                .last()
                .filter(|_| self.rows(to) == self.rows(to - 1) && self.shared(to) == self.shared(to - 1));
            let here = before.cloned().unwrap_or_else(|| self.in_proportion(to, weights));
            rows.push(here);
        }
        self.best_cuts(owner, may_leave, |_, _, to, bounds| bounds.extend_from_slice(&rows[to - 1]))
    }

    /// Costs equal rows for all allowed workers, exchanged after every unit.
    pub(crate) fn try_equal_per_unit(&mut self) {
        let (owner, weights) = (self.by_speed()[0], self.equal_weights());
        let mut draft = Draft::new(self.problem.workers());
        for to in 1..=self.units() {
            let rows = match self.shared(to) {
                true => self.in_proportion(to, &weights),
                false => self.alone(to, owner),
            };
            draft.push(to, &rows);
        }
        self.offer(draft);
    }

    /// 1 for every allowed worker, 0 for the others.
    pub(crate) fn equal_weights(&self) -> Vec<f64> {
        self.problem.allowed.iter().map(|&allowed| f64::from(u8::from(allowed))).collect()
    }

    /// Costs what every simple planner answers; the prefixes of the workers by speed, the best first.
    pub(crate) fn try_simple(&mut self) -> Vec<Vec<usize>> {
        let everyone = self.by_speed();
        self.try_levelled(&everyone, false);
        self.try_rules()
    }

    /// The same without levelled rows, which take longest to find.
    pub(crate) fn try_rules(&mut self) -> Vec<Vec<usize>> {
        self.try_singles();
        self.try_equal();
        self.try_equal_per_unit();
        self.try_greedy();
        self.try_hand_overs();
        self.try_proportional()
    }

    /// Costs proportional rows with the best cuts for every prefix of the workers by speed; the prefixes,
    /// the best first.
    pub(crate) fn try_proportional(&mut self) -> Vec<Vec<usize>> {
        let order = self.by_speed();
        let mut tried = Vec::new();
        for count in prefixes(order.len()) {
            let weights = self.weights(&order[..count]);
            let draft = self.proportional_cuts(order[0], true, &weights);
            tried.push((self.offer(draft), order[..count].to_vec()));
        }
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        tried.into_iter().map(|(_, members)| members).collect()
    }

    /// Costs levelled rows of `members`, the fastest first, with the best cuts.
    pub(crate) fn try_levelled(&mut self, members: &[usize], may_leave: bool) -> f64 {
        let weights = self.weights(members);
        let ready = vec![0.0; weights.len()];
        let rule = |search: &mut Self, from, to, bounds: &mut Vec<u32>| {
            bounds.extend(search.level(from, to, &weights, &ready));
        };
        let draft = self.best_cuts(members[0], may_leave, rule);
        self.offer(draft)
    }

    /// The speeds of `members`, 0 for the others.
    pub(crate) fn weights(&self, members: &[usize]) -> Vec<f64> {
        let mut weights = vec![0.0; self.speeds.len()];
        members.iter().for_each(|&worker| weights[worker] = self.speeds[worker]);
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;
    use crate::network::samples::chain;
    use crate::plan::{BestSingle, PLANNERS};
    use crate::predict::{LinkCost, RatePerWorker};
    use crate::schedule::Schedule;

    const QUICK: Budget = Budget { evaluations: 300, seed: 0, threads: 1 };

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
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            for name in PLANNERS {
                let Some(plan) = crate::plan::planner(name).unwrap().plan(&problem, QUICK) else {
                    assert!(name == "exhaustive" && rates.len() > 1, "{name} finds nothing");
                    continue;
                };
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
            let problem = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
            let finish = |planner: &dyn Planner| planner.plan(&problem, QUICK).unwrap().timeline.finish_ms;
            assert!(finish(&Proportional) <= finish(&BestSingle));
        }
    }

    #[test]
    fn an_equal_split_gives_every_allowed_worker_rows_of_everything_that_can_be_split() {
        let network = crate::network::samples::named("mobilenetv2").unwrap();
        let costs = costs(&[1e6, 1e6, 1e3, 1e6], 1.0);
        let allowed = [true, true, true, false];
        let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
        for name in ["equal", "equal-per-unit"] {
            let plan = crate::plan::planner(name).unwrap().plan(&problem, QUICK).unwrap();
            for block in &plan.partition.blocks {
                let span = block.span();
                let counts: Vec<u32> = (0..4).map(|worker| block.rows(worker).len()).collect();
                if matches!(network.units[span.end - 1].split, crate::network::Split::Whole(_)) {
                    assert_eq!(span.len(), 1, "{name}: {}", plan.partition);
                } else {
                    let (least, most) = (counts[..3].iter().min(), counts[..3].iter().max());
                    assert!(most.unwrap() - least.unwrap() <= 1 && counts[3] == 0, "{name}: {counts:?}");
                }
            }
        }
    }

    #[test]
    fn a_worker_that_is_not_allowed_gets_no_rows() {
        let network = chain(12, 4);
        let costs = costs(&[1e3; 3], 1e5);
        let problem =
            Problem { network: &network, costs: &costs, allowed: &[true, false, true], memory: &[] };
        for name in PLANNERS {
            let plan = crate::plan::planner(name).unwrap().plan(&problem, QUICK).unwrap();
            assert!(!plan.partition.uses(1), "{name}: {}", plan.partition);
        }
        let nobody = Problem { network: &network, costs: &costs, allowed: &[false; 3], memory: &[] };
        assert!(Proportional.plan(&nobody, QUICK).is_none());
    }

    #[test]
    fn a_worker_behind_a_slow_link_is_left_out() {
        let network = chain(64, 5);
        let mut costs = costs(&[1e6, 1e6], 940.0);
        costs.links[1] = LinkCost::new(0.5, 20.0);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2], memory: &[] };
        let plan = Proportional.plan(&problem, QUICK).unwrap();
        assert_eq!(plan.partition.single_owner(), Some(WorkerId(0)), "{}", plan.partition);
    }
}
