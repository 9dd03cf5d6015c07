//! The loop of the computing thread: the oldest run that has a part ready goes first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use collab_core::id::RunId;
use collab_core::wire::{Reply, Telemetry};

use super::reference::Reference;
use super::run::{Outgoing, Run};
use super::stretch::{Debt, Pace, Processor, Throttle, Timed};
use super::{Arrival, Load, Outlet, Rehearsal, Rehearsed, Work, calibrate};
use crate::client::Calibrated;
use crate::clock::Clock;
use crate::engine::{Engine, Map, Spares};

/// The most runs in progress.
const MOST_RUNS: usize = 32;
/// A run that gets no rows for this long is given up; the lab's own deadline is shorter.
const STALE: Duration = Duration::from_secs(60);
/// Outputs of strips that are held while strips are rehearsed: those of a block's pieces and of the next one's.
const HELD: usize = 4;
/// An emulated device sleeps in a run after every piece, and finds other caches then; in a rehearsal so long at most.
const MOST_REST: Duration = Duration::from_millis(10);
/// After so long without anything to compute the reference strip is timed.
const IDLE: Duration = Duration::from_secs(1);
/// How many ended runs are remembered, so that late rows do not start them again.
const REMEMBERED: usize = 1024;

pub(super) struct Thread {
    slowdown: Option<f64>,
    throttle: Arc<Throttle>,
    processor: Processor,
    clock: Clock,
    outlet: Box<dyn Outlet>,
    load: Arc<Load>,
    runs: BTreeMap<RunId, Run>,
    /// Strips that are to be run when there is time.
    rehearsals: VecDeque<Rehearsal>,
    /// What the last of them yielded, as rows and as bytes: a run holds both while it goes on.
    rehearsed: VecDeque<(Map, Vec<u8>)>,
    /// When the next of them may be run.
    rest_until: Instant,
    engine: Arc<dyn Engine>,
    /// Built when there is first time for it.
    reference: Option<Reference>,
    ended: BTreeSet<RunId>,
    /// Memory of maps, from one run to the next.
    spares: Spares,
    debt: Debt,
    /// Since when there is nothing to compute, µs.
    idle_us: u64,
    times: Vec<Duration>,
}

impl Thread {
    pub(super) fn new(
        (slowdown, throttle): (Option<f64>, Arc<Throttle>),
        (engine, processor): (Arc<dyn Engine>, Processor),
        clock: Clock,
        outlet: Box<dyn Outlet>,
        load: Arc<Load>,
    ) -> Self {
        Self {
            slowdown,
            throttle,
            processor,
            clock,
            outlet,
            load,
            runs: BTreeMap::new(),
            rehearsals: VecDeque::new(),
            rehearsed: VecDeque::new(),
            rest_until: Instant::now(),
            engine,
            reference: None,
            ended: BTreeSet::new(),
            spares: Spares::default(),
            debt: Debt::default(),
            idle_us: clock.now(),
            times: Vec::new(),
        }
    }

