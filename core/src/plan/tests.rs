//! Whatever the problem: learned planners are never slower than simple ones, and nobody breaks a limit.

use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::draft::tests::AnyCosts;
use super::scenario::{costs, far_server, random_fleet};
use super::*;
use crate::network::samples::{named, random};

/// What learned planners must not be slower than; the last is not asked of `policy`, which has two milliseconds.
const SIMPLE: [&str; 6] = ["best-single", "equal", "equal-per-unit", "proportional", "greedy", "bisection"];
/// A plan may be slower by so much, as a fraction, if it has fewer blocks.
const INDIFFERENT: f64 = 1e-4;

/// A fleet's costs: like devices on a network, any costs and links at all, or a server far away.
fn any_costs(rng: &mut ChaCha8Rng, network: &Network, workers: usize) -> Box<dyn Costs> {
    match rng.random_range(0..5u32) {
        0 => Box::new(AnyCosts::random(rng, network, workers)),
        1 if workers == 4 => {
            let (_, lab) = random_fleet(rng, 2);
            Box::new(costs(network, &far_server(lab), lab))
        }
        _ => {
            let (devices, lab) = random_fleet(rng, workers);
            Box::new(costs(network, &devices, lab))
        }
    }
}

fn any_network(rng: &mut ChaCha8Rng) -> Network {
    let known = ["alexnet", "mobilenetv2", "upconv7", "vgg16"][rng.random_range(0..4)];
    match rng.random_range(0..4u32) {
        0 => named(known).unwrap(),
        _ => random(rng, 9, 96),
    }
}

/// Limits that bind some: shares of what one worker alone takes.
fn any_memory(rng: &mut impl Rng, network: &Network, workers: usize) -> Vec<u64> {
    let all = maps_of_partition(network, &Partition::single(network, crate::id::WorkerId(0), 1))[0] as f64;
    (0..workers).map(|_| (all * rng.random_range(0.05..1.3)) as u64).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn nobody_who_learns_is_slower_than_the_simple_planners_or_breaks_a_limit(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = any_network(&mut rng);
        let workers = rng.random_range(1..7);
        let costs = any_costs(&mut rng, &network, workers);
        let mut allowed: Vec<bool> = (0..workers).map(|_| rng.random_bool(0.8)).collect();
        allowed[rng.random_range(0..workers)] = true;
        let limited = rng.random_bool(0.5);
        let memory = if limited { any_memory(&mut rng, &network, workers) } else { Vec::new() };
        let problem = Problem { network: &network, costs: &*costs, allowed: &allowed, memory: &memory };
        let plan = |name: &str| {
            let plan = planner(name).unwrap().plan(&problem, Budget { evaluations: 300, seed, ..Budget::default() });
            if let Some(plan) = &plan {
                plan.partition.check(&network, workers).unwrap();
                assert!((0..workers).all(|at| allowed[at] || !plan.partition.uses(at)), "{name}: {}", plan.partition);
                let asked = maps_of_partition(&network, &plan.partition);
                assert!(asked.iter().zip(&memory).all(|(asked, limit)| asked <= limit), "{name}: {asked:?} {memory:?}");
            }
            plan.map(|plan| plan.timeline.finish_ms)
        };
        let simple: Vec<Option<f64>> = SIMPLE.iter().map(|name| plan(name)).collect();
        plan("forward");
        for (name, opponents) in [("policy", &simple[..5]), ("erl", &simple[..]), ("auto", &simple[..])] {
            let Some(best) = opponents.iter().flatten().copied().reduce(f64::min) else { continue };
            let own = plan(name);
            prop_assert!(
                own.is_some_and(|own| own <= best * (1.0 + INDIFFERENT)),
                "{name} {own:?} is slower than {best} on {} with {workers} workers", network.name
            );
        }
    }
}
