//! Measures what each part of the learning contributes, at equal evaluations:
//!
//! ```text
//! cargo run --release -p collab-core --example measure_parts -- SEEDS EVALUATIONS FLEETS NETWORK,…
//! ```
//!
//! Trains from nothing with all parts and without each of them, until EVALUATIONS partitions were costed, and
//! has what is deployed plan for FLEETS random fleets that no trainer draws, without refinement (`forward`). Gaps
//! are to the best of all those plans and of a refinement from them.

#![allow(clippy::print_stdout)]

use collab_core::network::Network;
use collab_core::network::samples::named;
use collab_core::partition::Partition;
use collab_core::plan::erl::{Part, Portfolio, Trainer};
use collab_core::plan::scenario::{costs, gap, quantile, random_fleet};
use collab_core::plan::{Auto, Budget, Erl, Planner, Problem, Reach};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Members deployed, and problems on which they are chosen.
const DEPLOYED: (usize, usize) = (8, 40);
/// Partitions costed for the best known plan.
const REFERENCE: u64 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seeds, evaluations, fleets, networks] = arguments.as_slice() else {
        return Err("expected SEEDS EVALUATIONS FLEETS NETWORK,…".into());
    };
    let (seeds, evaluations, fleets) = (seeds.parse()?, evaluations.parse()?, fleets.parse()?);
    for name in networks.split(',') {
        let network = named(name).ok_or("no such network")?;
        measure(&network, seeds, evaluations, fleets)?;
    }
    Ok(())
}

/// Everything that is deployed of one seed, with its name.
fn variants(network: &Network, evaluations: u64, seed: u64) -> Vec<(String, Portfolio)> {
    use Part::*;
    let train = |off: &[Part], least: u64| {
        let mut trainer = Trainer::new(vec![network.clone()], off, seed);
        while least > 0 && trainer.generation().evaluations < least {}
        trainer.portfolio(DEPLOYED.0, DEPLOYED.1)
    };
    let everything = train(&[], evaluations);
    let alone = Portfolio { members: everything.members[..1].to_vec() };
    let mut all = vec![
        ("not trained".to_owned(), train(&[], 0)),
        ("with everything".to_owned(), everything),
        ("its best member alone".to_owned(), alone),
    ];
    for part in [Population, Agent, AgentEnters, EliteTeaches, TaughtCrossover, GentleMutation, Replay] {
        all.push((format!("without {part:?}"), train(&[part], evaluations)));
    }
    all
}

fn measure(network: &Network, seeds: u64, evaluations: u64, fleets: usize) -> Result<(), &'static str> {
    let mut medians: Vec<(String, Vec<f64>)> = Vec::new();
    for seed in 1..=seeds {
        let variants = variants(network, evaluations, seed);
        let mut gaps = vec![Vec::new(); variants.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(4000);
        for _ in 0..fleets {
            let count = rng.random_range(2..=8);
            let (devices, lab) = random_fleet(&mut rng, count);
            let costs = costs(network, &devices, lab);
            let allowed = vec![true; count];
            let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
            let mut answers: Vec<(f64, Partition)> = Vec::new();
            for (_, portfolio) in &variants {
                let planner = Erl { portfolio: portfolio.clone(), reach: Reach::Forward };
                let plan = planner
                    .plan(&problem, Budget { evaluations: 0, seed: 1, ..Budget::default() })
                    .ok_or("no plan")?;
                answers.push((plan.timeline.finish_ms, plan.partition));
            }
            let starts = answers.iter().map(|answer| answer.1.clone()).collect();
            let refined = Auto { starts }
                .plan(&problem, Budget { evaluations: REFERENCE, seed: 1, ..Budget::default() });
            let best = refined.ok_or("no plan")?.timeline.finish_ms;
            let best = answers.iter().fold(best, |best, answer| best.min(answer.0));
            gaps.iter_mut().zip(&answers).for_each(|(gaps, answer)| gaps.push(100.0 * gap(answer.0, best)));
        }
        for (at, ((name, _), gaps)) in variants.into_iter().zip(&gaps).enumerate() {
            let of = |share| quantile(gaps, share).unwrap_or(f64::NAN);
            println!(
                "{} seed {seed}: {name:24} {:6.2} % median {:6.2} % p95",
                network.name,
                of(0.5),
                of(0.95)
            );
            if medians.len() <= at {
                medians.push((name, Vec::new()));
            }
            medians[at].1.push(of(0.5));
        }
    }
    for (name, medians) in &medians {
        let of = |share| quantile(medians, share).unwrap_or(f64::NAN);
        println!(
            "{}: {name:24} median over seeds {:6.2} %, {:.2} to {:.2}",
            network.name,
            of(0.5),
            of(0.0),
            of(1.0)
        );
    }
    Ok(())
}
