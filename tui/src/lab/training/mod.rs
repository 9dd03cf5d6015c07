//! Learning while the lab runs: a thread that trains policies on the fleet as it is, on time that is left over.
//!
//! It begins with the policies that ship with the program, draws conditions the fleet may be in soon, and tells
//! the lab's loop which policies do best here and the fastest partition anyone found.

mod opponents;
mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use collab_core::event::{Candidate, Level, Trained, What};
use collab_core::id::Digest;
use collab_core::partition::Partition;
use collab_core::plan::Problem;
use collab_core::plan::erl::{Contexts, Generation, Portfolio, Standing, Standings, Trainer};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use self::opponents::{Opponents, is_possible};
use self::pace::Pace;
use super::planning::{Exchange, Situation};
use crate::contained::contained;
use crate::journal::Journal;

/// Conditions beside the fleet as it is in one generation.
const OTHERS: usize = 3;
/// Between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(600);
/// Between two looks whether there is something to do.
const IDLE: Duration = Duration::from_millis(100);
/// Members deployed beside the agent.
const DEPLOYED: usize = 6;
/// Characters of a plan in a report.
const SHORT: usize = 48;

/// The trainer's thread, if one runs. Dropping it ends the thread.
pub struct Training {
    signs: Arc<Signs>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Signs {
    paused: AtomicBool,
    stop: AtomicBool,
}

impl Training {
    /// Nobody trains.
    pub fn off() -> Self {
        Self { signs: Arc::default(), thread: None }
    }

    /// Starts the thread; it waits until it is told what to train for.
    pub fn start(exchange: Arc<Exchange>, journal: Arc<Journal>, seed: u64) -> std::io::Result<Self> {
        let signs = Arc::<Signs>::default();
        let work = Work {
            exchange,
            journal,
            signs: signs.clone(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            seed,
            trainer: None,
            opponents: Opponents::default(),
            found: Vec::new(),
            costed: 0,
            reported: Instant::now(),
            reported_evaluations: 0,
        };
        let thread = std::thread::Builder::new().name("trainer".to_owned()).spawn(move || work.run())?;
        Ok(Self { signs, thread: Some(thread) })
    }

    /// Pauses or resumes.
    pub fn pause(&self, pause: bool) -> Result<(), String> {
        let Some(thread) = &self.thread else {
            return Err("nobody trains here: leave out --no-train to train".to_owned());
        };
        self.signs.paused.store(pause, Ordering::Relaxed);
        thread.thread().unpark();
        Ok(())
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.signs.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A trainer that panicked has said so in the log.
            let _ = thread.join();
        }
    }
}

struct Work {
    exchange: Arc<Exchange>,
    journal: Arc<Journal>,
    signs: Arc<Signs>,
    rng: ChaCha8Rng,
    seed: u64,
    /// With the network it trains for.
    trainer: Option<(Digest, Trainer)>,
    opponents: Opponents,
    /// The fastest partitions found before, of members and of opponents.
    found: Vec<Partition>,
    /// Partitions costed beside generations.
    costed: u64,
    reported: Instant,
    reported_evaluations: u64,
}

impl Work {
    fn run(mut self) {
        let mut pace = Pace::new();
        while !self.signs.stop.load(Ordering::Relaxed) {
            let situation = self.exchange.look().situation.clone();
            let paused = self.signs.paused.load(Ordering::Relaxed);
            let Some(situation) = situation.filter(|_| !paused) else {
                std::thread::park_timeout(IDLE);
                continue;
            };
            pace.begin();
            if let Err(words) = contained(|| self.train(&situation)) {
                let text = format!("training failed and ends: {words}; planning goes on without it");
                return self.journal.note(Level::Warning, text);
            }
            std::thread::park_timeout(pace.rest().max(Duration::from_millis(1)));
        }
    }

    fn train(&mut self, situation: &Situation) {
        let problem = situation.problem();
        let network = &situation.network;
        let trainer = self.trainer.take().filter(|(known, _)| *known == network.id);
        let (digest, mut trainer) = trainer.unwrap_or_else(|| {
            let fresh = Trainer::new(vec![(**network).clone()], &[], self.seed);
            (network.id, fresh.resume(Portfolio::shipped()))
        });
        let contexts = Contexts::draw(&problem, OTHERS, &mut self.rng);
        let generation = trainer.generation_on(&contexts.problems());
        if self.reported.elapsed() >= REPORT_EVERY && !self.signs.stop.load(Ordering::Relaxed) {
            self.opponents.ask_one(&problem, self.seed);
            self.report(&problem, situation, &trainer, generation);
        }
        self.trainer = Some((digest, trainer));
    }

    /// Tells the lab how training goes, and planning what came of it.
    fn report(&mut self, problem: &Problem<'_>, situation: &Situation, trainer: &Trainer, now: Generation) {
        let standings = trainer.standings(problem);
        self.costed += standings.evaluations;
        let (planners, best_planner) = self.opponents.standings(problem);
        let own = standings.members.iter().chain(&standings.agent);
        let own = own.map(|standing| (standing.predicted_ms, standing.partition.clone()));
        let cost = |plan: &Partition| (problem.cost(plan.clone()).timeline.finish_ms, plan.clone());
        let before = self.found.iter().filter(|plan| is_possible(plan, problem)).map(cost);
        let mut all: Vec<(f64, Partition)> = own.chain(best_planner).chain(before).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.dedup_by(|a, b| a.1 == b.1);
        all.truncate(3);
        self.found = all.iter().map(|(_, plan)| plan.clone()).collect();
        let critic_loss = {
            let mut told = self.exchange.look();
            told.portfolio = Some(trainer.deployed(DEPLOYED));
            told.best = self.found.first().cloned();
            told.critic_loss
        };
        let running_ms = situation.running.as_ref().map(|plan| cost(plan).0);
        let evaluations = now.evaluations + self.costed;
        let passed = self.reported.elapsed().as_secs_f64();
        let evaluations_per_s = (evaluations - self.reported_evaluations) as f64 / passed;
        (self.reported, self.reported_evaluations) = (Instant::now(), evaluations);
        let Some(trained) = trained(&standings, now, critic_loss) else { return };
        self.journal.record(What::Trained(Box::new(Trained {
            evaluations,
            evaluations_per_s,
            operators: trainer.success().to_vec(),
            running_ms,
            best_known_ms: all.first().map(|(ms, _)| *ms).into_iter().chain(running_ms).reduce(f64::min),
            planners,
            ..trained
        })));
    }
}

/// The population's part of a report; `None` if nobody found a plan.
fn trained(standings: &Standings, now: Generation, critic_loss: Option<f64>) -> Option<Trained> {
    let best = standings.members.first()?;
    let sum: f64 = standings.members.iter().map(|member| member.predicted_ms).sum();
    let candidate = |member: &Standing| Candidate {
        origin: member.origin,
        plan: member.partition.to_string().chars().take(SHORT).collect(),
        predicted_ms: member.predicted_ms,
        age: member.age,
    };
    Some(Trained {
        generation: now.number,
        best_ms: best.predicted_ms,
        mean_ms: sum / standings.members.len() as f64,
        agent_ms: standings.agent.as_ref().map(|agent| agent.predicted_ms),
        actor_loss: Some(now.actor_loss).filter(|loss| loss.is_finite()),
        critic_loss,
        population: standings.members.iter().take(Trained::MEMBERS).map(candidate).collect(),
        ..Trained::default()
    })
}
