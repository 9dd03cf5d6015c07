//! `collab-tui bench plan`: every planner on made-up fleets, against the best known plan or the optimum.

mod adaptive;
mod limited;
mod parts;

use std::time::Instant;

use collab_core::network::Network;
use collab_core::network::samples::{ZOO, named};
use collab_core::plan::scenario::{PUBLISHED, Reference, Row, Scenario, compare, quantile, scenarios};
use collab_core::plan::{Budget, PLANNERS};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::cli::BenchPlanArgs;
use crate::headless::print;
use crate::lab::ModelChoice;
use crate::plan::planning_threads;

/// Of the [`ZOO`], what a quick look is at.
const QUICK: [&str; 2] = ["vgg16", "resnet50"];

/// How much is tried.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Random fleets.
    random: usize,
    /// Partitions costed, twice, for the best known plan.
    reference: u64,
    /// Partitions costed to train with a part switched off.
    training: u64,
}

/// Measures and prints.
pub fn run(args: &BenchPlanArgs) -> anyhow::Result<()> {
    let extent = match args.quick {
        true => Extent { random: 1, reference: 30_000, training: 20_000 },
        false => Extent { random: 6, reference: 100_000, training: 200_000 },
    };
    let begun = Instant::now();
    let clock = || begun.elapsed().as_secs_f64() * 1e3;
    let names: Vec<&str> = match &args.networks {
        Some(names) => names.iter().map(String::as_str).collect(),
        None if args.quick => QUICK.to_vec(),
        None => ZOO.to_vec(),
    };
    let networks: Vec<Network> =
        names.into_iter().map(|name| network(name, args.seed)).collect::<anyhow::Result<_>>()?;
    let mut all = Vec::new();
    let mut tell = |rows: Vec<Row>| -> anyhow::Result<()> {
        if args.json {
            for row in &rows {
                print(&serde_json::to_string(row)?)?;
            }
        }
        all.extend(rows);
        Ok(())
    };
    for network in &networks {
        for seed in args.seed..args.seed + args.seeds {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let planned = scenarios(extent.random, &mut rng);
            for scenario in planned.iter().filter(|scenario| !args.quick || is_quick(scenario)) {
                let budget = Budget { seed, threads: planning_threads(), ..Budget::default() };
                tell(compare(scenario, network, &PLANNERS, budget, extent.reference, clock))?;
            }
            tell(limited::rows(network, extent.reference, seed, clock))?;
            tell(adaptive::rows(network, extent.random, extent.reference, seed, clock))?;
        }
        tell(parts::rows(network, extent.training, extent.reference, args.seed, clock))?;
    }
    for seed in args.seed..args.seed + args.seeds {
        tell(limited::exact(extent.reference, seed, clock))?;
    }
    if !args.json {
        let small = all.iter().find(|row| row.scenario.starts_with("small")).map(|row| row.network.clone());
        let names: Vec<String> = networks.into_iter().map(|network| network.name).chain(small).collect();
        summary(&all, &names).iter().try_for_each(|line| print(line))?;
    }
    Ok(())
}

/// The geometry called so of the [`ZOO`], else a network of the catalogue or an ONNX file.
fn network(name: &str, seed: u64) -> anyhow::Result<Network> {
    match named(name) {
        Some(network) => Ok(network),
        None => Ok(ModelChoice::named(name).load(seed)?.model.network().as_ref().clone()),
    }
}

/// Whether a scenario is among those of a quick look.
fn is_quick(scenario: &Scenario) -> bool {
    let name = &scenario.name;
    ["seed-like", "equal-4", "far-server-gigabit", "random"].iter().any(|begin| name.starts_with(begin))
}

/// Gaps by network and planner, and speed-ups over an equal split.
fn summary(rows: &[Row], networks: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for network in networks {
        let of_it: Vec<&Row> = rows.iter().filter(|row| row.network == *network).collect();
        let exact = of_it.iter().filter(|row| row.reference == Reference::Exact).count();
        lines.push(format!(
            "\n{}: {} answers, {exact} of them against a proven optimum; gap to it or to the best known, %",
            network,
            of_it.len()
        ));
        lines.push(format!(
            "  {:<32} {:>6} {:>8} {:>8} {:>8} {:>10} {:>9}",
            "planner", "cases", "median", "p95", "worst", "evaluated", "ms"
        ));
        let mut planners: Vec<&str> = Vec::new();
        for row in &of_it {
            if !planners.contains(&row.planner.as_str()) {
                planners.push(&row.planner);
            }
        }
        for planner in planners {
            let its: Vec<&&Row> = of_it.iter().filter(|row| row.planner == planner).collect();
            let at = |value: fn(&Row) -> f64, share: f64| {
                quantile(&its.iter().map(|row| value(row)).collect::<Vec<f64>>(), share).unwrap_or(f64::NAN)
            };
            let gap = |row: &Row| 100.0 * row.gap;
            lines.push(format!(
                "  {planner:<32} {:>6} {:>8.2} {:>8.2} {:>8.2} {:>10.0} {:>9.2}",
                its.len(),
                at(gap, 0.5),
                at(gap, 0.95),
                at(gap, 1.0),
                at(|row| row.evaluations as f64, 0.5),
                at(|row| row.plan_ms, 0.5),
            ));
        }
        lines.extend(over_equal(&of_it));
    }
    lines
}

/// The seed-like two, three and four beside what was published.
fn over_equal(rows: &[&Row]) -> Vec<String> {
    let speedup = |count: usize, opponent: &str| {
        let name = format!("seed-like-{count}-gigabit");
        let of = |planner: &str| {
            let mut its = rows.iter().filter(|row| row.scenario == name && row.planner == planner);
            its.next().map(|row| row.predicted_ms)
        };
        Some(of(opponent)? / of("erl")?)
    };
    let line = |(opponent, words): (&str, &str)| {
        let ratios: Vec<String> = (2..=4)
            .zip(PUBLISHED)
            .filter_map(|(count, published)| {
                Some(format!("{count} devices ×{:.2} (published ×{published})", speedup(count, opponent)?))
            })
            .collect();
        (!ratios.is_empty()).then(|| format!("  erl over {words}, gigabit: {}", ratios.join(", ")))
    };
    let equal =
        [("equal", "an equal split with the best cuts"), ("equal-per-unit", "an equal split of every unit")];
    equal.into_iter().filter_map(line).collect()
}
