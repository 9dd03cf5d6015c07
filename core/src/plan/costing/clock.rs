//! When the pieces of a strip are computed and its rows sent.

use super::state::{Arrivals, Clock, Job, Layout, Parcel, Way, later};

/// When a worker has computed the upper piece, the lower one, and everything, ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) upper: f64,
    pub(super) lower: f64,
    pub(super) all: f64,
}

impl Job {
    /// Computes the first piece whose input is there, again and again, by a worker that is free at `now`;
    /// some of it comes by the ways of gaps only if its span has some.
    ///
    /// A piece that there is not takes no time and waits for nobody, so it changes nothing.
    #[inline]
    pub(super) fn run(&self, now: f64, arrivals: &Arrivals, has_gaps: bool) -> Done {
        let [upper, lower, middle] = self.ms;
        let [mut above, mut below, above_gap, below_gap] = *arrivals;
        if has_gaps {
            above = if self.skips_above { above } else { later(above, above_gap) };
            below = if self.skips_below { below } else { later(below, below_gap) };
        }
        if self.waits_for_all {
            let upper = later(now, later(above, below)) + upper;
            let lower = upper + lower;
            return Done { upper, lower, all: lower + middle };
        }
        if above <= now {
            let upper = now + upper;
            if below <= upper {
                let lower = upper + lower;
                return Done { upper, lower, all: lower + middle };
            }
            let lower = later(below, upper + middle) + lower;
            return Done { upper, lower, all: lower };
        }
        if below <= now {
            let lower = now + lower;
            if above <= lower {
                let upper = lower + upper;
                return Done { upper, lower, all: upper + middle };
            }
            let upper = later(above, lower + middle) + upper;
            return Done { upper, lower, all: upper };
        }
        let middle = now + middle;
        if above <= middle || (below > middle && above <= below) {
            let upper = later(above, middle) + upper;
            let lower = later(below, upper) + lower;
            return Done { upper, lower, all: lower };
        }
        let lower = later(below, middle) + lower;
        let upper = later(above, lower) + upper;
        Done { upper, lower, all: upper }
    }
}

impl Layout {
    /// From when everybody was done with what came before the block before, when with that block.
    pub(super) fn run(&self, before: &[Clock], after: &mut [Clock]) {
        for (after, before) in after.iter_mut().zip(before) {
            *after = Clock { arrivals: Arrivals::default(), ..*before };
        }
        if self.is_near {
            self.run_near(before, after);
        } else {
            self.run_any(before, after);
        }
    }

    #[inline(always)]
    fn run_near(&self, before: &[Clock], after: &mut [Clock]) {
        let after = &mut after[..before.len()];
        for (job, [upper, lower]) in self.jobs().iter().zip(self.parcels.as_chunks().0) {
            let worker = job.worker as usize;
            let before = &before[worker];
            let done = job.run(before.computing, &before.arrivals, self.sent_has_gaps);
            let mut free = before.sending;
            // Transfers leave in the order in which their rows are ready.
            if done.lower < done.upper {
                lower.send_alone(Way::Above, done.lower, &mut free, after);
                upper.send_alone(Way::Below, done.upper, &mut free, after);
            } else {
                upper.send_alone(Way::Below, done.upper, &mut free, after);
                lower.send_alone(Way::Above, done.lower, &mut free, after);
            }
            (after[worker].computing, after[worker].sending) = (done.all, free);
        }
    }

    fn run_any(&self, before: &[Clock], after: &mut [Clock]) {
        let mut begin = 0;
        for job in self.jobs() {
            let worker = job.worker as usize;
            let before = &before[worker];
            let done = job.run(before.computing, &before.arrivals, self.sent_has_gaps);
            let (turn, end) = (job.turn as usize, job.end as usize);
            let (upper, lower) = (&self.parcels[begin..turn], &self.parcels[turn..end]);
            begin = end;
            let parts = if done.lower < done.upper {
                [(done.lower, lower), (done.upper, upper)]
            } else {
                [(done.upper, upper), (done.lower, lower)]
            };
            let mut free = before.sending;
            for (ready, parcels) in parts {
                for parcel in parcels {
                    parcel.send(ready, &mut free, after);
                }
            }
            (after[worker].computing, after[worker].sending) = (done.all, free);
        }
    }
}

impl Parcel {
    /// Leaves once its rows are `ready` and its sender's link is `free`.
    #[inline(always)]
    fn send(&self, ready: f64, free: &mut f64, after: &mut [Clock]) {
        *free = later(*free, ready) + self.sending_ms;
        let there = &mut after[self.to as usize].arrivals[self.way as usize];
        *there = later(*there, *free + self.delay_ms);
    }

    /// The same, by a way that nobody else takes, if it has a receiver.
    #[inline(always)]
    fn send_alone(&self, way: Way, ready: f64, free: &mut f64, after: &mut [Clock]) {
        if let Some(clock) = after.get_mut(self.to as usize) {
            *free = later(*free, ready) + self.sending_ms;
            clock.arrivals[way as usize] = *free + self.delay_ms;
        }
    }
}
