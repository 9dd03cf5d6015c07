//! Making a device slower: how long a computation is stretched by sleeping.
//!
//! A slower processor is uniformly slower, so every span is stretched from the CPU time it took, rather than
//! some spans being stopped by a quota.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

use crate::engine::Engine;

/// The CPU share that the operator gives, shared between threads.
#[derive(Debug)]
pub(crate) struct Throttle(AtomicU64);

impl Default for Throttle {
    fn default() -> Self {
        Self(AtomicU64::new(100f64.to_bits()))
    }
}

impl Throttle {
    /// 1…100 %.
    pub(crate) fn percent(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, percent: f64) {
        self.0.store(percent.clamp(1.0, 100.0).to_bits(), Ordering::Relaxed);
    }
}

/// Which clock times a computation, and by what its time is multiplied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// The device as it is: wall time.
    Real,
    /// CPU time ([`Processor`]) times this, the rest slept.
    Slowed(f64),
}

impl Pace {
    /// `slowdown` is the emulated device's, `percent` the CPU share.
    pub(super) fn of(slowdown: Option<f64>, percent: f64) -> Self {
        match slowdown {
            None if percent >= 100.0 => Pace::Real,
            slowdown => Pace::Slowed(slowdown.unwrap_or(1.0) * 100.0 / percent),
        }
    }

    /// What a clock reading between layers counts as.
    pub(super) fn scale(self, time: Duration) -> Duration {
        match self {
            Pace::Real => time,
            Pace::Slowed(factor) => time.mul_f64(factor),
        }
    }

    /// The clock for times within a computation; `awaited` is what the computing thread waited for helpers.
    pub(super) fn clock(self, awaited: impl Fn() -> Duration) -> impl FnMut() -> Duration {
        let start = Instant::now();
        move || match self {
            Pace::Real => start.elapsed(),
            Pace::Slowed(_) => thread_time() + awaited(),
        }
    }
}

/// The time that computing takes where every thread has a core for itself, whatever else this machine does: the
/// computing thread's CPU time, and that of its slowest helper in every layer beyond it.
#[derive(Clone)]
pub(super) struct Processor(Arc<dyn Engine>);

impl Processor {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        Self(engine)
    }

    /// The helpers' part of it, since the beginning.
    pub(super) fn awaited(&self) -> Duration {
        self.0.awaited()
    }

    /// Since some beginning; for the computing thread to ask.
    fn time(&self) -> Duration {
        thread_time() + self.awaited()
    }
}

fn thread_time() -> Duration {
    ThreadTime::try_now().map_or(Duration::ZERO, |time| time.as_duration())
}

/// A computation being timed.
pub(super) struct Timed {
    wall: Instant,
    cpu: Duration,
}

impl Timed {
    pub(super) fn start(processor: &Processor) -> Self {
        Self { wall: Instant::now(), cpu: processor.time() }
    }

    /// Sleeps until it has taken as long as on the slower device. What it took longer than the device does, because
    /// other programs had the processor, is returned.
    pub(super) fn stretch(self, pace: Pace, processor: &Processor, debt: &mut Debt) -> Duration {
        let cpu = processor.time().saturating_sub(self.cpu);
        let Pace::Slowed(factor) = pace else { return self.wall.elapsed().saturating_sub(cpu) };
        let target = cpu.mul_f64(factor);
        let delayed = self.wall.elapsed().saturating_sub(target);
        let rest = debt.sleep_for(target, self.wall.elapsed());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
        debt.settle(target, self.wall.elapsed());
        delayed
    }
}

/// How much longer than it should the last computation took; the next is shortened by it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debt(Duration);

impl Debt {
    /// Sleeping too long costs some 0.1 ms; more than this was another program's doing and is not made up
    /// for, because it would make the next span look faster than the device.
    const MOST: Duration = Duration::from_millis(1);

    /// How long to sleep so that `wall` becomes `target` less the debt.
    fn sleep_for(self, target: Duration, wall: Duration) -> Duration {
        target.saturating_sub(wall).saturating_sub(self.0)
    }

    /// Notes how long it took in the end.
    fn settle(&mut self, target: Duration, wall: Duration) {
        self.0 = (self.0 + wall).saturating_sub(target).min(Self::MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn the_throttle_multiplies_the_stretch() {
        assert_eq!(Pace::of(None, 100.0), Pace::Real);
        assert_eq!(Pace::of(None, 50.0), Pace::Slowed(2.0));
        assert_eq!(Pace::of(Some(4.0), 100.0), Pace::Slowed(4.0));
        assert_eq!(Pace::of(Some(4.0), 25.0), Pace::Slowed(16.0));
    }

    #[test]
    fn oversleeping_is_made_up_for_in_the_next_span() {
        let mut debt = Debt::default();
        assert_eq!(debt.sleep_for(us(4000), us(1000)), us(3000));
        debt.settle(us(4000), us(4080));
        assert_eq!(debt.sleep_for(us(4000), us(1000)), us(2920));
        debt.settle(us(4000), us(3920));
        assert_eq!(debt.sleep_for(us(4000), us(1000)), us(3000), "the debt is paid");
    }

    #[test]
    fn another_programs_delay_is_not_made_up_for() {
        let mut debt = Debt::default();
        debt.settle(us(4000), us(90_000));
        assert_eq!(debt.sleep_for(us(4000), us(1000)), us(2000));
    }
}
