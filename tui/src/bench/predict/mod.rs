//! `collab-tui bench predict`: how well predictions hold, for networks in three states.
//!
//! *Cold*: only the calibration is known. *Profiled*: the network ran as a whole, and a worker's share of it was
//! rehearsed, as a lab has it; random blocks of it are predicted that never ran. *Live*: twenty runs of a random partition are
//! known, and the next ones are predicted, each when those before it are.

mod export;
mod measure;
mod models;
mod ours;
mod runs;
mod score;

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use collab_core::network::Network;
use collab_core::predict::{Profile, fit};
use collab_core::wire::TimedLayer;
use collab_models::calibration;
use collab_worker::TimedStrip;
use collab_worker::emulation::preset;
use collab_worker::engine::Tract;
use serde::Serialize;

use self::export::{Pairs, Samples};
use self::measure::Dice;
use self::models::{Block, Calibrated, FlopsLinear, Predictor, RatePerKind, Seen, SumOfLayers};
use self::ours::Ours;
use self::score::{Pair, Score, score};
use crate::cli::BenchPredictArgs;
use crate::headless::print;
use crate::lab::{self, ModelChoice};

/// The device that emulates none.
const HOST: &str = "host";
/// Workers that a random partition is for.
const WORKERS: u32 = 3;
/// Units of a block of it, at most, where it runs again and again.
const LONGEST: u32 = 6;
/// Rounds of the whole network and of random shares.
const ROUNDS: usize = 3;
/// Runs of a partition before it is predicted live, and runs that are then predicted, one after the other.
const LEARNED: usize = 20;
const PREDICTED: usize = 5;
/// Shorter ones are the clock's and the caches' doing more than the model's, ms.
const LEAST_BLOCK: f64 = 1.0;
const LEAST_LAYER: f64 = 0.1;
const LEAST_TRANSFER: f64 = 1.0;

/// A line of the table.
#[derive(Serialize)]
struct Row<'a> {
    device: &'a str,
    network: &'a str,
    state: &'static str,
    kind: &'static str,
    model: &'static str,
    #[serde(flatten)]
    score: Score,
}

/// A pair with where it comes from.
struct Case {
    state: &'static str,
    kind: &'static str,
    model: &'static str,
    what: String,
    pair: Pair,
}

/// Measures and prints.
pub fn run(args: &BenchPredictArgs) -> anyhow::Result<()> {
    let mut csv = args.csv.as_deref().map(Pairs::create).transpose()?;
    let mut samples = args.samples.as_deref().map(Samples::create).transpose()?;
    let mut all = Vec::new();
    for device in &args.devices {
        let slowdown =
            (device != HOST).then(|| preset(device).map(|emulation| emulation.slowdown)).transpose()?;
        let known = Known::calibrate(slowdown)?;
        if !args.json {
            print(&known.sentence(device))?;
        }
        if let Some(samples) = &mut samples {
            known.export(device, samples)?;
        }
        for name in &args.models {
            let loaded = ModelChoice::named(name).load(args.seed)?;
            let mut cases = cases(&known, &loaded.model, slowdown, args, |seen| match &mut samples {
                Some(samples) => samples.write(device, loaded.model.network(), seen),
                None => Ok(()),
            })?;
            if slowdown.is_some() && args.partitions > 0 {
                cases.extend(runs::cases(device, name, loaded.model.network(), args)?);
            }
            let network = &loaded.model.network().name;
            report(device, network, &cases, args.json)?;
            if let Some(csv) = &mut csv {
                csv.write(device, network, &cases)?;
            }
            all.extend(cases);
        }
    }
    if args.models.len() * args.devices.len() > 1 {
        report("all", "all", &all, args.json)?;
    }
    Ok(())
}

/// What the calibration of a device says.
struct Known {
    profile: Profile,
    timed: Vec<TimedLayer>,
    networks: Vec<std::sync::Arc<Network>>,
    took_ms: f64,
}

impl Known {
    fn calibrate(slowdown: Option<f64>) -> anyhow::Result<Self> {
        let calibrated = collab_worker::calibrate(&Tract::default(), slowdown, Duration::from_secs(60));
        let calibrated = calibrated.map_err(anyhow::Error::msg)?;
        let networks = (0..calibrated.networks).map(|index| {
            let model =
                calibration::network(index as usize).context("a synthetic network is not known")??;
            Ok(model.network().clone())
        });
        let networks = networks.collect::<anyhow::Result<Vec<_>>>()?;
        let samples = lab::samples(&calibrated.layers, 1.0)?;
        Ok(Self { profile: fit(&samples), timed: calibrated.layers, networks, took_ms: calibrated.ms })
    }

