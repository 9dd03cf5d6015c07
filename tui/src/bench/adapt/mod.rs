//! `collab-tui bench adapt`: real emulated workers, random changes, proposals applied as they come.
//!
//! Every change is one: nobody is given the CPU share or the link that it has. A switch counts for the change
//! that it was decided under, be it the first or the way back.
//!
//! An oracle is what re-planning in no time would have reached: the best plan for the costs learnt by the end of
//! a change's interval, multiplied by what the running partition then took over what those costs predict of it,
//! and no slower than the best partition that ran in the interval. Regret is how much longer the interval's
//! runs took on average, from the lab's learning of the change on, with what they waited between them.
//!
//! What a correction learnt from runs is worth is told too: every interval's last partition is judged by what was
//! learnt from earlier ones, then learnt from.

mod record;
mod report;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use collab_core::command::Verb;
use collab_core::id::WorkerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use self::record::Record;
use crate::cli::{BenchAdaptArgs, LinkPreset};
use crate::journal::{Journal, Listener};
use crate::lab::{self, Setup, Situation};
use crate::screen::Request;
use crate::stage::{Shown, Stage};

/// Runs of the first partition before the first change.
const SETTLING: usize = 8;
/// CPU shares and links that are chosen from.
const SHARES: [f64; 5] = [100.0, 80.0, 60.0, 40.0, 25.0];
const LINKS: [LinkPreset; 3] = [LinkPreset::Gigabit, LinkPreset::Fast, LinkPreset::Wifi];
/// A day, seconds: nobody waits longer for a change, or for all of them.
const LONGEST: f64 = 86_400.0;

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
    report::report(args, &record, &situations)
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
    let mut conditions = Conditions::new(args.fleet.devices.len());
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut situations = Vec::new();
    let count = (args.minutes * 60.0 / args.every).ceil().max(1.0) as usize;
    for _ in 0..count {
        if requests.send(Request::Verb(conditions.change(&mut rng))).is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs_f64(args.every)).await;
        situations.extend(Situation::of(&stage.look().lab));
    }
    // The lab may have ended by itself; then nobody is there to be told.
    let _ = requests.send(Request::Quit);
    situations
}

/// Each worker's CPU share, and its link as last chosen: where among those to choose from.
#[derive(Debug)]
struct Conditions(Vec<(usize, Option<usize>)>);

impl Conditions {
    fn new(workers: usize) -> Self {
        Self(vec![(0, None); workers])
    }

    /// Draws another share or another link for one worker.
    fn change(&mut self, rng: &mut impl RngExt) -> Verb {
        let at = rng.random_range(0..self.0.len());
        let worker = WorkerId::at(at);
        let (share, link) = &mut self.0[at];
        if rng.random_bool(0.6) {
            *share = another(SHARES.len(), Some(*share), rng);
            Verb::Throttle { worker, percent: SHARES[*share] }
        } else {
            let chosen = another(LINKS.len(), *link, rng);
            *link = Some(chosen);
            let shape = LINKS[chosen].shape();
            Verb::Link { worker, rate_mbps: shape.rate_mbps, delay_ms: shape.delay_ms }
        }
    }
}

/// One of `count` that is not `before`, each as likely.
fn another(count: usize, before: Option<usize>, rng: &mut impl RngExt) -> usize {
    match before {
        Some(before) => (before + rng.random_range(1..count)) % count,
        None => rng.random_range(0..count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_changes_something() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut conditions = Conditions::new(3);
        for _ in 0..200 {
            let before = conditions.0.clone();
            conditions.change(&mut rng);
            let differ = before.iter().zip(&conditions.0).filter(|(then, now)| then != now).count();
            assert_eq!(differ, 1);
        }
    }
}
