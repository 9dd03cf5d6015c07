//! The simulated latency of a partition, block by block, in about ten nanoseconds a strip.
//!
//! [`Costing::open`], [`Costing::step`] and [`Costing::finish`] follow [`Schedule::new`] and [`simulate`] rule by
//! rule, with the look-ups of [`Spans`] in place of walks over layers. What is where (`divide.rs`) is kept apart
//! from when it is done (`clock.rs`): a change of some block moves rows only near it, times in all that follow.
//! A block's strips are not costed when it is placed but when the next one is: what its neighbours will want
//! decides which rows come first.
//!
//! [`Schedule::new`]: crate::schedule::Schedule::new
//! [`simulate`]: crate::simulate::simulate

mod clock;
mod divide;
mod state;
mod tails;

pub use state::State;
pub(crate) use state::later;

use std::sync::Arc;

use state::{Clock, Layout, Strip};

use super::Problem;
use super::spans::{Ground, Spans};
use crate::id::{Node, WorkerId};
use crate::predict::{Lateness, LinkCost};
use crate::rows::Rows;
use crate::schedule::{divides_freely, least_rows};

/// Costs partitions of one problem.
#[derive(Clone, Debug)]
pub struct Costing<'a> {
    pub(crate) problem: &'a Problem<'a>,
    pub(crate) spans: Spans<'a>,
    /// By sender, then by receiver; the lab is the last of both.
    links: Arc<[Wire]>,
    lateness: Lateness,
    input_row_bytes: u64,
    workers: usize,
}

/// A link, ready to multiply with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) delay_ms: f64,
    pub(crate) ms_per_byte: f64,
}

impl Wire {
    fn of(link: LinkCost) -> Self {
        Self { delay_ms: link.delay_ms, ms_per_byte: 1.0 / link.bytes_per_ms }
    }

    /// Milliseconds that `bytes` occupy the sender.
    #[inline]
    pub(crate) fn sending_ms(&self, bytes: u64) -> f64 {
        bytes as f64 * self.ms_per_byte
    }
}

impl<'a> Costing<'a> {
    /// For one problem; tables fill as they are used.
    pub fn new(problem: &'a Problem<'a>) -> Self {
        let workers = problem.workers();
        let input = &problem.network.input;
        let value_bytes = if input.pixels.is_some() { 1 } else { 4 };
        Self {
            problem,
            spans: Spans::new(problem.network, problem.costs, workers),
            links: wires(problem, 1.0),
            lateness: problem.costs.lateness(),
            input_row_bytes: input.cut.row_values() * value_bytes,
            workers,
        }
    }

    /// What [`Costing::ease`] takes for every transfer to take this share of its time.
    pub(crate) fn wires(&self, share: f64) -> Arc<[Wire]> {
        wires(self.problem, share)
    }

    /// Costs from now on with these links.
    pub(crate) fn ease(&mut self, links: &Arc<[Wire]>) {
        self.links = Arc::clone(links);
    }

    /// An unused state of the right size.
    pub fn state(&self) -> State {
        State::new(self.workers)
    }

    /// The link between two nodes, the lab being `workers`.
    #[inline(always)]
    pub(crate) fn link(&self, from: usize, to: usize) -> &Wire {
        &self.links[from * (self.workers + 1) + to]
    }

    /// Places the first block: the lab sends each worker its input rows.
    pub fn open(&mut self, to: usize, bounds: &[u32], out: &mut State) {
        let place = self.spans.place(0, to);
        (out.layout.units, out.layout.place) = ((0, to), place);
        out.layout.place(self.spans.ground(place), bounds, None);
        out.clocks.fill(Clock::default());
        let mut free = 0.0;
        for strip in out.layout.strips() {
            let link = self.link(self.workers, strip.worker as usize);
            free += link.sending_ms(self.input_row_bytes * u64::from(strip.need.len()));
            out.clocks[strip.worker as usize].arrivals[0] = free + link.delay_ms;
        }
    }

    /// Places the next block, which ends at cut `to`: costs the strips of `state`'s block and sends its rows.
    pub fn step(&mut self, state: &State, to: usize, bounds: &[u32], out: &mut State) {
        let from = state.layout.units.1;
        let place = self.spans.place(from, to);
        (out.layout.units, out.layout.place) = ((from, to), place);
        out.layout.place(self.spans.ground(place), bounds, Some(&state.layout.bounds));
        self.link_up(&state.layout, &mut out.layout);
        out.layout.run(&state.clocks, &mut out.clocks);
    }

    /// Costs the step that led to `same`, whose block, the one before and the one before that are the same, from
    /// `state` on; `out` gets times only.
    pub(crate) fn again(&self, state: &State, same: &State, out: &mut State) {
        same.layout.run(&state.clocks, &mut out.clocks);
    }

