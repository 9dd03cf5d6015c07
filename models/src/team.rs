//! Threads that compute one layer together.

mod processors;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use rayon::{ThreadPool, Yield};

use processors::Processors;

/// The thread that runs strips and its helpers. Outputs are the same bits, however many they are.
pub struct Team {
    /// The helpers, if there are any.
    pool: Option<ThreadPool>,
    threads: usize,
    /// Nanoseconds of [`Team::awaited`].
    awaited: AtomicU64,
    /// Helpers that look for tasks instead of sleeping.
    looking: Arc<AtomicUsize>,
    processors: Arc<Processors>,
}

impl Team {
    /// A team of `threads`, the caller's included; at least one.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize) -> Result<Arc<Self>, String> {
        let helpers = threads.saturating_sub(1);
        let processors = Arc::new(Processors::of(helpers));
        let pool = match helpers {
            0 => None,
            _ => {
                let known = processors.clone();
                let builder = rayon::ThreadPoolBuilder::new().num_threads(helpers);
                let pool = builder.start_handler(move |helper| known.enter(helper)).build();
                Some(pool.map_err(|error| format!("cannot start {helpers} threads: {error}"))?)
            }
        };
        Ok(Arc::new(Self { pool, threads: helpers + 1, processors, ..Self::default() }))
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
        let unfinished = AtomicUsize::new(tasks.len() - 1);
        let mut slots = results.iter_mut().zip(tasks);
        let first = slots.next();
        let mut waited = Duration::ZERO;
        pool.in_place_scope(|scope| {
            for (slot, task) in slots {
                let (work, unfinished) = (&work, &unfinished);
                scope.spawn(move |_| {
                    let begun = thread_time();
                    let result = work(task);
                    *slot = Some((result, thread_time().saturating_sub(begun)));
                    unfinished.fetch_sub(1, Ordering::Release);
                });
            }
            let begun = thread_time();
            let mut ended = begun;
            if let Some((slot, task)) = first {
                let result = work(task);
                ended = thread_time();
                *slot = Some((result, ended.saturating_sub(begun)));
            }
            let since = Instant::now();
            while unfinished.load(Ordering::Acquire) > 0 && since.elapsed() < PATIENCE {
                std::hint::spin_loop();
            }
            waited = thread_time().saturating_sub(ended);
        });
        let over = beyond(waited, results.iter().flatten().map(|(_, time)| *time));
        self.awaited.fetch_add(over.as_nanos() as u64, Ordering::Relaxed);
        results.into_iter().flatten().map(|(result, _)| result).collect()
    }

    /// Has every helper look for tasks, and go on looking for [`PATIENCE`] after its last.
    fn awaken(&self, pool: &ThreadPool) {
        for _ in 1..self.threads {
            // As many helpers look as there are; each says so before and after.
            let looking = self.looking.fetch_add(1, Ordering::Relaxed);
            if looking + 1 >= self.threads {
                self.looking.fetch_sub(1, Ordering::Relaxed);
                break;
            }
            let (looking, processors) = (self.looking.clone(), self.processors.clone());
            self.processors.clear_own();
            pool.spawn(move || {
                processors.allow_all();
                let mut since = Instant::now();
                while since.elapsed() < PATIENCE {
                    match rayon::yield_now() {
                        Some(Yield::Executed) => since = Instant::now(),
                        _ => std::hint::spin_loop(),
                    }
                }
                looking.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// By how much the longest of `times` exceeds the first, which is the caller's, and what the caller `waited` for it.
fn beyond(waited: Duration, times: impl Iterator<Item = Duration>) -> Duration {
    let (own, longest) =
        times.fold((None, Duration::ZERO), |(own, longest), time| (own.or(Some(time)), longest.max(time)));
    longest.saturating_sub(own.unwrap_or_default() + waited)
}

/// How long a thread spins before it sleeps. Waking it takes a tenth to a half of this; the serial stretches between
/// two divided layers are mostly shorter.
const PATIENCE: Duration = Duration::from_micros(100);

impl Default for Team {
    /// The caller alone.
    fn default() -> Self {
        Self {
            pool: None,
            threads: 1,
            awaited: AtomicU64::new(0),
            looking: Arc::default(),
            processors: Arc::default(),
        }
    }
}

impl Debug for Team {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Team of {}", self.threads)
    }
}

/// Processor time of this thread.
pub(crate) fn thread_time() -> Duration {
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
        let beyond = |waited, times: &[u64]| {
            let times = times.iter().copied().map(Duration::from_micros);
            super::beyond(Duration::from_micros(waited), times).as_micros()
        };
        assert_eq!(beyond(0, &[5, 9, 25]), 20, "the slowest of all counts");
        assert_eq!(beyond(15, &[5, 25]), 5, "what was waited for took the caller's own time");
        assert_eq!(beyond(30, &[5, 25]), 0);
        assert_eq!(beyond(0, &[25, 5]), 0);
        assert_eq!(beyond(0, &[]), 0);
    }

    #[test]
    fn a_caller_alone_waits_for_nobody() {
        let team = Team::new(1).expect("no thread is started");
        team.run(vec![1, 2, 3], |task: u64| task);
        assert_eq!(team.awaited(), Duration::ZERO);
    }
}
