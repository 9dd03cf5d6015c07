//! Measures how far planners are from the best known plan on random fleets of 2 to 8 workers:
//!
//! ```text
//! cargo run --release -p collab-core --example measure_gaps -- SEEDS FLEETS EVALUATIONS REFERENCE NETWORK,… PLANNER,…
//! ```
//!
//! A network is one of those that come with core, or a file of what `collab-tui inspect NETWORK --json` prints.
//!
//! Every seed draws FLEETS other fleets and is the planners' own. The best known plan is the best of all planners
//! named and of two more refinements of REFERENCE evaluations from all of their plans. `forward=FILE`,
//! `policy=FILE` and `erl=FILE` are planners with a portfolio of one's own. Times are of the processor (Linux only).

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use collab_core::network::samples::named;
use collab_core::plan::erl::Portfolio;
use collab_core::plan::scenario::{costs, gap, quantile, random_fleet};
use collab_core::plan::{Auto, BestSingle, Budget, Erl, Planner, Problem, Reach, planner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seeds, fleets, evaluations, reference, networks, names] = arguments.as_slice() else {
        return Err("expected SEEDS FLEETS EVALUATIONS REFERENCE NETWORK,… PLANNER,…".into());
    };
    let (seeds, fleets): (u64, usize) = (seeds.parse()?, fleets.parse()?);
    let (evaluations, reference) = (evaluations.parse()?, reference.parse()?);
    let planners: Vec<(&str, Box<dyn Planner>)> =
        names.split(',').map(|name| Ok((name, find(name)?))).collect::<Result<_, String>>()?;
    for name in networks.split(',') {
        let network = match name.ends_with(".json") {
            true => serde_json::from_slice(&std::fs::read(name)?)?,
            false => named(name).ok_or("no such network")?,
        };
        let mut scores: Vec<Score> = planners.iter().map(|_| Score::default()).collect();
        let mut gains = Vec::new();
        for seed in 0..seeds {
            scores.iter_mut().for_each(|score| score.gaps.push(Vec::new()));
            let mut rng = ChaCha8Rng::seed_from_u64(99 + seed);
            for _ in 0..fleets {
                let count = rng.random_range(2..=8);
                let (devices, lab) = random_fleet(&mut rng, count);
                let costs = costs(&network, &devices, lab);
                let allowed = vec![true; count];
                let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
                let finish = |planner: &dyn Planner, evaluations, seed| {
                    let plan = planner.plan(&problem, Budget { evaluations, seed, ..Budget::default() });
                    plan.map(|plan| (plan.timeline.finish_ms, plan.partition)).ok_or("no plan")
                };
                let mut answers = Vec::new();
                for ((_, planner), score) in planners.iter().zip(&mut scores) {
                    let before = processor_ms();
                    answers.push(finish(&**planner, evaluations, 1 + seed)?);
                    score.spent += processor_ms() - before;
                }
                let auto = Auto { starts: answers.iter().map(|answer| answer.1.clone()).collect() };
                let best =
                    finish(&auto, reference, 700 + seed)?.0.min(finish(&auto, reference, 800 + seed)?.0);
                let best = answers.iter().fold(best, |best, answer| best.min(answer.0));
                gains.push(finish(&BestSingle, 1, 0)?.0 / best);
                for (score, answer) in scores.iter_mut().zip(&answers) {
                    score.gaps.iter_mut().last().ok_or("no seed")?.push(100.0 * gap(answer.0, best));
                }
            }
        }
        println!("{name}: best over best single {:.2} (max {:.2})", of(&gains, 0.5), of(&gains, 1.0));
        for ((planner, _), score) in planners.iter().zip(&scores) {
            score.print(planner, (seeds as usize * fleets) as f64);
        }
    }
    Ok(())
}

/// Of one planner.
#[derive(Default)]
struct Score {
    /// Gaps by seed, %.
    gaps: Vec<Vec<f64>>,
    /// Processor time, ms.
    spent: f64,
}

impl Score {
    fn print(&self, planner: &str, plans: f64) {
        let all: Vec<f64> = self.gaps.iter().flatten().copied().collect();
        let spread = |share| {
            let each: Vec<f64> = self.gaps.iter().map(|gaps| of(gaps, share)).collect();
            format!("({:.2} to {:.2})", of(&each, 0.0), of(&each, 1.0))
        };
        println!(
            "  {:14} {:6.2} % median {:17} {:6.2} % p95 {:18} {:6.2} % worst {:7.2} ms",
            planner.chars().take(14).collect::<String>(),
            of(&all, 0.5),
            spread(0.5),
            of(&all, 0.95),
            spread(0.95),
            of(&all, 1.0),
            self.spent / plans,
        );
    }
}

fn of(values: &[f64], share: f64) -> f64 {
    quantile(values, share).unwrap_or(f64::NAN)
}

fn find(name: &str) -> Result<Box<dyn Planner>, String> {
    match name.split_once('=') {
        Some((kind, file)) => {
            let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            let portfolio = Portfolio::from_bytes(&bytes).map_err(|error| error.to_string())?;
            let reach = match kind {
                "forward" => Reach::Forward,
                "policy" => Reach::Mended,
                _ => Reach::Refined,
            };
            Ok(Box::new(Erl { portfolio, reach }))
        }
        None => planner(name).map(|planner| planner as Box<dyn Planner>).ok_or(format!("no planner {name}")),
    }
}

fn processor_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}
