//! Measures how far planners are from the best known plan on random fleets of 2 to 8 workers:
//!
//! ```text
//! cargo run --release -p collab-core --example measure_gaps -- FLEETS EVALUATIONS REFERENCE NETWORK,… PLANNER,…
//! ```
//!
//! The best known plan is the best of all planners named and of two more refinements of REFERENCE
//! evaluations from all of their plans. `forward=FILE`, `policy=FILE` and `erl=FILE` are planners with a
//! portfolio of one's own. Times are of the processor (Linux only).

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use collab_core::network::samples::named;
use collab_core::plan::erl::Portfolio;
use collab_core::plan::scenario::{costs, gap, quantile, random_fleet};
use collab_core::plan::{Auto, BestSingle, Budget, Erl, Planner, Problem, Reach, planner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [fleets, evaluations, reference, networks, names] = arguments.as_slice() else {
        return Err("expected FLEETS EVALUATIONS REFERENCE NETWORK,… PLANNER,…".into());
    };
    let (fleets, evaluations, reference) = (fleets.parse()?, evaluations.parse()?, reference.parse()?);
    let planners: Vec<(&str, Box<dyn Planner>)> =
        names.split(',').map(|name| Ok((name, find(name)?))).collect::<Result<_, String>>()?;
    for name in networks.split(',') {
        let network = named(name).ok_or("no such network")?;
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        let mut gaps = vec![Vec::new(); planners.len()];
        let mut spent = vec![0.0; planners.len()];
        let mut gains = Vec::new();
        for _ in 0..fleets {
            let count = rng.random_range(2..=8);
            let (devices, lab) = random_fleet(&mut rng, count);
            let costs = costs(&network, &devices, lab);
            let allowed = vec![true; count];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            let finish = |planner: &dyn Planner, evaluations, seed| {
                let plan = planner.plan(&problem, Budget { evaluations, seed });
                plan.map(|plan| (plan.timeline.finish_ms, plan.partition)).ok_or("no plan")
            };
            let mut answers = Vec::new();
            for (at, (_, planner)) in planners.iter().enumerate() {
                let before = processor_ms();
                answers.push(finish(&**planner, evaluations, 1)?);
                spent[at] += processor_ms() - before;
            }
            let auto = Auto { starts: answers.iter().map(|answer| answer.1.clone()).collect() };
            let mut best = finish(&auto, reference, 7)?.0.min(finish(&auto, reference, 8)?.0);
            best = answers.iter().fold(best, |best, answer| best.min(answer.0));
            gains.push(finish(&BestSingle, 1, 0)?.0 / best);
            for (gaps, answer) in gaps.iter_mut().zip(&answers) {
                gaps.push(100.0 * gap(answer.0, best));
            }
        }
        let at = |values: &[f64], share| quantile(values, share).unwrap_or(f64::NAN);
        println!("{name}: best over best single {:.2} (max {:.2})", at(&gains, 0.5), at(&gains, 1.0));
        for (((planner, _), gaps), spent) in planners.iter().zip(&gaps).zip(&spent) {
            let name: String = planner.chars().take(14).collect();
            let (median, high, most) = (at(gaps, 0.5), at(gaps, 0.95), at(gaps, 1.0));
            let each = spent / f64::from(fleets);
            println!("  {name:14} {median:7.2} % median {high:7.2} % p95 {most:7.2} % worst {each:8.2} ms");
        }
    }
    Ok(())
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