    /// When the lab has the output, if `state`'s block is the last, ms.
    pub fn finish(&self, state: &State) -> f64 {
        self.finish_again(state, state)
    }

    /// The same, where `state` has times only and `same` the same last two blocks.
    pub(crate) fn finish_again(&self, state: &State, same: &State) -> f64 {
        let ground = self.spans.ground(same.layout.place);
        let strips = same.layout.strips().iter();
        strips.map(|strip| self.gathered(ground, state, same, strip)).fold(0.0, later)
    }

    /// When the lab has `strip` of the last block, ms.
    fn gathered(&self, ground: &Ground, state: &State, same: &State, strip: &Strip) -> f64 {
        let worker = strip.worker as usize;
        let clock = &state.clocks[worker];
        let job = self.alone(ground, strip);
        let done = job.run(clock.computing, &clock.arrivals, ground.has_gaps).all;
        let link = self.link(worker, self.workers);
        let sending_ms = ground.output_row_bytes * f64::from(strip.rows.len()) * link.ms_per_byte;
        let late = job.late_ms(&self.lateness(&same.layout));
        later(clock.sending, done) + sending_ms + link.delay_ms + late
    }

    /// Leaves in `path` whom each block's end hung on, given the states after all blocks: who is done last; then, from
    /// block to block back, whoever sent it what it waited for, else itself.
    pub(crate) fn critical(&self, states: &[State], path: &mut Vec<usize>) {
        path.clear();
        path.resize(states.len(), 0);
        let Some(last) = states.len().checked_sub(1) else { return };
        let ground = self.spans.ground(states[last].layout.place);
        let state = &states[last];
        let strips = state.layout.strips().iter();
        let ends = strips.map(|strip| (self.gathered(ground, state, state, strip), strip.worker as usize));
        let mut worker = ends.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |end| end.1);
        for at in (0..=last).rev() {
            path[at] = worker;
            let state = &states[at];
            if at == 0 {
                continue;
            }
            let job = match states.get(at + 1) {
                Some(next) => next.layout.jobs().iter().find(|job| job.worker as usize == worker).copied(),
                None => state.layout.strip(worker).map(|strip| self.alone(ground, strip)),
            };
            let Some(job) = job else { continue };
            let (now, arrivals) = (state.clocks[worker].computing, &state.clocks[worker].arrivals);
            let busy = now + job.ms.iter().sum::<f64>();
            if job.run(now, arrivals, state.layout.has_gaps).all > busy * (1.0 + 1e-12) {
                worker = state.latest_sender(worker).unwrap_or(worker);
            }
        }
    }

    /// When `worker` would be done with its rows of `state`'s block if nobody waited for any, ms.
    pub(crate) fn done(&self, state: &State, worker: usize) -> f64 {
        let clock = &state.clocks[worker];
        let Some(strip) = state.layout.strip(worker) else { return clock.computing };
        let ground = self.spans.ground(state.layout.place);
        self.alone(ground, strip).run(clock.computing, &clock.arrivals, ground.has_gaps).all
    }

    /// How late rows of a block placed like this are there.
    fn lateness(&self, layout: &Layout) -> Lateness {
        if layout.owners > 1 { self.lateness } else { Lateness::default() }
    }

    /// Whether strips of `rows` rows of a span can be computed in pieces, so that transfers are hidden.
    pub(crate) fn hides(&self, from: usize, to: usize, rows: u32) -> bool {
        let (height, inner) = (self.problem.network.cut(to).rows, self.problem.network.cut(to).inner);
        if rows / 3 < least_rows(inner) || rows >= height {
            return false;
        }
        let span = self.spans.known(from, to);
        let start = (height - rows) / 2;
        let work = span.macs(Rows { start, end: start + rows });
        divides_freely(work + span.twice_at(start + 1) + span.twice_at(start + rows - 1), work)
    }
}

/// The links of `problem`, by sender, then by receiver, if each took this share of its time.
fn wires(problem: &Problem<'_>, share: f64) -> Arc<[Wire]> {
    let lab = problem.workers();
    let node = |at: usize| if at == lab { Node::Lab } else { Node::Worker(WorkerId::at(at)) };
    let wire = |from: usize, to: usize| {
        let Wire { delay_ms, ms_per_byte } = Wire::of(problem.costs.link(node(from), node(to)));
        Wire { delay_ms: delay_ms * share, ms_per_byte: ms_per_byte * share }
    };
    (0..=lab).flat_map(|from| (0..=lab).map(move |to| wire(from, to))).collect()
}
