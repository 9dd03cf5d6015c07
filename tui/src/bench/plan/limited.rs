//! Where not everything may be done: memory that binds, a worker that may not be used; and problems so small that
//! the optimum is known.

use collab_core::network::Network;
use collab_core::network::samples::random;
use collab_core::plan::scenario::{LinkClass, Row, Scenario, compare, random_fleet, seed_like};
use collab_core::plan::{Budget, Exhaustive, PLANNERS, Problem, maps_of_partition, planner};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::plan::planning_threads;

/// Of what the best plan without limits asks of the worker that holds most, what it then may use.
const TIGHT: f64 = 0.6;
/// Problems with a proven optimum.
const SMALL: usize = 4;
/// Units and rows of their networks, at most.
const SIZE: (usize, u32) = (3, 14);
/// Their devices are so much slower than others, or one would always be best for so little work.
const SLOWER: f64 = 1e-3;

/// Rows for the seed-like four with too little memory, and without the fastest.
pub fn rows(network: &Network, reference: u64, seed: u64, mut clock: impl FnMut() -> f64) -> Vec<Row> {
    let budget = Budget { seed, threads: planning_threads(), ..Budget::default() };
    let mut rows = Vec::new();
    for (link, name) in [(LinkClass::Gigabit, "gigabit"), (LinkClass::Wifi, "wifi")] {
        let free = Scenario::new(format!("seed-like-4-{name}-forbidden"), seed_like(4, link), link);
        let forbidden = Scenario { allowed: vec![false, true, true, true], ..free.clone() };
        let tight = Scenario { name: format!("seed-like-4-{name}-memory"), ..free.clone() };
        let costs = free.costs(network);
        let problem = Problem { network, costs: &costs, allowed: &free.allowed, memory: &[] };
        let unlimited = planner("erl").and_then(|erl| erl.plan(&problem, budget));
        let memory = unlimited.map(|plan| maps_of_partition(network, &plan.partition)).unwrap_or_default();
        let most = memory.iter().copied().max().unwrap_or_default();
        let limit = |&asked: &u64| if asked == most { (asked as f64 * TIGHT) as u64 } else { u64::MAX };
        let memory = memory.iter().map(limit).collect();
        for scenario in [forbidden, Scenario { memory, ..tight }] {
            rows.extend(compare(&scenario, network, &PLANNERS, budget, reference, &mut clock));
        }
    }
    rows
}

/// Rows for made-up networks of a few units on two workers, against the optimum.
pub fn exact(reference: u64, seed: u64, mut clock: impl FnMut() -> f64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(3000));
    let budget = Budget { seed, threads: planning_threads(), ..Budget::default() };
    let mut rows = Vec::new();
    let mut found = 0;
    while found < SMALL {
        let network = random(&mut rng, SIZE.0, SIZE.1);
        let (mut devices, lab) = random_fleet(&mut rng, 2);
        for device in &mut devices {
            device.macs_per_ms *= SLOWER;
            device.bytes_per_ms *= SLOWER;
        }
        let scenario = Scenario::new(format!("small-{found}"), devices, lab);
        let costs = scenario.costs(&network);
        let problem = Problem { network: &network, costs: &costs, allowed: &scenario.allowed, memory: &[] };
        // One unit has hardly anything to decide.
        if network.units.len() > 1 && Exhaustive::is_feasible(&problem) {
            rows.extend(compare(&scenario, &network, &PLANNERS, budget, reference, &mut clock));
            found += 1;
        }
    }
    rows
}
