//! `collab-tui bench adapt`: real emulated workers, random changes, proposals applied as they come.
//!
//! An oracle is what re-planning in no time would have reached: the best plan for the costs learnt by the end of
//! a change's interval, multiplied by what the running partition then took over what those costs predict of it,
//! and no slower than the best partition that ran in the interval. Regret is how much longer the interval's
//! runs took on average, from the lab's learning of the change on.
//!
//! What a correction learnt from runs is worth is told too: every interval's last partition is judged by what was
//! learnt from earlier ones, then learnt from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::{Event, What};
use collab_core::id::{PartitionId, RunId, WorkerId};
use collab_core::plan::scenario::quantile;
use collab_core::plan::{Auto, Budget, Correction, Features, Planner as _};
use collab_core::time::Micros;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::cli::{BenchAdaptArgs, LinkPreset};
use crate::headless::print;
use crate::journal::{Journal, Listener};
use crate::lab::{self, Setup, Situation};
use crate::screen::Request;
use crate::stage::{Shown, Stage};

/// Runs of the first partition before the first change.
const SETTLING: usize = 8;
/// Runs that tell what a partition takes.
const LATE: usize = 5;
/// Partitions costed for the oracle.
const ORACLE: u64 = 60_000;
/// CPU shares and links that are chosen from.
const SHARES: [f64; 5] = [100.0, 80.0, 60.0, 40.0, 25.0];
const LINKS: [LinkPreset; 3] = [LinkPreset::Gigabit, LinkPreset::Fast, LinkPreset::Wifi];
/// A day, seconds: nobody waits longer for a change, or for all of them.
const LONGEST: f64 = 86_400.0;

/// What the events told.
#[derive(Debug, Default)]
struct Record {
    given: BTreeMap<CommandId, String>,
    changes: Vec<(Micros, String)>,
    switches: Vec<Micros>,
    first_ms: Vec<(Micros, f64)>,
    started: BTreeMap<RunId, (Micros, PartitionId)>,
    runs: Vec<(Micros, PartitionId, f64)>,
    lost: u64,
}

impl Record {
    fn take(&mut self, event: &Event) {
        match &event.what {
            What::CommandGiven { id, verb, .. }
                if matches!(verb, Verb::Throttle { .. } | Verb::Link { .. }) =>
            {
                self.given.insert(*id, verb.to_string());
            }
            What::CommandSettled { id, outcome: Settled::Done } => {
                self.changes.extend(self.given.remove(id).map(|verb| (event.at, verb)));
            }
            What::PartitionSwitched { .. } => self.switches.push(event.at),
            What::ProposalCompared(comparison) => {
                self.first_ms.extend(comparison.after_ms.map(|ms| (event.at, ms)));
            }
            What::RunStarted { run, partition, .. } => {
                self.started.insert(*run, (event.at, *partition));
            }
            What::RunDone { run, ms, .. } => {
                let started = self.started.remove(run);
                self.runs.extend(started.map(|(at, partition)| (at, partition, *ms)));
            }
            What::RunLost { .. } => self.lost += 1,
            _ => {}
        }
    }
}

/// What came of one change.
#[derive(Clone, Debug, Serialize)]
struct Interval {
    event: &'static str,
    at_s: f64,
    change: String,
    switches: usize,
    /// From learning of the change to the first proposal, ms; `None` if nothing better was found.
    first_ms: Option<f64>,
    runs: usize,
    mean_ms: f64,
    oracle_ms: f64,
    regret: f64,
    /// What the last partition then took over what the costs of the interval's end predict.
    measured_over_predicted: f64,
}

/// All together.
#[derive(Debug, Serialize)]
struct Total {
    event: &'static str,
    network: String,
    workers: usize,
    changes: usize,
    switches: usize,
    switches_per_change: f64,
    most_switches: usize,
    proposals: usize,
    first_p50_ms: Option<f64>,
    first_max_ms: Option<f64>,
    regret_mean: f64,
    regret_median: f64,
    regret_max: f64,
    runs: usize,
    lost: u64,
    /// Partitions that a correction was judged by before it learnt from them.
    judged: usize,
    /// Root mean squares of ln(measured / predicted) over them: as predicted, times the last partition's factor, times
    /// what the critic says.
    miss_as_predicted: f64,
    miss_by_last_factor: f64,
    miss_by_critic: f64,
}

