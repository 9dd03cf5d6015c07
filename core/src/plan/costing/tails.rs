//! How long it takes from some moment on until the lab has the output, at least: what lies behind every time of a state on
//! the longest path.
//!
//! If a time gets later, the latency gets at least as late as that time and its tail together. So most changes that make a
//! plan slower are known as such a block or two after what they changed, and times need not be passed on to the end.

use std::ops::Range;

use super::Costing;
use super::state::{Clock, Job, Layout, Parcel, State, Way, later};
use crate::plan::spans::Rate;
use crate::rows::Rows;

/// In place of a tail where nothing waits.
const NOTHING: f64 = f64::NEG_INFINITY;

/// What nothing waits for.
const FREE: Clock = Clock { computing: NOTHING, sending: NOTHING, arrivals: [NOTHING; 4] };

impl Costing<'_> {
    /// Makes the tails of `states` known, which are those after all blocks, where only those of blocks `changed` lie differently from
    /// when they were known before.
    pub(crate) fn look_back(&self, states: &mut [State], changed: Range<usize>) {
        let last = states.len() - 1;
        for at in (0..changed.end).rev() {
            if at == last {
                self.end(&mut states[at]);
                continue;
            }
            let (states, next) = states.split_at_mut(at + 1);
            if next[0].layout.tails(&next[0].tails, &mut states[at].tails) && at < changed.start {
                return;
            }
        }
    }

    /// The tails of the state after all blocks.
    fn end(&self, state: &mut State) {
        let State { layout, tails, .. } = state;
        let ground = self.spans.ground(layout.place);
        let lateness = self.lateness(layout);
        tails.fill(FREE);
        for strip in layout.strips() {
            let worker = strip.worker as usize;
            let job = self.alone(ground, strip);
            let link = self.link(worker, self.workers);
            let sending_ms = ground.output_row_bytes * f64::from(strip.rows.len()) * link.ms_per_byte;
            let sent = sending_ms + link.delay_ms + job.late_ms(&lateness);
            tails[worker] = Clock { sending: sent, ..job.tail(sent, NOTHING, NOTHING, ground.has_gaps) };
        }
    }

    /// About what a plan takes, ms, that has come to `state` and goes on as that of `known` does, the state after as many of its units; in
    /// the last block rows may lie differently.
    pub(crate) fn outlook(&self, state: &State, known: &State) -> f64 {
        let mut ms = state.least_latency(known);
        let (bounds, old) = (&state.layout.bounds, &known.layout.bounds);
        if bounds == old {
            return ms;
        }
        let rates = self.spans.ground(state.layout.place).rates();
        for (worker, rate) in rates.iter().enumerate() {
            let (now, before) = (state.layout.rows(worker), known.layout.rows(worker));
            if now != before {
                let done = state.clocks[worker].computing + more_ms(rate, now, before);
                ms = later(ms, done + known.tails[worker].computing);
            }
        }
        ms
    }

    /// Whether a plan would be slower than `limit` ms in which `state`'s block had these `bounds`, of what was known of the plan before:
    /// `next` is the state after it. Takes everybody to begin the block when they did.
    pub(crate) fn is_too_much(&self, state: &State, bounds: &[u32], next: &State, limit: f64) -> bool {
        let old = &state.layout.bounds;
        if old == bounds {
            return false;
        }
        let rates = self.spans.ground(state.layout.place).rates();
        let (mut start, mut begin) = (0, 0);
        let edges = bounds[1..].iter().zip(&old[1..]);
        for (((&end, &finish), rate), (clock, tail)) in
            edges.zip(rates).zip(next.clocks.iter().zip(&next.tails))
        {
            let (now, before) = (Rows { start, end }, Rows { start: begin, end: finish });
            (start, begin) = (end, finish);
            if now == before || now.is_empty() {
                continue;
            }
            let more = more_ms(rate, now, before);
            if more > 0.0 && clock.computing + more + tail.computing > limit {
                return true;
            }
        }
        false
    }
}

/// How much longer `now` takes to compute than `before`, ms.
#[inline]
fn more_ms(rate: &Rate, now: Rows, before: Rows) -> f64 {
    let ms = |rows: Rows| match rows.is_empty() {
        true => 0.0,
        false => rate.unsent_ms(rate.at(rows.start), rate.at(rows.end)),
    };
    ms(now) - ms(before)
}

