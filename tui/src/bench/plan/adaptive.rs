//! After a change: the plan of before, the policies' answer at once, and what refinement makes of it.

use collab_core::network::Network;
use collab_core::plan::scenario::{Change, LinkClass, Row, Scenario, compare, gap, random_fleet};
use collab_core::plan::{Budget, Problem, planner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::plan::planning_threads;

/// Who answers: at once, refined, and a planner without learning.
const ANSWERS: [&str; 5] = ["forward", "policy", "erl", "dp", "auto"];

/// Rows for `fleets` random fleets, each throttled, with a worker lost, joined, and on another link.
pub fn rows(
    network: &Network,
    fleets: usize,
    reference: u64,
    seed: u64,
    mut clock: impl FnMut() -> f64,
) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(1000));
    let budget = Budget { seed, threads: planning_threads(), ..Budget::default() };
    let mut rows = Vec::new();
    for index in 0..fleets {
        let count = rng.random_range(3..=8);
        let (devices, lab) = random_fleet(&mut rng, count);
        let base = Scenario::new(format!("adaptive-{index}"), devices, lab);
        let worker = rng.random_range(0..count);
        let away = base.after(Change::Lost(worker), "away");
        let share = rng.random_range(0.2..0.6);
        let changes = [
            (&base, Change::Throttled(worker, share), "throttled"),
            (&base, Change::Lost(worker), "lost"),
            (&base, Change::Link(worker, LinkClass::Wifi), "link"),
            (&away, Change::Joined(worker), "joined"),
        ];
        for (before, change, name) in changes {
            let after = base.after(change, name);
            let mut answers = compare(&after, network, &ANSWERS, budget, reference, &mut clock);
            rows.extend(old(network, before, &after, budget, &answers));
            rows.append(&mut answers);
        }
    }
    rows
}

/// What the plan of before takes after the change, where it can still run.
fn old(
    network: &Network,
    before: &Scenario,
    after: &Scenario,
    budget: Budget,
    answers: &[Row],
) -> Option<Row> {
    let costs = before.costs(network);
    let problem = Problem { network, costs: &costs, allowed: &before.allowed, memory: &[] };
    let plan = planner("erl")?.plan(&problem, budget)?.partition;
    if (0..plan.workers()).any(|worker| plan.uses(worker) && !after.allowed[worker]) {
        return None;
    }
    let costs = after.costs(network);
    let problem = Problem { network, costs: &costs, allowed: &after.allowed, memory: &[] };
    let predicted_ms = problem.cost(plan).timeline.finish_ms;
    let known = answers.first()?;
    Some(Row {
        planner: "the plan of before".to_owned(),
        predicted_ms,
        gap: gap(predicted_ms, known.reference_ms),
        evaluations: 1,
        plan_ms: 0.0,
        ..known.clone()
    })
}
