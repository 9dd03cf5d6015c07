//! What planning takes: tables, the cost of one plan, whole planners.

use collab_core::network::Network;
use collab_core::network::samples::{chain, named};
use collab_core::partition::{Block, Partition};
use collab_core::plan::scenario::{LinkClass, costs as fleet_costs, seed_like};
use collab_core::plan::{Budget, Costing, Draft, Problem, planner};
use collab_core::predict::{LinkCost, RatePerWorker};

fn main() {
    divan::main();
}

fn costs(workers: usize) -> RatePerWorker {
    let link = LinkCost::new(940.0, 0.2);
    RatePerWorker {
        macs_per_ms: (0..workers).map(|at| 1e7 / (1.0 + at as f64)).collect(),
        links: vec![link; workers],
        lab: link,
    }
}

/// Blocks of `length` units, rows in proportion to speed.
fn draft(network: &Network, workers: usize, length: usize) -> Draft {
    let units = network.units.len();
    let weights: Vec<f64> = (0..workers).map(|at| 1.0 / (1.0 + at as f64)).collect();
    let blocks = (0..units).step_by(length).map(|from| {
        let to = (from + length).min(units);
        Block::shared(from..to, network.cut(to).rows, &weights)
    });
    Draft::of(&Partition { blocks: blocks.collect() })
}

/// A 35-unit network, 8 workers, blocks of this many units.
#[divan::bench(args = [1, 2, 4, 8])]
fn plan_cost_of_35_units_on_8_workers(bencher: divan::Bencher, length: usize) {
    let network = chain(224, 35);
    let costs = costs(8);
    let problem = Problem { network: &network, costs: &costs, allowed: &[true; 8], memory: &[] };
    let draft = draft(&network, 8, length);
    let mut costing = Costing::new(&problem);
    let mut pair = costing.pair();
    costing.latency(&draft, &mut pair);
    bencher.bench_local(|| costing.latency(&draft, &mut pair));
}

/// Ten thousand changes of such a plan, each tried and taken or not: ms are tenths of a µs a change.
#[divan::bench(args = [4, 8], sample_count = 5)]
fn ten_thousand_changes_of_35_units(bencher: divan::Bencher, workers: usize) {
    let network = chain(224, 35);
    let costs = costs(workers);
    let allowed = vec![true; workers];
    let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
    let anneal = planner("anneal").expect("a planner's name");
    bencher
        .bench_local(|| anneal.plan(&problem, Budget { evaluations: 10_000, seed: 1, ..Budget::default() }));
}

#[divan::bench(args = [1, 2, 4])]
fn plan_cost_of_mobilenetv2_on_3_workers(bencher: divan::Bencher, length: usize) {
    let network = named("mobilenetv2").expect("in the zoo");
    let costs = costs(3);
    let problem = Problem { network: &network, costs: &costs, allowed: &[true; 3], memory: &[] };
    let draft = draft(&network, 3, length);
    let mut costing = Costing::new(&problem);
    let mut pair = costing.pair();
    costing.latency(&draft, &mut pair);
    bencher.bench_local(|| costing.latency(&draft, &mut pair));
}

/// Whole planners on VGG-16 and the seed-like four; searches with 3 000 evaluations.
#[divan::bench(args = ["proportional", "greedy", "bisection", "dp", "beam", "random", "cem", "anneal", "policy", "auto"])]
fn planners_for_vgg16_on_4_workers(bencher: divan::Bencher, name: &str) {
    let network = named("vgg16").expect("in the zoo");
    let costs = fleet_costs(&network, &seed_like(4, LinkClass::Gigabit), LinkClass::Gigabit);
    let problem = Problem { network: &network, costs: &costs, allowed: &[true; 4], memory: &[] };
    let planner = planner(name).expect("a planner's name");
    bencher
        .bench_local(|| planner.plan(&problem, Budget { evaluations: 3_000, seed: 1, ..Budget::default() }));
}

/// Workers and units: the first proposal on chains, blocks and devices as they come.
#[divan::bench(args = [(8, 50), (8, 200), (64, 50), (64, 200)], sample_count = 5)]
fn a_policy_for_many_workers_and_units(bencher: divan::Bencher, (workers, units): (usize, u32)) {
    bench_of_size(bencher, "policy", workers, units);
}

/// The same, refined with 3 000 evaluations.
#[divan::bench(args = [(8, 50), (8, 200), (64, 50), (64, 200)], sample_count = 3)]
fn a_refined_plan_for_many_workers_and_units(bencher: divan::Bencher, (workers, units): (usize, u32)) {
    bench_of_size(bencher, "erl", workers, units);
}

fn bench_of_size(bencher: divan::Bencher, name: &str, workers: usize, units: u32) {
    let network = chain(224, units);
    let costs = costs(workers);
    let allowed = vec![true; workers];
    let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
    let planner = planner(name).expect("a planner's name");
    bencher
        .bench_local(|| planner.plan(&problem, Budget { evaluations: 3_000, seed: 1, ..Budget::default() }));
}

/// The simulator's own way, for comparison.
#[divan::bench(args = [3, 8])]
fn a_schedule_simulated(bencher: divan::Bencher, workers: usize) {
    let network = named("vgg16").expect("in the zoo");
    let costs = costs(workers);
    let allowed = vec![true; workers];
    let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
    let partition = draft(&network, workers, 2).partition();
    bencher.bench_local(|| problem.cost(partition.clone()));
}
