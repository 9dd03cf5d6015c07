//! The lab's loop: what it owns and what it waits for. What it does about it is in [`super::runs`],
//! [`super::switch`], [`super::messages`], [`super::outcomes`], [`super::losses`] and [`super::operate`].
//!
//! One task owns everything and waits for one thing at a time, so nothing here is locked. What takes long
//! (preparing strips, comparing clocks, the reference) runs beside it and answers with an [`Outcome`].

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collab_core::command::CommandId;
use collab_core::event::Level;
use collab_core::id::{PartitionId, WorkerId};
use collab_core::schedule::Schedule;
use collab_models::{Map, Model};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::fleet::Fleet;
use super::flight::{Flight, Interrupted, Landed};
use super::inputs::Inputs;
use super::losses::DESERTED;
use super::outcomes::Outcome;
use super::planning::{Found, Planning};
use super::profiles::Profiles;
use super::reference::Reference;
use super::severed::Severed;
use super::training::Training;
use crate::journal::Journal;
use crate::screen::Request;

/// Between two rounds of clock exchanges.
const CLOCKS_EVERY: Duration = Duration::from_secs(2);

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The operator left, or the time was up.
    Asked,
    /// No worker is left.
    NobodyLeft,
}

/// The lab's loop and all it owns.
pub struct Controller {
    pub(super) journal: Arc<Journal>,
    pub(super) model: Model,
    pub(super) fleet: Fleet,
    /// Of devices that were calibrated before.
    pub(super) profiles: Arc<Profiles>,
    pub(super) inputs: Inputs,
    pub(super) reference: Reference,
    pub(super) planning: Planning,
    pub(super) training: Training,
    /// Apply proposals without asking.
    pub(super) auto: bool,
    pub(super) read_only: bool,
    pub(super) outcomes: mpsc::UnboundedSender<Outcome>,
    inbox: mpsc::UnboundedReceiver<Outcome>,
    requests: mpsc::UnboundedReceiver<Request>,
    pub(super) schedules: HashMap<PartitionId, Arc<Schedule>>,
    /// The last that workers were asked to prepare.
    pub(super) chosen: Option<PartitionId>,
    /// Is only to be rehearsed, because a worker joined late.
    pub(super) sounding: Option<PartitionId>,
    /// Prepared everywhere; rehearsed before the next run begins, for the command if one asked.
    pub(super) prepared: VecDeque<(PartitionId, Option<CommandId>)>,
    /// Whether workers rehearse: no run begins meanwhile.
    pub(super) rehearses: bool,
    /// Which change a run last waited for to be answered, and until when one does.
    pub(super) waits: Option<(u64, Instant)>,
    /// Rehearsed; runs from the next run on, likewise.
    pub(super) next: Option<(PartitionId, Option<CommandId>)>,
    pub(super) flight: Option<Flight>,
    /// Links between workers that are broken.
    pub(super) severed: Severed,
    /// A run that lost a worker and waits for another partition.
    pub(super) again: Option<Interrupted>,
    /// Runs begun, those that began again counted anew.
    pub(super) attempts: u64,
    /// Whether lost workers are dialled again.
    pub(super) redials: bool,
    /// The tasks that do so.
    pub(super) redialling: JoinSet<()>,
    /// What ran before a worker was lost, to be run again when it is back.
    pub(super) resume: Option<PartitionId>,
    /// Workers that came back and are still to be measured alone.
    pub(super) unmeasured: Vec<WorkerId>,
    /// Why a partition was refused last.
    pub(super) refusal: Option<String>,
    /// Since when nobody is left.
    pub(super) deserted: Option<Instant>,
    pub(super) landed: Vec<Landed>,
    pub(super) runs: u64,
    pub(super) commands: u32,
    /// Commands that wait for the next comparison.
    pub(super) verifying: Vec<CommandId>,
    /// The last command that changes what runs take, and when it was settled, until its effect is told.
    pub(super) effect: Option<(CommandId, Instant)>,
    pub(super) answered: Option<usize>,
    /// When planning last looked at what runs.
    pub(super) looked: Instant,
    /// What planning found to begin with.
    pub(super) found: Option<Found>,
    clocks_compared: Instant,
    pub(super) ending: Option<Ending>,
    for_time: Option<Duration>,
    stop_at: Option<Instant>,
    pub(super) output: Option<PathBuf>,
    /// The last complete output, if it is to be written.
    pub(super) last_output: Option<(usize, Map)>,
    /// Whether the first partition was planned; before, workers are measured one by one.
    pub(super) planned: bool,
}