/// Measures and prints.
pub fn run(args: &BenchAdaptArgs) -> anyhow::Result<()> {
    anyhow::ensure!((1.0..=LONGEST).contains(&args.every), "--every takes 1 to {LONGEST} seconds");
    anyhow::ensure!(
        args.minutes > 0.0 && args.minutes * 60.0 <= LONGEST,
        "--minutes takes what is above 0 and at most {}",
        LONGEST / 60.0
    );
    let record = Arc::new(Mutex::new(Record::default()));
    let listener: Listener = Box::new({
        let record = record.clone();
        move |event, _: &Stage| record.lock().unwrap_or_else(PoisonError::into_inner).take(event)
    });
    let stage = Arc::new(Stage::new(Shown::default()));
    let journal = Arc::new(Journal::new(stage.clone(), None, Some(listener)));
    let workers = args.fleet.workers();
    let setup = Setup {
        auto: true,
        train: !args.no_train,
        seed: args.seed,
        ..Setup::bench(args.file.choice(&args.model), workers, "erl")
    };
    let (requests, asked) = mpsc::unbounded_channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let situations = runtime.block_on(async {
        let lab = lab::run(setup, journal, asked);
        let changes = change_at_random(args, &stage, &requests);
        tokio::pin!(lab);
        tokio::select! {
            ended = &mut lab => Err(ended.err().unwrap_or_else(|| anyhow::anyhow!("the lab ended by itself"))),
            situations = changes => lab.await.map(|_| situations),
        }
    })?;
    runtime.shutdown_background();
    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
    report(args, &record, &situations)
}

/// Throttles workers and changes links until the time is up; the situation at the end of every interval.
async fn change_at_random(
    args: &BenchAdaptArgs,
    stage: &Stage,
    requests: &mpsc::UnboundedSender<Request>,
) -> Vec<Situation> {
    let has_settled = || {
        let shown = stage.look();
        let planned = shown.lab.running().is_some_and(|running| !running.measures());
        let runs = |of| shown.lab.runs.recent.iter().filter(|run| run.partition == of).count();
        planned && shown.lab.current.is_some_and(|of| runs(of) >= SETTLING)
    };
    while !has_settled() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut situations = Vec::new();
    let count = (args.minutes * 60.0 / args.every).ceil().max(1.0) as usize;
    for _ in 0..count {
        let worker = WorkerId::at(rng.random_range(0..args.fleet.devices.len()));
        let verb = if rng.random_bool(0.6) {
            Verb::Throttle { worker, percent: SHARES[rng.random_range(0..SHARES.len())] }
        } else {
            let shape = LINKS[rng.random_range(0..LINKS.len())].shape();
            Verb::Link { worker, rate_mbps: shape.rate_mbps, delay_ms: shape.delay_ms }
        };
        if requests.send(Request::Verb(verb)).is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs_f64(args.every)).await;
        situations.extend(Situation::of(&stage.look().lab));
    }
    // The lab may have ended by itself; then nobody is there to be told.
    let _ = requests.send(Request::Quit);
    situations
}

