//! Processor time of the thread that asks, cheaply.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// How long the wall clock stands in for the processor's after that was read: a thread that lost its processor meanwhile
/// is back later than this.
const NEAR: Duration = Duration::from_micros(100);

thread_local! {
    /// When the processor's clock was read last, and what it showed.
    static READ: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Processor time of this thread. The system takes some four tenths of a microsecond to tell it, a fiftieth of a small
/// layer, so between two readings close to each other the wall clock counts.
pub(crate) fn thread_time() -> Duration {
    if let Some((at, time)) = READ.get() {
        let since = at.elapsed();
        if since < NEAR {
            return time + since;
        }
    }
    let time = ThreadTime::try_now().map_or(Duration::ZERO, |time| time.as_duration());
    READ.set(Some((Instant::now(), time)));
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_is_no_processor_time_and_computing_is() {
        let begun = thread_time();
        std::thread::sleep(Duration::from_millis(20));
        let slept = thread_time().saturating_sub(begun);
        assert!(slept < Duration::from_millis(10), "{slept:?}");
        let (since, begun) = (Instant::now(), thread_time());
        while thread_time().saturating_sub(begun) < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        assert!(since.elapsed() + NEAR >= Duration::from_millis(2));
    }
}