    /// Works until the last inbox is gone.
    pub(super) fn work(&mut self, inbox: &Receiver<Work>) {
        loop {
            while let Ok(work) = inbox.try_recv() {
                self.take(work);
            }
            let ready = self.runs.values().find_map(|run| Some((run.id, run.ready()?)));
            if let Some((id, part)) = ready {
                self.step(id, part);
                continue;
            }
            let resting = self.rest_until.saturating_duration_since(Instant::now());
            let next = if resting.is_zero() { self.rehearsals.pop_front() } else { None };
            if let Some(rehearsal) = next {
                self.rehearse(rehearsal);
                continue;
            }
            match inbox.recv_timeout(if self.rehearsals.is_empty() { IDLE } else { resting }) {
                Ok(work) => self.take(work),
                Err(RecvTimeoutError::Timeout) if !self.rehearsals.is_empty() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.give_up_stale();
                    self.time_reference();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Rows(arrival) => self.accept(*arrival),
            Work::Cancel(run) => {
                self.end(run);
            }
            Work::Rehearse(rehearsals) => self.rehearsals.extend(rehearsals),
            Work::Calibrate { engine, budget, answer } => {
                let reply = self.calibrate(&*engine, budget);
                // The lab may have gone; its answer is then of no use.
                let _ = answer.send(reply.unwrap_or_else(|reason| Reply::Refused { reason }));
            }
            Work::Reset => {
                self.runs.clear();
                self.rehearsals.clear();
                self.rehearsed.clear();
                self.ended.clear();
                self.spares.clear();
            }
        }
    }

    fn calibrate(&mut self, engine: &dyn Engine, budget: Duration) -> Result<Reply, String> {
        if !self.runs.is_empty() {
            return Err("a run is in progress: calibrate between runs".to_owned());
        }
        let pace = Pace::of(self.slowdown, self.throttle.percent());
        let begun = self.clock.now();
        let calibrate = AssertUnwindSafe(|| calibrate::run(engine, pace, budget));
        let calibrated = catch_unwind(calibrate)
            .unwrap_or_else(|_| Err("the engine panicked while calibrating".to_owned()));
        self.idle_us = self.clock.now();
        self.load.busy_us.fetch_add(self.idle_us - begun, Ordering::Relaxed);
        let Calibrated { layers, networks, ms } = calibrated?;
        Ok(Reply::Calibrated { layers, networks, ms })
    }

    fn accept(&mut self, arrival: Arrival) {
        let id = arrival.header.run;
        if self.ended.contains(&id) {
            return;
        }
        if !self.runs.contains_key(&id) && self.runs.len() >= MOST_RUNS {
            self.fail(id, format!("{MOST_RUNS} runs are in progress already: start fewer at a time"));
            return;
        }
        let run = self.runs.entry(id).or_insert_with(|| Run::new(&arrival));
        if let Err(reason) = run.accept(arrival) {
            self.fail(id, reason);
        }
    }

    fn end(&mut self, run: RunId) -> Option<Run> {
        self.ended.insert(run);
        while self.ended.len() > REMEMBERED {
            self.ended.pop_first();
        }
        self.runs.remove(&run)
    }

    fn fail(&mut self, run: RunId, reason: String) {
        self.end(run);
        self.outlet.report(Telemetry::Failed { run, reason });
    }

    fn give_up_stale(&mut self) {
        let stale = self.runs.values().filter(|run| run.touched.elapsed() > STALE).map(|run| run.id);
        for run in stale.collect::<Vec<_>>() {
            self.fail(run, format!("no rows came for {} seconds", STALE.as_secs()));
        }
    }

    /// Times the reference strip, unless a run is in progress.
    fn time_reference(&mut self) {
        if !self.runs.is_empty() {
            return;
        }
        let pace = Pace::of(self.slowdown, self.throttle.percent());
        if self.reference.is_none() {
            self.reference = Reference::new(&*self.engine);
        }
        let timed = AssertUnwindSafe(|| self.reference.as_mut()?.time(pace, &self.processor));
        let ms = catch_unwind(timed).ok().flatten().unwrap_or(0.0);
        self.load.reference_ms.store(ms.to_bits(), Ordering::Relaxed);
    }

    /// Runs a strip on ones, and writes its output as if it were sent. Nobody waits for what it yields, so it is stretched
    /// by a short rest only, in which runs go on; how it fails will be seen when it is run in earnest.
    fn rehearse(&mut self, rehearsal: Rehearsal) {
        let (cut, rows) = rehearsal.input;
        let pace = Pace::of(self.slowdown, self.throttle.percent());
        let mut clock = pace.clock(|| self.processor.awaited());
        let mut times = vec![Duration::ZERO; rehearsal.layers];
        let mut strip = rehearsal.strip.lock().unwrap_or_else(PoisonError::into_inner);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut input = self.spares.map(cut, rows);
            input.values_mut().fill(1.0);
            let output = strip.run(input, &mut clock, &mut times).ok()?;
            let mut bytes = Vec::new();
            output.read(output.rows(), &mut bytes).ok()?;
            Some((output, bytes))
        }));
        drop(strip);
        let yielded = ran.ok().flatten();
        if yielded.is_some() {
            let took: Duration = times.iter().sum();
            self.rest_until = Instant::now() + pace.scale(took).saturating_sub(took).min(MOST_REST);
            let layers = times.into_iter().map(|time| pace.scale(time)).collect();
            // Whoever asked may have waited long enough.
            let _ =
                rehearsal.timed.send(Rehearsed { place: rehearsal.place, layers, rested: self.rest_until });
        }
        self.rehearsed.extend(yielded);
        if self.rehearsed.len() > HELD {
            self.rehearsed.pop_front();
        }
        if rehearsal.is_last {
            self.rehearsed.clear();
        }
    }

    /// Computes one part of one run.
    fn step(&mut self, id: RunId, part: usize) {
        let pace = Pace::of(self.slowdown, self.throttle.percent());
        let Some(run) = self.runs.get_mut(&id) else { return };
        let start_us = self.clock.now();
        let block = run.block();
        run.note_wait(part, self.idle_us, start_us);
        let timed = Timed::start(&self.processor);
        self.times.clear();
        self.times.resize(run.partition.layers, Duration::ZERO);
        let clock = pace.clock(|| self.processor.awaited());
        let computed = compute(run, part, &self.spares, clock, &mut self.times);
        let delayed = timed.stretch(pace, &self.processor, &mut self.debt);
        self.load.delayed_us.fetch_add(delayed.as_micros() as u64, Ordering::Relaxed);
        let end_us = self.clock.now();
        self.load.busy_us.fetch_add(end_us - start_us, Ordering::Relaxed);
        self.idle_us = end_us;
        let outgoing = match computed {
            Ok(outgoing) => outgoing,
            Err(reason) => return self.fail(id, reason),
        };
        for Outgoing { to, header, body } in outgoing {
            self.outlet.send(to, header, block, body);
        }
        self.times.iter_mut().for_each(|time| *time = pace.scale(*time));
        run.note_computed(part, start_us, end_us);
        run.note_layers(part, &self.times);
        run.advance();
        if run.is_done()
            && let Some(run) = self.end(id)
        {
            self.outlet.report(Telemetry::Computed(run.report));
        }
    }
}

/// Input, strip, and the bytes of what goes out. An engine that panics makes the run fail, not the worker.
fn compute(
    run: &mut Run,
    part: usize,
    spares: &Spares,
    mut clock: impl FnMut() -> Duration,
    times: &mut [Duration],
) -> Result<Vec<Outgoing>, String> {
    let input = run.input(part, spares)?;
    let block = run.block() as usize;
    let strip = run.partition.parts[block][part].strip.clone();
    let mut strip = strip.lock().unwrap_or_else(PoisonError::into_inner);
    let computed = catch_unwind(AssertUnwindSafe(|| strip.run(input, &mut clock, times)));
    let output = computed.unwrap_or_else(|_| Err("the engine panicked".to_owned()))?;
    drop(strip);
    run.finish(part, output, spares)
}
