//! How much of a core the trainer takes: a bounded share, and next to nothing while others wait for it.

use std::time::{Duration, Instant};

/// Of one core, at most.
const MOST: f64 = 0.35;
/// Of one core, while it has to wait for the processor.
const LEAST: f64 = 0.02;
/// Of one core, where the system does not tell who waits.
const BLIND: f64 = 0.1;
/// Waiting for more than this part of its time says that others want the processor.
const CONTENDED: f64 = 0.08;
/// The longest rest.
const LONGEST: Duration = Duration::from_secs(2);

/// Work and rest in turn.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    share: f64,
    begun: Instant,
    before: Option<Times>,
}

/// What the system says of this thread, ns.
#[derive(Clone, Copy, Debug)]
struct Times {
    ran: u64,
    waited: u64,
}

impl Pace {
    /// Begins with little.
    pub fn new() -> Self {
        Self { share: LEAST, begun: Instant::now(), before: None }
    }

    /// Work begins.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
        self.before = times();
    }

    /// Work is done; how long to rest.
    pub fn rest(&mut self) -> Duration {
        let worked = match (self.before, times()) {
            (Some(before), Some(now)) => {
                let ran = now.ran.saturating_sub(before.ran) as f64;
                let waited = now.waited.saturating_sub(before.waited) as f64;
                self.share = next_share(self.share, waited / (ran + waited).max(1.0));
                Duration::from_nanos(ran as u64)
            }
            _ => {
                self.share = BLIND;
                self.begun.elapsed()
            }
        };
        worked.mul_f64(1.0 / self.share - 1.0).min(LONGEST)
    }
}

/// The share after a stretch of work of which a part `waited` (0…1) was spent waiting for the processor.
fn next_share(share: f64, waited: f64) -> f64 {
    let factor = if waited > CONTENDED { 0.5 } else { 1.2 };
    (share * factor).clamp(LEAST, MOST)
}

/// Linux tells how long a thread ran and how long it was ready to run without a processor.
fn times() -> Option<Times> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    Some(Times { ran: fields.next()?.ok()?, waited: fields.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trainer_that_must_wait_gives_way_and_takes_no_more_than_its_share() {
        let mut share = LEAST;
        for _ in 0..40 {
            share = next_share(share, 0.0);
        }
        assert_eq!(share, MOST);
        for _ in 0..5 {
            share = next_share(share, 0.5);
        }
        assert_eq!(share, LEAST);
    }

    #[test]
    fn rest_follows_work() {
        let mut pace = Pace::new();
        pace.begin();
        let mut sum = 0u64;
        while pace.begun.elapsed() < Duration::from_millis(5) {
            sum = sum.wrapping_mul(31).wrapping_add(std::hint::black_box(7));
        }
        std::hint::black_box(sum);
        let rest = pace.rest();
        assert!(rest > Duration::ZERO && rest <= LONGEST, "{rest:?}");
    }
}