/// What the loop is given to begin with.
pub struct Parts {
    /// Where events go.
    pub journal: Arc<Journal>,
    /// The network, for the geometry, the output and the reference.
    pub model: Model,
    /// Connected workers that hold the network.
    pub fleet: Fleet,
    /// Those whose links broke before they did, and after how long each is dialled again.
    pub broken: Vec<(WorkerId, Duration)>,
    /// Of devices that were calibrated before.
    pub profiles: Arc<Profiles>,
    /// What it runs on.
    pub inputs: Inputs,
    /// The single-device outputs.
    pub reference: Reference,
    /// The planner.
    pub planning: Planning,
    /// Dial lost workers again.
    pub redials: bool,
    /// The trainer.
    pub training: Training,
    /// Apply proposals without asking.
    pub auto: bool,
    /// Refuse everything that changes the lab.
    pub read_only: bool,
    /// Where the last output is written.
    pub output: Option<PathBuf>,
}

impl Controller {
    /// A loop that has not begun, and ends `for_time` after its first partition is ready if not asked to before.
    pub fn new(parts: Parts, requests: mpsc::UnboundedReceiver<Request>, for_time: Option<Duration>) -> Self {
        let (outcomes, inbox) = mpsc::unbounded_channel();
        let now = Instant::now();
        let mut controller = Self {
            journal: parts.journal,
            model: parts.model,
            fleet: parts.fleet,
            profiles: parts.profiles,
            inputs: parts.inputs,
            reference: parts.reference,
            planning: parts.planning,
            training: parts.training,
            auto: parts.auto,
            read_only: parts.read_only,
            outcomes,
            inbox,
            requests,
            schedules: HashMap::new(),
            chosen: None,
            sounding: None,
            prepared: VecDeque::new(),
            rehearses: false,
            waits: None,
            next: None,
            flight: None,
            severed: Severed::default(),
            again: None,
            attempts: 0,
            redials: parts.redials,
            redialling: JoinSet::new(),
            resume: None,
            unmeasured: Vec::new(),
            refusal: None,
            deserted: None,
            landed: Vec::new(),
            runs: 0,
            commands: 0,
            verifying: Vec::new(),
            effect: None,
            answered: None,
            looked: now,
            found: None,
            clocks_compared: now,
            ending: None,
            for_time,
            stop_at: None,
            output: parts.output,
            last_output: None,
            planned: false,
        };
        parts.broken.into_iter().for_each(|(worker, pause)| controller.dial_again(worker, pause));
        controller
    }

    /// Measures every worker alone, plans, and runs until asked to end or nobody is left.
    pub async fn drive(&mut self) -> anyhow::Result<Ending> {
        self.know_reference().await;
        self.begin().await?;
        while self.ending.is_none() {
            if self.flight.is_none()
                && let Some(worker) = self.unmeasured.pop()
            {
                self.measure_late(worker).await;
            }
            self.begin_run();
            self.step().await;
        }
        // What landed last is still worth its line.
        while !self.landed.is_empty() {
            self.step().await;
        }
        self.settle_what_is_pending();
        match (&self.output, &self.last_output) {
            (Some(path), Some((frame, output))) => self.inputs.save(*frame, output, path)?,
            (Some(path), None) => {
                let text = format!("{} is not written: no run ended", path.display());
                self.journal.note(Level::Warning, text);
            }
            (None, _) => {}
        }
        Ok(self.ending.unwrap_or(Ending::Asked))
    }