impl Layout {
    /// The tails before the block before from those after it; whether they are as they were.
    fn tails(&self, after: &[Clock], before: &mut [Clock]) -> bool {
        let mut is_same = true;
        let mut jobs = self.jobs().iter();
        let mut begin = 0;
        let mut next = jobs.next().map(|job| (0, job));
        for (worker, (before, after_own)) in before.iter_mut().zip(after).enumerate() {
            let tail = match next {
                Some((at, job)) if job.worker as usize == worker => {
                    let (upper, lower) = if self.is_near {
                        let [above, below] = &self.parcels.as_chunks().0[at];
                        (above.tail(Way::Below, after), below.tail(Way::Above, after))
                    } else {
                        let (turn, end) = (job.turn as usize, job.end as usize);
                        let sent = |parcels: &[Parcel]| {
                            parcels.iter().map(|parcel| parcel.tail(parcel.way, after)).fold(NOTHING, later)
                        };
                        let both = (sent(&self.parcels[begin..turn]), sent(&self.parcels[turn..end]));
                        begin = end;
                        both
                    };
                    next = jobs.next().map(|job| (at + 1, job));
                    let tail = job.tail(after_own.computing, upper, lower, self.sent_has_gaps);
                    Clock { sending: later(after_own.sending, later(upper, lower)), ..tail }
                }
                _ => Clock { arrivals: [NOTHING; 4], ..*after_own },
            };
            is_same &= *before == tail;
            *before = tail;
        }
        is_same
    }
}

impl Parcel {
    /// What lies behind when it may leave.
    #[inline(always)]
    fn tail(&self, way: Way, after: &[Clock]) -> f64 {
        after
            .get(self.to as usize)
            .map_or(NOTHING, |to| self.sending_ms + self.delay_ms + to.arrivals[way as usize])
    }
}

impl Job {
    /// What lies behind when its worker is free and its input there, if so much lies behind when it has computed `all` pieces,
    /// the `upper` and the `lower` one.
    #[inline(always)]
    fn tail(&self, all: f64, upper: f64, lower: f64, has_gaps: bool) -> Clock {
        let ms = self.ms;
        let sum = ms[0] + ms[1] + ms[2];
        let (computing, above, below) = if self.waits_for_all {
            let all = later(all + sum, later(upper + ms[0], lower + ms[0] + ms[1]));
            (all, all, all)
        } else {
            (
                later(all + sum, later(upper + ms[0], lower + ms[1])),
                ms[0] + later(all, upper),
                ms[1] + later(all, lower),
            )
        };
        let gap = |skips: bool, ms: f64| if has_gaps && !skips { ms } else { NOTHING };
        let arrivals = [above, below, gap(self.skips_above, above), gap(self.skips_below, below)];
        Clock { computing, sending: NOTHING, arrivals }
    }
}

impl State {
    /// The least latency of a plan that goes on from here as that of `other` does from this block on, ms.
    pub(crate) fn least_latency(&self, other: &Self) -> f64 {
        let mut least = 0.0;
        let ways = if self.layout.has_gaps { 4 } else { 2 };
        for (clock, tail) in self.clocks.iter().zip(&other.tails) {
            least = later(least, later(clock.computing + tail.computing, clock.sending + tail.sending));
            for (at, tail) in clock.arrivals[..ways].iter().zip(&tail.arrivals) {
                if *at > 0.0 {
                    least = later(least, at + tail);
                }
            }
        }
        least
    }

    /// The same from when everybody has computed the blocks before, for a plan that goes on nearly so.
    pub(crate) fn likely_latency(&self, other: &Self) -> f64 {
        self.clocks
            .iter()
            .zip(&other.tails)
            .map(|(clock, tail)| clock.computing + tail.computing)
            .fold(0.0, later)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::random;
    use crate::plan::Problem;
    use crate::plan::draft::Draft;
    use crate::plan::draft::tests::{AnyCosts, any_partition};

    #[test]
    fn no_plan_is_faster_than_what_lies_behind_its_times_and_most_are_as_fast() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let (mut compared, mut reached) = (0, 0);
        for _ in 0..200 {
            let network = random(&mut rng, 9, 96);
            let workers = rng.random_range(1..7);
            let costs = AnyCosts::random(&mut rng, &network, workers);
            let allowed = vec![true; workers];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            let mut costing = Costing::new(&problem);
            let draft = Draft::of(&any_partition(&mut rng, &network, workers));
            let mut states: Vec<State> = (0..draft.len()).map(|_| costing.state()).collect();
            costing.open(draft.ends[0], draft.block(0), &mut states[0]);
            for index in 1..draft.len() {
                let (done, next) = states.split_at_mut(index);
                costing.step(&done[index - 1], draft.ends[index], draft.block(index), &mut next[0]);
            }
            let latency = costing.finish(&states[draft.len() - 1]);
            costing.look_back(&mut states, 0..draft.len());
            for state in &states {
                let least = state.least_latency(state);
                assert!(least <= latency * (1.0 + 1e-9), "{}: {least} {latency}", network.name);
                compared += 1;
                reached += usize::from(least >= latency * (1.0 - 1e-9));
            }
        }
        assert!(3 * reached > 2 * compared, "{reached} of {compared}");
    }
}
