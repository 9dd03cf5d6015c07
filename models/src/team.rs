//! Threads that compute one layer together.

mod clock;
mod processors;

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, Yield};

pub(crate) use clock::thread_time;
use processors::Processors;

/// The thread that runs strips and its helpers. Outputs are the same bits, however many they are.
pub struct Team {
    /// The helpers and, if it is of no other pool, the thread that ran first: what it hands over and no helper has
    /// begun, as another program has its processor, it takes back. Started by the first run, as that thread is.
    pool: OnceLock<Option<ThreadPool>>,
    threads: usize,
    /// Nanoseconds of [`Team::awaited`].
    awaited: AtomicU64,
    /// Helpers that look for tasks instead of sleeping.
    looking: Arc<AtomicUsize>,
    processors: Arc<Processors>,
}

impl Team {
    /// A team of `threads`, the caller's included; at least one. Helpers start with the first run; if the system
    /// gives none, the caller computes alone.
    pub fn new(threads: usize) -> Arc<Self> {
        let helpers = threads.saturating_sub(1);
        let processors = Arc::new(Processors::of(helpers));
        Arc::new(Self { threads: helpers + 1, processors, ..Self::default() })
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

    fn start(&self) -> Option<ThreadPool> {
        let helpers = self.threads - 1;
        let start = |own: usize| {
            let known = self.processors.clone();
            let builder = rayon::ThreadPoolBuilder::new().num_threads(helpers + own);
            let builder = builder.start_handler(move |thread| {
                thread.checked_sub(own).into_iter().for_each(|helper| known.enter(helper));
            });
            if own == 1 { builder.use_current_thread().build() } else { builder.build() }
        };
        start(1).or_else(|_| start(0)).ok()
    }

    /// Runs every task, the first on the caller's thread.
    pub(crate) fn run<T: Send, R: Send>(&self, tasks: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        let several = self.threads > 1 && tasks.len() > 1;
        let pool = if several { self.pool.get_or_init(|| self.start()).as_ref() } else { None };
        let Some(pool) = pool else { return tasks.into_iter().map(work).collect() };
        let caller = pool.current_thread_index();
        self.awaken(pool, caller);
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
                    // What the caller takes back is part of its own time already.
                    let own = rayon::current_thread_index() == caller;
                    let time = if own { Duration::ZERO } else { thread_time().saturating_sub(begun) };
                    *slot = Some((result, time));
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
                if pool.yield_local() != Some(Yield::Executed) {
                    std::hint::spin_loop();
                }
            }
            waited = thread_time().saturating_sub(ended);
        });
        let over = beyond(waited, results.iter().flatten().map(|(_, time)| *time));
        self.awaited.fetch_add(over.as_nanos() as u64, Ordering::Relaxed);
        results.into_iter().flatten().map(|(result, _)| result).collect()
    }

    /// Has every helper look for tasks, and go on looking for [`WATCH`] after its last. `caller` is the caller's
    /// number in the pool, if it has one.
    fn awaken(&self, pool: &ThreadPool, caller: Option<usize>) {
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
                if rayon::current_thread_index() != caller {
                    processors.allow_all();
                    let mut since = Instant::now();
                    while since.elapsed() < WATCH {
                        match rayon::yield_now() {
                            Some(Yield::Executed) => since = Instant::now(),
                            _ => std::hint::spin_loop(),
                        }
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

/// How long the caller spins before it sleeps. Waking it takes a tenth to a half of this.
const PATIENCE: Duration = Duration::from_micros(100);

/// How long a helper spins before it sleeps, so that it is awake when the next run follows soon: the first layer of a run
/// would otherwise wait for it.
const WATCH: Duration = Duration::from_millis(1);

impl Default for Team {
    /// The caller alone.
    fn default() -> Self {
        Self {
            pool: OnceLock::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_run_once_and_answers_come_in_order() {
        for threads in [1, 2, 4] {
            let team = Team::new(threads);
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
        let team = Team::new(1);
        team.run(vec![1, 2, 3], |task: u64| task);
        assert_eq!(team.awaited(), Duration::ZERO);
    }
}
