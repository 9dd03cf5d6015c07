//! The one thread that computes: it takes rows as they arrive and executes schedules.

mod assembly;
mod calibrate;
mod prepared;
mod reference;
mod run;
mod stretch;
mod thread;
mod timing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use collab_core::id::{Node, RunId};
use collab_core::wire::{Reply, RowsHeader, Telemetry};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::engine::Engine;

pub use calibrate::calibrate;
pub(crate) use prepared::{Part, Prepared, Rehearsal, Rehearsed, SharedStrip};
pub(crate) use stretch::Throttle;
pub use timing::{Round, TimedStrip, time_strips};

/// Where computed rows and reports go.
pub(crate) trait Outlet: Send + 'static {
    /// Sends rows to a node; `block` is the one that computed them.
    fn send(&self, to: Node, header: RowsHeader, block: u32, body: Vec<u8>);
    /// Reports to the lab.
    fn report(&self, report: Telemetry);
}

/// Rows that came from another node and were checked against the schedule.
pub(crate) struct Arrival {
    pub(crate) from: Node,
    pub(crate) header: RowsHeader,
    pub(crate) body: Vec<u8>,
    pub(crate) partition: Arc<Prepared>,
    /// When the last byte came, µs.
    pub(crate) at_us: u64,
    /// Its share of the buffer limit.
    pub(crate) held: Held,
}

pub(crate) enum Work {
    Rows(Box<Arrival>),
    /// Run strips, in this order, while there is nothing else to compute.
    Rehearse(Vec<Rehearsal>),
    Cancel(RunId),
    /// Time the synthetic networks, unless a run is in progress.
    Calibrate {
        engine: Arc<dyn Engine>,
        budget: Duration,
        answer: oneshot::Sender<Reply>,
    },
    /// Forget every run: the lab has gone.
    Reset,
}

/// The computing thread's inbox; the thread ends with it.
#[derive(Clone)]
pub(crate) struct Compute {
    work: Sender<Work>,
    pub(crate) throttle: Arc<Throttle>,
    load: Arc<Load>,
}

/// What the computing thread did since the start.
#[derive(Debug, Default)]
struct Load {
    /// As [`Spent::busy`], µs.
    busy_us: AtomicU64,
    /// As [`Spent::delayed`], µs.
    delayed_us: AtomicU64,
    /// What the reference strip took when it was last timed, ms, as bits; 0 once that was read.
    reference_ms: AtomicU64,
}

impl Compute {
    pub(crate) fn start(
        slowdown: Option<f64>,
        clock: Clock,
        outlet: impl Outlet,
        engine: Arc<dyn Engine>,
    ) -> Self {
        let (work, inbox) = channel();
        let throttle = Arc::new(Throttle::default());
        let load = Arc::new(Load::default());
        let processor = stretch::Processor::new(engine.clone());
        let mut thread = thread::Thread::new(
            (slowdown, throttle.clone()),
            (engine, processor),
            clock,
            Box::new(outlet),
            load.clone(),
        );
        std::thread::spawn(move || thread.work(&inbox));
        Self { work, throttle, load }
    }

    pub(crate) fn give(&self, work: Work) {
        // The thread ends only after the last inbox.
        let _ = self.work.send(work);
    }

    /// What the reference strip took when the thread was last idle, ms, if it was since this was last asked for.
    pub(crate) fn reference_ms(&self) -> Option<f64> {
        let ms = f64::from_bits(self.load.reference_ms.swap(0, Ordering::Relaxed));
        (ms > 0.0).then_some(ms)
    }

    /// What the thread did since the start.
    pub(crate) fn spent(&self) -> Spent {
        let read = |micros: &AtomicU64| Duration::from_micros(micros.load(Ordering::Relaxed));
        Spent { busy: read(&self.load.busy_us), delayed: read(&self.load.delayed_us) }
    }
}

/// What the computing thread did in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Computing, emulated time included.
    pub(crate) busy: Duration,
    /// Of this, while other programs had the processor and the device would have been done.
    pub(crate) delayed: Duration,
}

impl Spent {
    /// What was done since it was `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        let Self { busy, delayed } = before;
        Self { busy: self.busy.saturating_sub(busy), delayed: self.delayed.saturating_sub(delayed) }
    }
}

/// How many bytes of rows wait to be computed, and how many may.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    held: Arc<AtomicU64>,
    most: u64,
}

/// Bytes taken out of a [`Budget`] until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: u64,
    of: Arc<AtomicU64>,
}

impl Budget {
    pub(crate) fn new(most: u64) -> Self {
        Self { held: Arc::default(), most }
    }

    /// Takes `bytes`, if so many are left.
    pub(crate) fn take(&self, bytes: u64) -> Result<Held, String> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let held = Held { bytes, of: self.held.clone() };
        if before.saturating_add(bytes) > self.most {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(format!(
                "{} MiB of rows wait to be computed, {} more would pass the limit of {}: \
                 start fewer runs at a time",
                mib(before),
                mib(bytes),
                mib(self.most)
            ));
        }
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_given_back_when_what_it_was_for_is_gone() {
        let budget = Budget::new(100);
        let first = budget.take(60).unwrap();
        assert!(budget.take(60).unwrap_err().contains("start fewer runs"));
        let second = budget.take(40).unwrap();
        drop((first, second));
        assert!(budget.take(100).is_ok());
    }
}
