#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]
use collab_core::network::samples::named;
use collab_core::plan::{scenario::*, *};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let fleets: usize = args[1].parse().unwrap();
    let evals: u64 = args[2].parse().unwrap();
    let reference: u64 = args[3].parse().unwrap();
    let nets: Vec<&str> = args[4].split(',').collect();
    let names: Vec<&str> = args[5].split(',').collect();
    for net in nets {
        let network = named(net).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        let mut gaps = vec![vec![]; names.len()];
        let mut ms = vec![0.0; names.len()];
        let mut speedups = vec![];
        for _ in 0..fleets {
            let count = rng.random_range(2..=8);
            let (devices, lab) = random_fleet(&mut rng, count);
            let costs = costs(&network, &devices, lab);
            let allowed = vec![true; count];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            let mut answers = vec![];
            for (i, name) in names.iter().enumerate() {
                let t = Instant::now();
                let plan =
                    planner(name).unwrap().plan(&problem, Budget { evaluations: evals, seed: 1 }).unwrap();
                ms[i] += t.elapsed().as_secs_f64() * 1e3;
                answers.push(plan);
            }
            let starts = answers.iter().map(|p| p.partition.clone()).collect();
            let best = (0..2)
                .map(|seed| {
                    Auto { starts: Vec::clone(&starts) }
                        .plan(&problem, Budget { evaluations: reference, seed: 7 + seed })
                        .unwrap()
                        .timeline
                        .finish_ms
                })
                .fold(f64::INFINITY, f64::min);
            let single = BestSingle.plan(&problem, Budget::default()).unwrap().timeline.finish_ms;
            speedups.push(single / best);
            for (i, a) in answers.iter().enumerate() {
                gaps[i].push(100.0 * gap(a.timeline.finish_ms, best));
            }
        }
        println!(
            "{net}: {fleets} fleets; best over single median {:.2} max {:.2}",
            quantile(&speedups, 0.5).unwrap(),
            quantile(&speedups, 1.0).unwrap()
        );
        for (i, name) in names.iter().enumerate() {
            println!(
                "  {name:14} gap median {:7.2} p95 {:7.2} max {:7.2}  {:8.2} ms",
                quantile(&gaps[i], 0.5).unwrap(),
                quantile(&gaps[i], 0.95).unwrap(),
                quantile(&gaps[i], 1.0).unwrap(),
                ms[i] / fleets as f64
            );
        }
    }
}
