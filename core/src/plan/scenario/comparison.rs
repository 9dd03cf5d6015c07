//! How far planners' answers are from the best known plan, or from the optimum where it can be proven.

use serde::{Deserialize, Serialize};

use super::Scenario;
use crate::network::Network;
use crate::partition::Partition;
use crate::plan::{Auto, Budget, Exhaustive, Plan, Planner, Problem, planner};

/// How much slower `predicted_ms` is than `reference_ms`, as a fraction.
pub fn gap(predicted_ms: f64, reference_ms: f64) -> f64 {
    predicted_ms / reference_ms - 1.0
}

/// What a gap is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// A proven optimum.
    Exact,
    /// The best that any planner found.
    BestKnown,
}

/// One planner's answer to one scenario: a line of `plan --json` and of `bench plan --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Workers of its fleet.
    pub workers: usize,
    /// The network.
    pub network: String,
    /// The planner.
    pub planner: String,
    /// Its seed.
    pub seed: u64,
    /// What its plan takes, ms.
    pub predicted_ms: f64,
    /// What the reference takes, ms.
    pub reference_ms: f64,
    /// What the reference is.
    pub reference: Reference,
    /// How much slower the plan is, as a fraction.
    pub gap: f64,
    /// Partitions costed.
    pub evaluations: u64,
    /// What planning took, ms, by the caller's clock.
    pub plan_ms: f64,
}

/// Asks the planners called `names` for a plan, reading `clock` (ms) around each, and compares them with the
/// proven optimum where the problem is small enough, else with the best of them all and of two refinements
/// of `reference_evaluations` from all of their plans. Planners that find nothing are left out.
pub fn answers<N: AsRef<str>>(
    scenario: &str,
    problem: &Problem<'_>,
    names: &[N],
    budget: Budget,
    reference_evaluations: u64,
    mut clock: impl FnMut() -> f64,
) -> Vec<(Row, Plan)> {
    let mut answers: Vec<(&str, Plan, f64)> = Vec::with_capacity(names.len());
    for name in names.iter().map(AsRef::as_ref) {
        let Some(planner) = planner(name) else { continue };
        let start = clock();
        if let Some(plan) = planner.plan(problem, budget) {
            answers.push((name, plan, clock() - start));
        }
    }
    let starts: Vec<Partition> = answers.iter().map(|(_, plan, _)| plan.partition.clone()).collect();
    let (reference, reference_ms) = reference(problem, starts, budget.seed, reference_evaluations);
    let finishes = answers.iter().map(|(_, plan, _)| plan.timeline.finish_ms);
    let reference_ms = finishes.fold(reference_ms, f64::min);
    let row = |name: &str, plan: &Plan, plan_ms: f64| Row {
        scenario: scenario.to_owned(),
        workers: problem.workers(),
        network: problem.network.name.clone(),
        planner: name.to_owned(),
        seed: budget.seed,
        predicted_ms: plan.timeline.finish_ms,
        reference_ms,
        reference,
        gap: gap(plan.timeline.finish_ms, reference_ms),
        evaluations: plan.evaluations,
        plan_ms,
    };
    answers.into_iter().map(|(name, plan, plan_ms)| (row(name, &plan, plan_ms), plan)).collect()
}

/// The optimum if it can be proven, else the best of two long refinements of `starts`, ms.
fn reference(problem: &Problem<'_>, starts: Vec<Partition>, seed: u64, evaluations: u64) -> (Reference, f64) {
    let mut reference_ms = f64::INFINITY;
    let auto = Auto { starts };
    for round in 1..=2 {
        let budget = Budget { evaluations, seed: seed.wrapping_add(round), ..Budget::default() };
        let refined = auto.plan(problem, budget).map_or(f64::INFINITY, |plan| plan.timeline.finish_ms);
        reference_ms = reference_ms.min(refined);
    }
    match Exhaustive.plan(problem, Budget { evaluations, seed, ..Budget::default() }) {
        Some(optimum) => (Reference::Exact, optimum.timeline.finish_ms),
        None => (Reference::BestKnown, reference_ms),
    }
}

/// [`answers`] for the devices of `scenario`, without the plans.
pub fn compare<N: AsRef<str>>(
    scenario: &Scenario,
    network: &Network,
    names: &[N],
    budget: Budget,
    reference_evaluations: u64,
    clock: impl FnMut() -> f64,
) -> Vec<Row> {
    let costs = scenario.costs(network);
    let problem = Problem { network, costs: &costs, allowed: &scenario.allowed, memory: &scenario.memory };
    let answers = answers(&scenario.name, &problem, names, budget, reference_evaluations, clock);
    answers.into_iter().map(|(row, _)| row).collect()
}

/// The value below which a share `at` (0…1) of `values` lies; `None` of no values.
pub fn quantile(values: &[f64], at: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len().checked_sub(1)? as f64) * at.clamp(0.0, 1.0)).round() as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::{LinkClass, PUBLISHED, scenarios, seed_like};
    use super::*;
    use crate::network::samples::named;

    #[test]
    fn a_refined_plan_is_never_slower_than_a_simple_one_in_any_scenario() {
        let network = named("alexnet").unwrap();
        let all = scenarios(2, &mut ChaCha8Rng::seed_from_u64(9));
        assert_eq!(all.len(), 3 * 7 + 2 * 3);
        for scenario in all {
            let names =
                ["best-single", "equal", "equal-per-unit", "proportional", "greedy", "bisection", "auto"];
            let budget = Budget { evaluations: 1500, seed: 1, ..Budget::default() };
            let mut ticks = 0.0;
            let rows = compare(&scenario, &network, &names, budget, 1500, || {
                ticks += 1.0;
                ticks
            });
            let auto = rows.last().unwrap();
            assert_eq!((auto.planner.as_str(), auto.plan_ms, rows.len()), ("auto", 1.0, names.len()));
            for row in &rows {
                assert!(auto.predicted_ms <= row.predicted_ms, "{}: {}", row.scenario, row.planner);
                assert!(row.gap >= 0.0);
            }
        }
    }

    #[test]
    fn the_optimum_explains_the_published_speed_ups_over_an_equal_split() {
        let network = named("vgg16").unwrap();
        for (count, published) in (2..=4).zip(PUBLISHED) {
            let scenario = Scenario::new(
                "seed-like".to_owned(),
                seed_like(count, LinkClass::Gigabit),
                LinkClass::Gigabit,
            );
            let budget = Budget { evaluations: 6000, seed: 1, ..Budget::default() };
            let rows = compare(&scenario, &network, &["equal", "auto"], budget, 0, || 0.0);
            let over_equal = rows[0].predicted_ms / rows[1].predicted_ms;
            assert!((0.75..1.35).contains(&(over_equal / published)), "{count}: {over_equal} {published}");
        }
    }

    #[test]
    fn quantiles_are_taken_from_the_sorted_values() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
