//! `collab-tui plan`: what planners answer for devices that need not exist.

use std::time::Instant;

use anyhow::Context as _;
use collab_core::event::{Emulation, LinkShape};
use collab_core::plan::{Budget, PLANNERS, Problem, planner};
use collab_core::predict::{RatePerWorker, link_cost};
use collab_worker::emulation::preset;
use serde::Serialize;

use crate::cli::PlanArgs;
use crate::headless::print;
use crate::lab;

/// Multiply-accumulates per ms taken for a device with slowdown 1: a 40 GMAC/s core.
const FULL_SPEED: f64 = 40e6;

#[derive(Serialize)]
struct Row<'a> {
    network: &'a str,
    workers: usize,
    planner: &'a str,
    predicted_ms: f64,
    speedup: f64,
    plan_ms: f64,
    partition: String,
}

/// Prints one line for each planner.
pub fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let devices: Vec<Emulation> = args.devices.iter().map(|name| preset(name)).collect::<Result<_, _>>()?;
    let loaded = lab::load(&args.model, 7, None)?;
    let network = loaded.model.network();
    let link = |device: &Emulation| args.link.map_or(device.link, crate::cli::LinkPreset::shape);
    let costs = RatePerWorker {
        macs_per_ms: devices.iter().map(|device| FULL_SPEED / device.slowdown).collect(),
        links: devices.iter().map(|device| link_cost(link(device), 0.4, None)).collect(),
        lab: link_cost(LinkShape::default(), 0.4, None),
    };
    let allowed = vec![true; devices.len()];
    let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
    let names: Vec<&str> = if args.planner == "all" { PLANNERS.to_vec() } else { vec![&args.planner] };
    let mut rows = Vec::new();
    for name in names {
        let found = planner(name).with_context(|| {
            format!("there is no planner '{name}'; choose all or one of {}", PLANNERS.join(", "))
        })?;
        let begun = Instant::now();
        let plan = found
            .plan(&problem, Budget { evaluations: 100_000, seed: 0 })
            .context("no device may be given rows")?;
        let plan_ms = begun.elapsed().as_secs_f64() * 1e3;
        rows.push((name, plan, plan_ms));
    }
    let single = planner("best-single").and_then(|single| single.plan(&problem, Budget::default()));
    let single = single.context("no device may be given rows")?.timeline.finish_ms;
    for (name, plan, plan_ms) in rows {
        let row = Row {
            network: &network.name,
            workers: devices.len(),
            planner: name,
            predicted_ms: plan.timeline.finish_ms,
            speedup: single / plan.timeline.finish_ms,
            plan_ms,
            partition: plan.partition.to_string(),
        };
        if args.json {
            print(&serde_json::to_string(&row)?);
        } else {
            print(&format!(
                "{:<14} {:>9.1} ms   ×{:.2} over the best single   planned in {:.2} ms\n{:14} {}",
                row.planner, row.predicted_ms, row.speedup, row.plan_ms, "", row.partition
            ));
        }
    }
    Ok(())
}