    fn seen(&self) -> Vec<Calibrated<'_>> {
        let seen = |timed: &TimedLayer| Calibrated {
            layer: &self.networks[timed.network as usize].layers[timed.layer as usize],
            rows: timed.rows,
            ms: f64::from(timed.ms),
        };
        self.timed.iter().map(seen).collect()
    }

    fn export(&self, device: &str, samples: &mut Samples) -> anyhow::Result<()> {
        for (index, network) in self.networks.iter().enumerate() {
            let timed = self.timed.iter().filter(|timed| timed.network as usize == index);
            let seen = timed.map(|timed| Seen {
                layer: timed.layer as usize,
                rows: timed.rows,
                ms: f64::from(timed.ms),
            });
            samples.write(device, network, &seen.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Every predictor, before the network ran.
    fn predictors(&self, network: &Network) -> Vec<(&'static str, Box<dyn Predictor>)> {
        let seen = self.seen();
        vec![
            ("collab", Box::new(Ours::cold(&self.profile, network))),
            ("flops-linear", Box::new(FlopsLinear::fit(&seen))),
            ("rate-per-kind", Box::new(RatePerKind::fit(&seen))),
            ("sum-of-layers", Box::new(SumOfLayers::fit(&seen))),
        ]
    }

    fn sentence(&self, device: &str) -> String {
        let costs = self.profile.coefficients.iter();
        let costs =
            costs.map(|cost| format!("  {:<20} {:>12.4e} ms {:>5}", cost.term, cost.ms, cost.samples));
        format!(
            "{device}: {} layers in {:.2} s, median error of the fit {:.3}\n{}",
            self.timed.len(),
            self.took_ms / 1e3,
            self.profile.spread,
            costs.collect::<Vec<_>>().join("\n")
        )
    }
}

/// Everything predicted and measured of one network on one device.
fn cases(
    known: &Known,
    model: &collab_models::Model,
    slowdown: Option<f64>,
    args: &BenchPredictArgs,
    mut export: impl FnMut(&[Seen]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Case>> {
    let network = model.network();
    let mut dice = Dice::new(args.seed);
    let mut cases = Vec::new();
    let whole = measure::time(model, &[measure::whole(network)], slowdown, ROUNDS)?;
    let share = measure::time(model, &measure::share(network, WORKERS as usize), slowdown, ROUNDS)?;
    let pass = [run_of(&whole, None), run_of(&share, None)].concat();
    let shares = measure::random_shares(network, args.strips, WORKERS, &mut dice);
    let timed = shares.iter().map(|share| measure::time(model, share, slowdown, ROUNDS));
    let timed = timed.collect::<anyhow::Result<Vec<_>>>()?.concat();
    let layers: Vec<Seen> = run_of(&timed, None).into_iter().flat_map(|block| block.layers).collect();
    export(&layers)?;
    let mut predictors = known.predictors(network);
    compare("cold", network, &predictors, &timed, 0..ROUNDS, &mut cases);
    for (_, predictor) in &mut predictors {
        predictor.learn(network, &pass);
    }
    compare("profiled", network, &predictors, &timed, 0..ROUNDS, &mut cases);
    for _ in 0..args.partitions {
        let partition = measure::random_partition(network, WORKERS, LONGEST, &mut dice);
        for strips in (0..WORKERS as usize).map(|worker| measure::strips_of(&partition, worker)) {
            let timed = measure::time(model, &strips, slowdown, LEARNED + PREDICTED)?;
            let mut predictors = known.predictors(network);
            for (_, predictor) in &mut predictors {
                predictor.learn(network, &pass);
                for round in 0..LEARNED {
                    predictor.learn(network, &run_of(&timed, Some(round)));
                }
            }
            // As in a lab, each is predicted before it runs and learnt when it has.
            for round in LEARNED..LEARNED + PREDICTED {
                compare("live", network, &predictors, &timed, round..round + 1, &mut cases);
                for (_, predictor) in &mut predictors {
                    predictor.learn(network, &run_of(&timed, Some(round)));
                }
            }
        }
    }
    Ok(cases)
}

/// What a round of these strips took, or the median of all rounds.
fn run_of(strips: &[TimedStrip], round: Option<usize>) -> Vec<Block> {
    let block = |strip: &TimedStrip| {
        let took = |of: &dyn Fn(&collab_worker::Round) -> f64| match round {
            Some(round) => of(&strip.rounds[round]),
            None => median(strip.rounds.iter().map(of).collect()),
        };
        let computed = strip.layers.iter().enumerate().filter(|(_, (_, rows))| *rows > 0);
        let layers = computed.map(|(at, &(layer, rows))| {
            let ms = took(&|round| f64::from(round.layers[at]));
            Seen { layer: layer as usize, rows, ms }
        });
        let (units, rows) = (strip.units.clone(), strip.rows);
        Block { units, rows, layers: layers.collect(), ms: took(&|round| round.ms) }
    };
    strips.iter().map(block).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Compares these rounds with what each predictor says.
fn compare(
    state: &'static str,
    network: &Network,
    predictors: &[(&'static str, Box<dyn Predictor>)],
    timed: &[TimedStrip],
    rounds: Range<usize>,
    cases: &mut Vec<Case>,
) {
    for (model, predictor) in predictors {
        // Before anything ran there is nothing that an interval could be based on.
        let halves = predictor.intervals().filter(|_| state == "live");
        let pair = |predicted: f64, half: Option<f64>, measured: f64| {
            let interval = half.map(|half| (predicted * (1.0 - half), predicted * (1.0 + half)));
            Pair { predicted, interval, measured }
        };
        for strip in timed {
            let block = predictor.strip(network, &strip.units, strip.rows);
            let layers = predictor.layers(network, &strip.units, strip.rows);
            let (units, rows) = (&strip.units, strip.rows);
            for round in &strip.rounds[rounds.clone()] {
                let what = format!("{}-{}:{}-{}", units.start, units.end - 1, rows.start, rows.end);
                let pair_of_block = pair(block, halves.map(|halves| halves.0), round.ms);
                cases.push(Case { state, kind: "block", model, what, pair: pair_of_block });
                let timed = strip.layers.iter().zip(&round.layers);
                for ((&(layer, rows), &ms), &predicted) in timed.zip(&layers) {
                    let pair = pair(predicted, halves.map(|halves| halves.1), f64::from(ms));
                    let what = format!("{}:{rows}", network.layers[layer as usize].name);
                    cases.push(Case { state, kind: "layer", model, what, pair });
                }
            }
        }
    }
}

/// Prints a line for each state, kind and model.
fn report(device: &str, network: &str, cases: &[Case], json: bool) -> anyhow::Result<()> {
    if !json {
        print(&format!(
            "\n{device} · {network}\n{:<9} {:<9} {:<14} {:>6} {:>7} {:>7} {:>6} {:>6} {:>7} {:>6}",
            "state", "kind", "model", "n", "MAPE", "RMSPE", "±5 %", "±10 %", "bias", "in 80 %"
        ))?;
    }
    for state in ["cold", "profiled", "live"] {
        for kind in ["block", "layer", "run", "transfer"] {
            let least = match kind {
                "block" => LEAST_BLOCK,
                "layer" => LEAST_LAYER,
                // What the transport takes at once says nothing about a link.
                "transfer" => LEAST_TRANSFER,
                _ => 0.0,
            };
            for model in ["collab", "flops-linear", "rate-per-kind", "sum-of-layers"] {
                let these = cases.iter().filter(|case| {
                    (case.state, case.kind, case.model) == (state, kind, model) && case.pair.measured >= least
                });
                let Some(score) = score(these.map(|case| &case.pair)) else { continue };
                let row = Row { device, network, state, kind, model, score };
                print(&if json { serde_json::to_string(&row)? } else { line(&row) })?;
            }
        }
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let Score { n, mape, rmspe, within5, within10, bias, coverage80 } = row.score;
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    format!(
        "{:<9} {:<9} {:<14} {n:>6} {:>7} {:>7} {:>6} {:>6} {:>7} {:>6}",
        row.state,
        row.kind,
        row.model,
        percent(mape),
        percent(rmspe),
        format!("{:.2}", within5),
        format!("{:.2}", within10),
        percent(bias),
        coverage80.map_or(String::new(), |inside| format!("{inside:.2}"))
    )
}
