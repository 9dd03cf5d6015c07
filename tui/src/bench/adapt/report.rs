//! What came of every change, and of all together, in words and as JSON.

use collab_core::id::PartitionId;
use collab_core::plan::scenario::quantile;
use collab_core::plan::{Auto, Budget, Correction, Features, Planner as _};
use collab_core::time::Micros;
use serde::Serialize;

use super::record::{Record, Run, Switch};
use crate::cli::BenchAdaptArgs;
use crate::headless::print;
use crate::lab::Situation;

/// Runs that tell what a partition takes.
const LATE: usize = 5;
/// Partitions costed for the oracle.
const ORACLE: u64 = 60_000;

/// What came of one change.
#[derive(Clone, Debug, Serialize)]
struct Interval {
    event: &'static str,
    at_s: f64,
    change: String,
    switches: Vec<Switched>,
    /// From learning of the change to the first proposal, ms; `None` if nothing better was found.
    first_ms: Option<f64>,
    runs: usize,
    /// What a run took and waited before, and how long all of them waited.
    mean_ms: f64,
    waited_ms: f64,
    oracle_ms: f64,
    regret: f64,
    /// What the last partition then took over what the costs of the interval's end predict.
    measured_over_predicted: f64,
}

/// A switch, and what it was worth.
#[derive(Clone, Copy, Debug, Serialize)]
struct Switched {
    /// From the lab's learning of the change to the decision, and to the switch, s.
    decided_s: f64,
    made_s: f64,
    from: u32,
    to: u32,
    /// The part of a run that it was to save.
    promised: Option<f64>,
    /// The part of a run that it saved, by the last runs of either in the interval; `None` if one of them did not run.
    saved: Option<f64>,
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

/// Prints what came of every change, each with the situation at the end of its interval, and of all together.
pub fn report(args: &BenchAdaptArgs, record: &Record, situations: &[Situation]) -> anyhow::Result<()> {
    let mut intervals = Vec::new();
    let mut correction = Correction::default();
    for (at, (from, change)) in record.changes.iter().enumerate() {
        let until = record.changes.get(at + 1).map_or(Micros(u64::MAX), |next| next.0);
        let within = |moment: Micros| (*from..until).contains(&moment);
        let runs: Vec<Run> = record.runs.iter().filter(|run| within(run.started)).copied().collect();
        let Some(situation) = situations.get(at).filter(|_| !runs.is_empty()) else { continue };
        let Some(Oracle { ms: oracle_ms, missed, features }) = oracle(situation, &runs, args.seed) else {
            continue;
        };
        correction.learn(&features, missed);
        let mean_ms = runs.iter().map(|run| run.ms + run.waited_ms).sum::<f64>() / runs.len() as f64;
        let switches = record.switches.iter().filter(|switch| within(switch.decided));
        intervals.push(Interval {
            event: "change",
            at_s: from.secs(),
            change: change.clone(),
            switches: switches.map(|switch| switched(switch, *from, &runs)).collect(),
            first_ms: record.first_ms.iter().find(|(told, _)| within(*told)).map(|(_, ms)| *ms),
            runs: runs.len(),
            mean_ms,
            waited_ms: runs.iter().map(|run| run.waited_ms).sum(),
            oracle_ms,
            regret: mean_ms / oracle_ms - 1.0,
            measured_over_predicted: missed,
        });
    }
    anyhow::ensure!(!intervals.is_empty(), "no run ended between two changes: choose a longer --every");
    let total = total(args, record, &intervals, &correction);
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

fn total(args: &BenchAdaptArgs, record: &Record, intervals: &[Interval], correction: &Correction) -> Total {
    let first: Vec<f64> = intervals.iter().filter_map(|it| it.first_ms).collect();
    let regrets: Vec<f64> = intervals.iter().map(|it| it.regret).collect();
    let misses = correction.misses();
    let switches = intervals.iter().map(|it| it.switches.len()).sum::<usize>();
    Total {
        event: "adapt",
        network: args.model.clone(),
        workers: args.fleet.devices.len(),
        changes: intervals.len(),
        switches,
        switches_per_change: switches as f64 / intervals.len() as f64,
        most_switches: intervals.iter().map(|it| it.switches.len()).max().unwrap_or(0),
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
    }
}

/// The median of a partition's late runs among `runs`, ms.
fn late(runs: &[Run], partition: PartitionId) -> Option<f64> {
    let its = runs.iter().rev().filter(|run| run.partition == partition);
    quantile(&its.take(LATE).map(|run| run.ms).collect::<Vec<f64>>(), 0.5)
}

fn switched(switch: &Switch, change: Micros, runs: &[Run]) -> Switched {
    let Switch { decided, made, from, to, promised } = *switch;
    let saved = late(runs, from).zip(late(runs, to)).map(|(before, after)| 1.0 - after / before);
    let since = |moment: Micros| moment.secs() - change.secs();
    Switched { decided_s: since(decided), made_s: since(made), from: from.0, to: to.0, promised, saved }
}

/// What re-planning in no time would have reached.
struct Oracle {
    ms: f64,
    /// What the last partition took over what is predicted of it, and what it looks like.
    missed: f64,
    features: Features,
}

fn oracle(situation: &Situation, runs: &[Run], seed: u64) -> Option<Oracle> {
    let problem = situation.problem();
    let running = problem.cost(situation.running.clone()?);
    let features = Features::of(&running, &problem.account(&running));
    let missed = late(runs, runs.last()?.partition)? / running.timeline.finish_ms;
    let auto = Auto { starts: vec![running.partition] };
    let planned =
        auto.plan(&problem, Budget { evaluations: ORACLE, seed, ..Budget::default() })?.timeline.finish_ms;
    let ms = runs.iter().filter_map(|run| late(runs, run.partition)).fold(planned * missed, f64::min);
    Some(Oracle { ms, missed, features })
}

fn line(it: &Interval) -> String {
    let percent = |part: Option<f64>| part.map_or("—".to_owned(), |part| format!("{:.0} %", 100.0 * part));
    let switches = it.switches.iter().map(|switch| {
        let Switched { made_s, promised, saved, .. } = *switch;
        format!("switch after {made_s:.1} s saved {} of {}", percent(saved), percent(promised))
    });
    let switches: Vec<String> = switches.collect();
    format!(
        "{:>6.1} s  {:<44} first proposal {:>7}  {:>3} runs {:>7.1} ms  oracle {:>7.1} ms  regret {:>5.1} %  {}",
        it.at_s,
        it.change,
        it.first_ms.map_or("—".to_owned(), |ms| format!("{ms:.1} ms")),
        it.runs,
        it.mean_ms,
        it.oracle_ms,
        100.0 * it.regret,
        switches.join(", ")
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
