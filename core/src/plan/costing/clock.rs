//! When the pieces of a strip are computed and its rows sent.

use super::state::{Arrivals, Clocks, Job, Layout, complete, later};

/// When a worker has computed the upper piece, the lower one, and everything, ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) upper: f64,
    pub(super) lower: f64,
    pub(super) all: f64,
}

impl Job {
    /// Computes the first piece whose input is there, again and again, by a worker that is free at `now`.
    ///
    /// A piece that there is not takes no time and waits for nobody, so it changes nothing.
    #[inline]
    pub(super) fn run(&self, now: f64, arrivals: &Arrivals) -> Done {
        let [upper, lower, middle] = self.ms;
        if self.waits_for_all {
            let upper = later(now, complete(arrivals)) + upper;
            let lower = upper + lower;
            return Done { upper, lower, all: lower + middle };
        }
        let [above, below, above_gap, below_gap] = *arrivals;
        let above = if self.skips_above { above } else { later(above, above_gap) };
        let below = if self.skips_below { below } else { later(below, below_gap) };
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
    pub(super) fn run(&self, before: &Clocks, after: &mut Clocks) {
        after.arrivals.fill(Arrivals::default());
        let ends = after.computing.iter_mut().zip(&mut after.sending);
        let begins = before.computing.iter().zip(&before.sending).zip(&before.arrivals);
        let mut begin = 0;
        for ((job, (computing, sending)), ((&now, &free), arrivals)) in self.jobs.iter().zip(ends).zip(begins)
        {
            let done = job.run(now, arrivals);
            *computing = done.all;
            let (upper, lower) = (&self.parcels[begin..job.turn], &self.parcels[job.turn..job.end]);
            begin = job.end;
            // Transfers leave in the order in which their rows are ready.
            let parts = if done.lower < done.upper {
                [(done.lower, lower), (done.upper, upper)]
            } else {
                [(done.upper, upper), (done.lower, lower)]
            };
            let mut free = free;
            for (ready, parcels) in parts {
                for parcel in parcels {
                    free = later(free, ready) + parcel.sending_ms;
                    let there = &mut after.arrivals[parcel.to as usize][parcel.way as usize];
                    *there = later(*there, free + parcel.delay_ms + job.late_ms);
                }
            }
            *sending = free;
        }
    }
}
