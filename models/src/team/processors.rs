//! Which processors a team's threads run on.
//!
//! A system may wake a helper on the processor of the thread that woke it, though another is idle: that thread looks as if
//! it would soon sleep. Both then take turns layer by layer, and two threads take twice as long as one, until the system
//! moves one of them, which takes longer than most runs. So the caller bars its own processor before it wakes helpers, and
//! each allows itself all again once it runs.

#[cfg(target_os = "linux")]
pub(super) use linux::Processors;

/// Elsewhere the system alone decides.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub(super) struct Processors;

#[cfg(not(target_os = "linux"))]
impl Processors {
    pub(super) fn of(_helpers: usize) -> Self {
        Self
    }

    pub(super) fn enter(&self, _helper: usize) {}

    pub(super) fn clear_own(&self) {}

    pub(super) fn allow_all(&self) {}
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;

    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// What the process may use, and who the helpers are.
    #[derive(Debug, Default)]
    pub(in super::super) struct Processors {
        /// If they are several.
        all: Option<CpuSet>,
        helpers: Vec<OnceLock<Pid>>,
    }

    impl Processors {
        /// Those of the calling thread, for so many helpers that are not there yet.
        pub(in super::super) fn of(helpers: usize) -> Self {
            let all = sched_getaffinity(None).ok().filter(|all| all.count() > 1);
            Self { all, helpers: (0..helpers).map(|_| OnceLock::new()).collect() }
        }

        /// The calling thread is this helper.
        pub(in super::super) fn enter(&self, helper: usize) {
            if let Some(slot) = self.helpers.get(helper) {
                let _ = slot.set(gettid());
            }
        }

        /// Bars helpers from the processor that the calling thread runs on. If the system refuses, it decides alone.
        pub(in super::super) fn clear_own(&self) {
            let Some(mut others) = self.all else { return };
            others.unset(sched_getcpu());
            if others.count() > 0 {
                for helper in self.helpers.iter().filter_map(OnceLock::get) {
                    let _ = sched_setaffinity(Some(*helper), &others);
                }
            }
        }

        /// Allows the calling thread all processors again.
        pub(in super::super) fn allow_all(&self) {
            if let Some(all) = &self.all {
                let _ = sched_setaffinity(None, all);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_helper_may_run_anywhere_but_where_the_caller_does_until_it_runs() {
            let processors = Processors::of(1);
            // With one processor alone there is nothing to choose.
            let Some(all) = processors.all else { return };
            let (ready, go) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
            std::thread::scope(|scope| {
                let (processors, ready, go) = (&processors, &ready, &go);
                let helper = scope.spawn(move || {
                    processors.enter(0);
                    ready.wait();
                    go.wait();
                    let barred = sched_getaffinity(None).unwrap();
                    processors.allow_all();
                    (barred, sched_getaffinity(None).unwrap())
                });
                ready.wait();
                processors.clear_own();
                go.wait();
                let (barred, after) = helper.join().unwrap();
                assert_eq!((barred.count(), after), (all.count() - 1, all));
            });
        }
    }
}
