//! `collab-tui plan`: what planners answer for devices that need not exist.

use std::io::IsTerminal as _;
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
/// Cells before a partition and a reason, in a line where there is no terminal, and at least.
const INDENT: usize = 4;
const FILE_WIDTH: usize = 100;
const NARROWEST: usize = 40;

/// Planners search on no more threads than this.
const MOST_THREADS: usize = 4;

/// How many threads planners may search on where nothing else is to be done.
pub fn planning_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS))
}

/// Prints for each planner what its plan takes, the plan, and why it is better or worse than one device.
pub fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let devices: Vec<Emulation> =
        args.fleet.devices.iter().map(|name| preset(name)).collect::<Result<_, _>>()?;
    let loaded = args.file.choice(&args.model).load(args.seed)?;
    let network = loaded.model.network();
    let costs = costs(network, &devices, args.fleet.link.map(crate::cli::LinkPreset::shape));
    let allowed = vec![true; devices.len()];
    let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
    let names: Vec<&str> = if args.planner == "all" { PLANNERS.to_vec() } else { vec![&args.planner] };
    let scenario = scenario_name(args);
    let begun = Instant::now();
    let clock = || begun.elapsed().as_secs_f64() * 1e3;
    let budget = Budget { seed: args.seed, threads: planning_threads(), ..Budget::default() };
    let answers = answers(&scenario, &problem, &names, budget, REFERENCE, clock);
    if args.json {
        return answers.iter().try_for_each(|(row, _)| Ok(print(&serde_json::to_string(row)?)?));
    }
    let single = planner("best-single").and_then(|single| single.plan(&problem, budget));
    let single = single.context("no device may be given rows")?;
    let (row, _) = answers.first().context("the planner finds nothing")?;
    print(&heading(row.reference))?;
    let is_shared = |plan: &Plan| plan.partition.single_owner().is_none();
    let shared = answers.iter().map(|(_, plan)| plan).filter(|plan| is_shared(plan));
    let shared = shared.min_by(|a, b| a.timeline.finish_ms.total_cmp(&b.timeline.finish_ms)).cloned();
    // Where one device is best for everybody asked, against sharing among all.
    let shared = shared.or_else(|| planner("bisection")?.plan(&problem, budget)).filter(is_shared);
    let cells = terminal_width();
    for (row, plan) in &answers {
        let reason = match shared.as_ref().filter(|_| !is_shared(plan)) {
            Some(shared) => problem.explain(plan, shared, "the best shared plan"),
            None if devices.len() == 1 => "There is one device only: nothing can be shared.".to_owned(),
            None => problem.explain(plan, &single, "the best single device"),
        };
        print(&line(row, plan, single.timeline.finish_ms))?;
        let partition = plan.partition.to_string();
        let lines = filled(partition.split_inclusive('/'), cells);
        lines.iter().chain(&filled(reason.split_inclusive(' '), cells)).try_for_each(|line| print(line))?;
    }
    Ok(())
}

/// `2,4,10-gigabit`, or the devices alone where each has its own link.
fn scenario_name(args: &PlanArgs) -> String {
    let link = args.fleet.link.map(|link| format!("-{}", link.name()));
    args.fleet.devices.join(",") + &link.unwrap_or_default()
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

/// Above what [`line()`] says.
fn heading(reference: Reference) -> String {
    let reference = match reference {
        Reference::Exact => "above optimum",
        Reference::BestKnown => "above best known",
    };
    format!(
        "{:<14} {:>12} {:>12} {reference:>17} {:>8} {:>11}",
        "planner", "predicted", "over single", "costed", "planned in"
    )
}

fn line(row: &Row, plan: &Plan, single_ms: f64) -> String {
    format!(
        "{:<14} {:>9.2} ms {:>12} {:>15.2} % {:>8} {:>8.2} ms",
        row.planner,
        row.predicted_ms,
        format!("×{:.2}", single_ms / plan.timeline.finish_ms),
        100.0 * row.gap,
        row.evaluations,
        row.plan_ms,
    )
}

/// `pieces` in indented lines of at most `cells` cells, broken between them.
fn filled<'a>(pieces: impl Iterator<Item = &'a str>, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        let length = |text: &str| text.trim_end().chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + length(piece) <= cells => line.push_str(piece),
            _ => lines.push(format!("{:INDENT$}{piece}", "")),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Of the terminal, or what suits a file.
fn terminal_width() -> usize {
    let size = std::io::stdout().is_terminal().then(crossterm::terminal::size);
    size.and_then(Result::ok).map_or(FILE_WIDTH, |(columns, _)| usize::from(columns)).max(NARROWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_partitions_and_reasons_are_broken_between_their_pieces() {
        let lines = filled("0-2:66,33,13/3:67,32,13/4-5:36,16,4".split_inclusive('/'), 30);
        assert_eq!(lines, ["    0-2:66,33,13/3:67,32,13/", "    4-5:36,16,4"]);
        let lines = filled("one device is better: links are slow".split_inclusive(' '), 20);
        assert_eq!(lines, ["    one device is", "    better: links", "    are slow"]);
    }

    #[test]
    fn a_planners_line_stands_under_its_heading_and_fits_eighty_columns() {
        let row = Row {
            scenario: "2,4".to_owned(),
            workers: 2,
            network: "vgg16".to_owned(),
            planner: "equal-per-unit".to_owned(),
            seed: 0,
            predicted_ms: 12345.67,
            reference_ms: 12000.0,
            reference: Reference::BestKnown,
            gap: 12.5,
            evaluations: 35_000,
            plan_ms: 1234.56,
        };
        let network = collab_core::network::samples::named("vgg16").unwrap();
        let partition = collab_core::partition::Partition::single(&network, collab_core::id::WorkerId(0), 2);
        let costs = costs(&network, &[preset("2").unwrap(), preset("4").unwrap()], None);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2], memory: &[] };
        let plan = problem.cost(partition);
        let (heading, line) = (heading(Reference::BestKnown), line(&row, &plan, plan.timeline.finish_ms));
        assert!(line.contains("×1.00") && line.contains("1250.00 %"), "{line}");
        assert_eq!(heading.chars().count(), line.chars().count(), "{heading}\n{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }
}