    /// Measures every worker alone, and plans and prepares the first partition. A lab that has lost all of its
    /// workers meanwhile waits for one to come back.
    async fn begin(&mut self) -> anyhow::Result<()> {
        while self.ending.is_none() {
            if self.is_deserted() {
                self.step().await;
                continue;
            }
            self.measure_singles().await;
            if let Some(proposal) = self.plan_first().await? {
                let id = proposal.partition;
                self.planned = true;
                self.offer(proposal, true, None);
                self.wait_until_prepared(id).await;
                // Longer than clocks can tell is for ever.
                self.stop_at = self.for_time.and_then(|time| Instant::now().checked_add(time));
                return Ok(());
            }
            if self.ending.is_none() && !self.is_deserted() {
                let refusal = self.refusal.take().unwrap_or_default();
                anyhow::bail!("no partition of this network fits these workers. {refusal}");
            }
        }
        Ok(())
    }

    /// Whether no worker can be given work; one that was dialled again counts once the others know it.
    fn is_deserted(&self) -> bool {
        !self.journal.stage().look().lab.allowed().contains(&true)
    }

    /// Says farewell to the workers.
    pub async fn close(&mut self) {
        // A link that ends now is no reason why a worker is not back.
        self.redialling.shutdown().await;
        self.fleet.close().await;
    }

    /// Waits for one thing and takes it into account.
    pub(super) async fn step(&mut self) {
        let wake = self.next_wake();
        tokio::select! {
            from = self.fleet.receive() => match from {
                Some((worker, event)) => self.take(worker, event),
                None => self.end(Ending::NobodyLeft),
            },
            Some(outcome) = self.inbox.recv() => self.take_outcome(outcome),
            request = self.requests.recv() => self.take_request(request.unwrap_or(Request::Quit)),
            () = sleep_until(wake.into()) => {}
        }
        self.look_at_the_clock(Instant::now());
    }

    /// Does what the operator asks for.
    pub fn take_request(&mut self, request: Request) {
        match request {
            Request::Verb(verb) => self.operate("operator", verb),
            // There is no time to move in while live; the screen says so.
            Request::Playback(_) => {}
            Request::Quit => self.end(Ending::Asked),
        }
    }

    fn next_wake(&self) -> Instant {
        let mut wake = self.clocks_compared + CLOCKS_EVERY;
        let deserted = self.deserted.map(|since| since + DESERTED);
        let now = Instant::now();
        let waits = self.waits.map(|(_, until)| until).filter(|until| self.flight.is_none() && *until > now);
        for due in self.next_loss().into_iter().chain(self.severed.next()).chain(deserted).chain(waits) {
            wake = wake.min(due);
        }
        if let Some(until) = self.landed.iter().map(Landed::until).min() {
            wake = wake.min(until);
        }
        self.stop_at.map_or(wake, |stop| wake.min(stop))
    }

    /// Everything that is due by time.
    fn look_at_the_clock(&mut self, now: Instant) {
        let (settled, landed) = self.landed.drain(..).partition(|landed: &Landed| landed.is_settled(now));
        self.landed = landed;
        for landed in settled {
            self.finish_run(&landed);
        }
        self.leave_out_what_is_due(now);
        self.lose_what_is_due(now);
        if self.deserted.is_some_and(|since| now >= since + DESERTED) {
            self.end(Ending::NobodyLeft);
        }
        if now >= self.clocks_compared + CLOCKS_EVERY {
            self.clocks_compared = now;
            self.fleet.compare_clocks(&self.outcomes);
            self.journal.flush_due();
        }
        self.measure_effect(now);
        if self.is_time_up() && self.flight.is_none() && self.again.is_none() {
            self.end(Ending::Asked);
        }
    }

    pub(super) fn is_time_up(&self) -> bool {
        self.stop_at.is_some_and(|stop| Instant::now() >= stop)
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }
}
