//! Threads that compute one layer together.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use rayon::ThreadPool;

/// The thread that runs strips and its helpers. Outputs are the same bits, however many they are.
pub struct Team {
    /// The helpers, if there are any.
    pool: Option<ThreadPool>,
    threads: usize,
    /// Nanoseconds of [`Team::awaited`].
    awaited: AtomicU64,
    /// How often tasks were given to helpers.
    calls: Arc<AtomicU64>,
    /// Helpers that look for tasks instead of sleeping.
    looking: Arc<AtomicUsize>,
}

impl Team {
    /// A team of `threads`, the caller's included; at least one.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize) -> Result<Arc<Self>, String> {
        let helpers = threads.saturating_sub(1);
        let pool = match helpers {
            0 => None,
            _ => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(helpers).build();
                Some(pool.map_err(|error| format!("cannot start {helpers} threads: {error}"))?)
            }
        };
        Ok(Arc::new(Self { pool, threads: helpers + 1, ..Self::default() }))
    }

    /// How many threads compute.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// By how much CPU time the slowest helper of each layer exceeded the caller, summed since the beginning. The
    /// caller's own CPU time and this are what a run takes where every thread has a core for itself, whatever
    /// else the machine does.
    pub fn awaited(&self) -> Duration {
        Duration::from_nanos(self.awaited.load(Ordering::Relaxed))
    }

    /// Runs every task, the first on the caller's thread.
    pub(crate) fn run<T: Send, R: Send>(&self, tasks: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        let Some(pool) = self.pool.as_ref().filter(|_| tasks.len() > 1) else {
            return tasks.into_iter().map(work).collect();
        };
        self.awaken(pool);
        let mut results: Vec<Option<(R, Duration)>> = tasks.iter().map(|_| None).collect();
        let timed = |task: T| {
            let begun = thread_time();
            let result = work(task);
            (result, thread_time().saturating_sub(begun))
        };
        let unfinished = AtomicUsize::new(tasks.len() - 1);
        let mut slots = results.iter_mut().zip(tasks);
        let first = slots.next();
        let mut waited = Duration::ZERO;
        pool.in_place_scope(|scope| {
            for (slot, task) in slots {
                let (timed, unfinished) = (&timed, &unfinished);
                scope.spawn(move |_| {
                    *slot = Some(timed(task));
                    unfinished.fetch_sub(1, Ordering::Release);
                });
            }
            if let Some((slot, task)) = first {
                *slot = Some(timed(task));
            }
            let begun = thread_time();
            spin_while(|| unfinished.load(Ordering::Acquire) > 0);
            waited = thread_time().saturating_sub(begun);
        });
        let times = || results.iter().flatten().map(|(_, time)| *time);
        let own = times().next().unwrap_or_default() + waited;
        let over = times().max().unwrap_or_default().saturating_sub(own);
        self.awaited.fetch_add(over.as_nanos() as u64, Ordering::Relaxed);
        results.into_iter().flatten().map(|(result, _)| result).collect()
    }

    /// Has every helper look for tasks, and go on looking for [`PATIENCE`] after the last.
    fn awaken(&self, pool: &ThreadPool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        for _ in 1..self.threads {
            // As many helpers look as there are; each says so before and after.
            let looking = self.looking.fetch_add(1, Ordering::Relaxed);
            if looking + 1 >= self.threads {
                self.looking.fetch_sub(1, Ordering::Relaxed);
                break;
            }
            let (calls, looking) = (self.calls.clone(), self.looking.clone());
            pool.spawn(move || {
                let mut seen = calls.load(Ordering::Relaxed);
                while spin_while(|| {
                    rayon::yield_now();
                    calls.load(Ordering::Relaxed) == seen
                }) {
                    seen = calls.load(Ordering::Relaxed);
                }
                looking.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// How long a thread spins before it sleeps. Waking it takes a tenth to a half of this; the serial stretches between
/// two divided layers are mostly shorter.
const PATIENCE: Duration = Duration::from_micros(100);

/// Spins while `waiting`, for [`PATIENCE`] at most; whether the wait is over.
fn spin_while(waiting: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while waiting() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::hint::spin_loop();
    }
    true
}

impl Default for Team {
    /// The caller alone.
    fn default() -> Self {
        Self {
            pool: None,
            threads: 1,
            awaited: AtomicU64::new(0),
            calls: Arc::default(),
            looking: Arc::default(),
        }
    }
}

impl Debug for Team {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Team of {}", self.threads)
    }
}

fn thread_time() -> Duration {
    ThreadTime::try_now().map_or(Duration::ZERO, |time| time.as_duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_run_once_and_answers_come_in_order() {
        for threads in [1, 2, 4] {
            let team = Team::new(threads).expect("threads can be started");
            assert_eq!(team.threads(), threads);
            let answers = team.run((0..threads).collect(), |task: usize| task * 10);
            assert_eq!(answers, (0..threads).map(|task| task * 10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn waiting_for_a_slower_helper_is_counted_and_a_faster_one_is_not() {
        let team = Team::new(2).expect("a thread can be started");
        let spin = |millis: u64| {
            let begun = thread_time();
            while thread_time().saturating_sub(begun) < Duration::from_millis(millis) {}
        };
        team.run(vec![1, 21], spin);
        let awaited = team.awaited();
        assert!(awaited >= Duration::from_millis(19), "{awaited:?}");
        team.run(vec![21, 1], spin);
        assert!(team.awaited() - awaited < Duration::from_millis(5), "{:?}", team.awaited());
    }
}
