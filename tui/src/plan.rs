//! `collab-tui plan`: what planners answer for devices that need not exist.

use std::time::Instant;

use anyhow::Context as _;
use collab_core::event::{Emulation, LinkShape};
use collab_core::network::Network;
use collab_core::plan::scenario::{Device, LinkClass, Reference, Row, answers};
use collab_core::plan::{Budget, PLANNERS, Plan, Problem, planner};
use collab_core::predict::{PerLayer, link_cost};
use collab_worker::emulation::preset;

use crate::cli::PlanArgs;
use crate::headless::print;

/// A device with slowdown 1 is taken for this many Raspberry Pi 4.
const FULL_SPEED: f64 = 4.0;
/// Round trip taken for links, ms.
const RTT_MS: f64 = 0.4;
/// Partitions costed, twice, for the best known plan that gaps refer to.
const REFERENCE: u64 = 60_000;

/// Prints one line for each planner.
pub fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let devices: Vec<Emulation> = args.devices.iter().map(|name| preset(name)).collect::<Result<_, _>>()?;
    let loaded = args.file.choice(&args.model).load(args.seed)?;
    let network = loaded.model.network();
    let costs = costs(network, &devices, args.link.map(crate::cli::LinkPreset::shape));
    let allowed = vec![true; devices.len()];
    let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
    let names: Vec<&str> = if args.planner == "all" { PLANNERS.to_vec() } else { vec![&args.planner] };
    let scenario = scenario_name(args);
    let begun = Instant::now();
    let clock = || begun.elapsed().as_secs_f64() * 1e3;
    let budget = Budget { seed: args.seed, ..Budget::default() };
    let answers = answers(&scenario, &problem, &names, budget, REFERENCE, clock);
    let single = planner("best-single").and_then(|single| single.plan(&problem, budget));
    let single_ms = single.as_ref().context("no device may be given rows")?.timeline.finish_ms;
    for (row, plan) in &answers {
        if args.json {
            print(&serde_json::to_string(row)?);
        } else {
            print(&sentence(row, plan, single_ms));
        }
    }
    if !args.json
        && let Some((row, best)) = answers.iter().min_by(|a, b| a.0.predicted_ms.total_cmp(&b.0.predicted_ms))
        && let Some(single) = &single
    {
        print(&format!("\n{}: {}", row.planner, problem.explain(best, single, "the best single device")));
    }
    Ok(())
}

/// `2,4,10-gigabit`, or the devices alone where each has its own link.
fn scenario_name(args: &PlanArgs) -> String {
    let link = args.link.map(|link| format!("-{}", link.name()));
    args.devices.join(",") + &link.unwrap_or_default()
}

/// Costs from a Pi 4's rates, divided by each slowdown; the lab is on a gigabit network.
fn costs(network: &Network, devices: &[Emulation], link: Option<LinkShape>) -> PerLayer {
    let layers = |device: &Emulation| {
        let device = Device::of_speed(FULL_SPEED / device.slowdown, LinkClass::Gigabit);
        (0..network.layers.len()).map(|layer| device.layer(network, layer)).collect()
    };
    PerLayer {
        layers: devices.iter().map(layers).collect(),
        links: devices.iter().map(|device| link_cost(link.unwrap_or(device.link), RTT_MS, None)).collect(),
        lab: link_cost(LinkShape::default(), RTT_MS, None),
    }
}

fn sentence(row: &Row, plan: &Plan, single_ms: f64) -> String {
    let reference = match row.reference {
        Reference::Exact => "the optimum",
        Reference::BestKnown => "the best known",
    };
    format!(
        "{:<14} {:>9.2} ms   ×{:<5.2} over the best single   {:>6.2} % above {reference}   {:>7} costed   planned in {:.2} ms\n{:14} {}",
        row.planner,
        row.predicted_ms,
        single_ms / row.predicted_ms,
        100.0 * row.gap,
        row.evaluations,
        row.plan_ms,
        "",
        plan.partition
    )
}