fn report(args: &BenchAdaptArgs, record: &Record, situations: &[Situation]) -> anyhow::Result<()> {
    let mut intervals = Vec::new();
    let mut correction = Correction::default();
    for (at, (from, change)) in record.changes.iter().enumerate() {
        let until = record.changes.get(at + 1).map_or(Micros(u64::MAX), |next| next.0);
        let within = |moment: &Micros| (*from..until).contains(moment);
        let runs: Vec<_> = record.runs.iter().filter(|(started, ..)| within(started)).collect();
        let Some(situation) = situations.get(at).filter(|_| !runs.is_empty()) else { continue };
        let Some(Oracle { ms: oracle_ms, missed, features }) = oracle(situation, &runs, args.seed) else {
            continue;
        };
        correction.learn(&features, missed);
        let mean_ms = runs.iter().map(|run| run.2).sum::<f64>() / runs.len() as f64;
        intervals.push(Interval {
            event: "change",
            at_s: from.secs(),
            change: change.clone(),
            switches: record.switches.iter().filter(|switched| within(switched)).count(),
            first_ms: record.first_ms.iter().find(|(told, _)| within(told)).map(|(_, ms)| *ms),
            runs: runs.len(),
            mean_ms,
            oracle_ms,
            regret: mean_ms / oracle_ms - 1.0,
            measured_over_predicted: missed,
        });
    }
    anyhow::ensure!(!intervals.is_empty(), "no run ended between two changes: choose a longer --every");
    let first: Vec<f64> = intervals.iter().filter_map(|it| it.first_ms).collect();
    let regrets: Vec<f64> = intervals.iter().map(|it| it.regret).collect();
    let misses = correction.misses();
    let switches = intervals.iter().map(|it| it.switches).sum::<usize>();
    let total = Total {
        event: "adapt",
        network: args.model.clone(),
        workers: args.fleet.devices.len(),
        changes: intervals.len(),
        switches,
        switches_per_change: switches as f64 / intervals.len() as f64,
        most_switches: intervals.iter().map(|it| it.switches).max().unwrap_or(0),
        proposals: first.len(),
        first_p50_ms: quantile(&first, 0.5),
        first_max_ms: quantile(&first, 1.0),
        regret_mean: regrets.iter().sum::<f64>() / regrets.len() as f64,
        regret_median: quantile(&regrets, 0.5).unwrap_or_default(),
        regret_max: quantile(&regrets, 1.0).unwrap_or_default(),
        runs: record.runs.len(),
        lost: record.lost,
        judged: misses.judged,
        miss_as_predicted: misses.nobody.sqrt(),
        miss_by_last_factor: misses.last_factor.sqrt(),
        miss_by_critic: misses.critic.sqrt(),
    };
    if args.json {
        for interval in &intervals {
            print(&serde_json::to_string(interval)?)?;
        }
        print(&serde_json::to_string(&total)?)?;
    } else {
        intervals.iter().try_for_each(|interval| print(&line(interval)))?;
        print(&sentence(&total))?;
    }
    Ok(())
}

/// What re-planning in no time would have reached.
struct Oracle {
    ms: f64,
    /// What the last partition took over what is predicted of it, and what it looks like.
    missed: f64,
    features: Features,
}

fn oracle(situation: &Situation, runs: &[&(Micros, PartitionId, f64)], seed: u64) -> Option<Oracle> {
    let (_, last, _) = runs.last()?;
    let late = |of: &PartitionId| {
        let its: Vec<f64> =
            runs.iter().rev().filter(|run| run.1 == *of).take(LATE).map(|run| run.2).collect();
        quantile(&its, 0.5)
    };
    let problem = situation.problem();
    let running = problem.cost(situation.running.clone()?);
    let features = Features::of(&running, &problem.account(&running));
    let missed = late(last)? / running.timeline.finish_ms;
    let auto = Auto { starts: vec![running.partition] };
    let planned =
        auto.plan(&problem, Budget { evaluations: ORACLE, seed, ..Budget::default() })?.timeline.finish_ms;
    let ms = runs.iter().filter_map(|run| late(&run.1)).fold(planned * missed, f64::min);
    Some(Oracle { ms, missed, features })
}

fn line(it: &Interval) -> String {
    format!(
        "{:>6.1} s  {:<44} {} switches  first proposal {:>7}  {:>3} runs {:>7.1} ms  oracle {:>7.1} ms  regret {:>5.1} %",
        it.at_s,
        it.change,
        it.switches,
        it.first_ms.map_or("—".to_owned(), |ms| format!("{ms:.1} ms")),
        it.runs,
        it.mean_ms,
        it.oracle_ms,
        100.0 * it.regret
    )
}

fn sentence(total: &Total) -> String {
    format!(
        "{} on {} workers: {} changes, {:.2} switches each (at most {}); first proposal after {:.1} ms (median), {:.1} ms \
         (worst) of {} proposals; regret {:.1} % mean, {:.1} % median, {:.1} % worst; {} runs, {} lost; before they were \
         learnt from, {} partitions were missed by {:.1} % as predicted, {:.1} % with the last one's factor, {:.1} % with \
         the critic's",
        total.network,
        total.workers,
        total.changes,
        total.switches_per_change,
        total.most_switches,
        total.first_p50_ms.unwrap_or(f64::NAN),
        total.first_max_ms.unwrap_or(f64::NAN),
        total.proposals,
        100.0 * total.regret_mean,
        100.0 * total.regret_median,
        100.0 * total.regret_max,
        total.runs,
        total.lost,
        total.judged,
        100.0 * total.miss_as_predicted,
        100.0 * total.miss_by_last_factor,
        100.0 * total.miss_by_critic
    )
}
