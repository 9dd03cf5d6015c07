//! A run from the first byte sent to the last report in: gathering its output, waiting for its spans.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use collab_core::event::Verdict;
use collab_core::id::{PartitionId, RunId, WorkerId};
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;
use collab_models::{Map, MapError};

/// How long reports of a run are waited for after its output is there.
const REPORT_PATIENCE: Duration = Duration::from_millis(400);

/// Reports that a run still lacks: one for the computing of each worker, one for each transfer it sent.
#[derive(Default)]
struct Reports(BTreeMap<WorkerId, usize>);

impl Reports {
    fn of(schedule: &Schedule) -> Self {
        let mut reports = BTreeMap::new();
        for (worker, strip) in schedule.stages.iter().flat_map(|stage| stage.strips.iter().enumerate()) {
            if !strip.rows.is_empty() {
                *reports.entry(WorkerId::at(worker)).or_insert(1) += strip.sends.len();
            }
        }
        Self(reports)
    }

    fn take(&mut self, worker: WorkerId) {
        if let Some(missing) = self.0.get_mut(&worker) {
            *missing -= 1;
            if *missing == 0 {
                self.0.remove(&worker);
            }
        }
    }
}

/// A run whose output is not complete.
pub struct Flight {
    /// Which.
    pub run: RunId,
    /// Its number on the wire: a run that begins again has a new one, so that nothing late of the attempt
    /// before is taken for its own.
    pub attempt: RunId,
    /// What it runs.
    pub partition: PartitionId,
    /// What a worker said went wrong, and until when the loss of a worker may explain it.
    pub doubt: Option<(String, Instant)>,
    /// Its input, as an index into the inputs.
    pub frame: usize,
    /// When the lab began to send.
    pub started: Instant,
    output: Map,
    missing_rows: u64,
    reports: Reports,
}

/// A run that lost a worker and is to begin again on the others.
#[derive(Clone, Copy)]
pub struct Interrupted {
    /// Which.
    pub run: RunId,
    /// Its input.
    pub frame: usize,
    /// When it first began.
    pub started: Instant,
}

/// A run whose output is there, but not all reports.
pub struct Landed {
    /// Which.
    pub run: RunId,
    /// Its number on the wire.
    pub attempt: RunId,
    /// Its input.
    pub frame: usize,
    /// Its latency, ms.
    pub ms: f64,
    /// Against the single device.
    pub verdict: Verdict,
    /// When it began.
    pub started: Instant,
    reports: Reports,
    until: Instant,
}

impl Flight {
    /// The attempt `attempt` at a run of `schedule`, with room for its output.
    pub fn new(
        Interrupted { run, frame, started }: Interrupted,
        attempt: RunId,
        partition: PartitionId,
        schedule: &Schedule,
        output: Map,
    ) -> Self {
        let missing_rows = schedule.output().map(|transfer| u64::from(transfer.rows.len())).sum();
        let reports = Reports::of(schedule);
        Self { run, attempt, partition, doubt: None, frame, started, output, missing_rows, reports }
    }

    /// Takes output rows; true once all are there.
    pub fn take_rows(&mut self, rows: Rows, bytes: &[u8]) -> Result<bool, MapError> {
        self.output.write(rows, bytes)?;
        self.missing_rows = self.missing_rows.saturating_sub(u64::from(rows.len()));
        Ok(self.missing_rows == 0)
    }

    /// Notes a report of `worker`.
    pub fn take_report(&mut self, worker: WorkerId) {
        self.reports.take(worker);
    }

    /// The output as far as it is there.
    pub fn output(&self) -> &Map {
        &self.output
    }

    /// The output is complete since `now`.
    pub fn land(self, now: Instant, verdict: Verdict) -> (Landed, Map) {
        let ms = now.duration_since(self.started).as_secs_f64() * 1e3;
        let until = now + REPORT_PATIENCE;
        let Self { run, attempt, frame, started, output, reports, .. } = self;
        (Landed { run, attempt, frame, ms, verdict, started, reports, until }, output)
    }
}

impl Landed {
    /// Notes a report of `worker`.
    pub fn take_report(&mut self, worker: WorkerId) {
        self.reports.take(worker);
    }

    /// Whether every report is in, or late enough to go on without.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.reports.0.is_empty() || now >= self.until
    }

    /// When it is settled at the latest.
    pub fn until(&self) -> Instant {
        self.until
    }
}
