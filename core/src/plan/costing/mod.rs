//! The simulated latency of a partition, block by block, in some ten nanoseconds a strip.
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

pub use state::State;

use divide::Cutter;
use state::{Arrivals, Job, Layout, Strip};

use super::Problem;
use super::spans::Spans;
use crate::id::{Node, WorkerId};
use crate::predict::{Lateness, LinkCost, PieceCost};
use crate::rows::Rows;
use crate::schedule::{divides_freely, least_rows};

/// Costs partitions of one problem.
#[derive(Debug)]
pub struct Costing<'a> {
    pub(crate) problem: &'a Problem<'a>,
    pub(crate) spans: Spans<'a>,
    /// By sender, then by receiver; the lab is the last of both.
    links: Vec<Wire>,
    /// By worker.
    pieces: Vec<PieceCost>,
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
            pieces: (0..workers).map(|worker| problem.costs.piece(worker)).collect(),
            lateness: problem.costs.lateness(),
            input_row_bytes: input.cut.row_values() * value_bytes,
            workers,
        }
    }

    /// Costs from now on as if every transfer took this share of its time.
    pub(crate) fn ease(&mut self, share: f64) {
        self.links = wires(self.problem, share);
    }

    /// An unused state of the right size.
    pub fn state(&self) -> State {
        State::new(self.workers)
    }

    /// The link between two nodes, the lab being `workers`.
    #[inline]
    pub(crate) fn link(&self, from: usize, to: usize) -> &Wire {
        &self.links[from * (self.workers + 1) + to]
    }

    /// Places the first block: the lab sends each worker its input rows.
    pub fn open(&mut self, to: usize, bounds: &[u32], out: &mut State) {
        let span = self.spans.span(0, to);
        out.layout.units = (0, to);
        out.clocks.computing.fill(0.0);
        out.clocks.sending.fill(0.0);
        let links = &self.links[self.workers * (self.workers + 1)..];
        let mut free = 0.0;
        for (worker, rows) in strips(bounds) {
            let (strip, arrivals) = (&mut out.layout.strips[worker], &mut out.clocks.arrivals[worker]);
            strip.place(span, rows, Rows::all(u32::MAX));
            if rows.is_empty() {
                *arrivals = Arrivals::default();
                continue;
            }
            free += links[worker].sending_ms(self.input_row_bytes * u64::from(strip.need.len()));
            *arrivals = [free + links[worker].delay_ms, 0.0, 0.0, 0.0];
        }
    }

    /// Places the next block, which ends at cut `to`: costs the strips of `state`'s block and sends its rows.
    pub fn step(&mut self, state: &State, to: usize, bounds: &[u32], out: &mut State) {
        let from = state.layout.units.1;
        let span = self.spans.span(from, to);
        out.layout.units = (from, to);
        for ((worker, rows), strip) in strips(bounds).zip(&mut out.layout.strips) {
            let owned = state.layout.strips[worker].rows;
            strip.place(span, rows, owned);
        }
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
        let cutter = self.cutter(same.layout.units);
        let workers = 0..self.workers;
        workers.map(|worker| self.gathered(&cutter, state, same, worker)).fold(0.0, f64::max)
    }

    /// When the lab has `worker`'s rows of the last block, ms; 0 if it has none of it.
    fn gathered(&self, cutter: &Cutter<'_>, state: &State, same: &State, worker: usize) -> f64 {
        let strip = &same.layout.strips[worker];
        if strip.rows.is_empty() {
            return 0.0;
        }
        let clocks = &state.clocks;
        let job = self.alone(cutter, strip, worker);
        let done = job.run(clocks.computing[worker], &clocks.arrivals[worker]).all;
        let link = self.link(worker, self.workers);
        let sending_ms = cutter.row_bytes.1 * f64::from(strip.rows.len()) * link.ms_per_byte;
        let late = self.lateness(&same.layout).ms(job.ms.iter().sum());
        clocks.sending[worker].max(done) + sending_ms + link.delay_ms + late
    }

    /// Leaves in `path` whom each block's end hung on, given the states after all blocks: who is done last; then, from
    /// block to block back, whoever sent it what it waited for, else itself.
    pub(crate) fn critical(&self, states: &[State], path: &mut Vec<usize>) {
        path.clear();
        path.resize(states.len(), 0);
        let Some(last) = states.len().checked_sub(1) else { return };
        let cutter = self.cutter(states[last].layout.units);
        let ends = (0..self.workers).map(|at| (self.gathered(&cutter, &states[last], &states[last], at), at));
        let mut worker = ends.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |end| end.1);
        for at in (0..=last).rev() {
            path[at] = worker;
            let state = &states[at];
            if at == 0 || state.rows(worker).is_empty() {
                continue;
            }
            let job = match states.get(at + 1) {
                Some(next) => next.layout.jobs[worker],
                None => self.alone(&cutter, &state.layout.strips[worker], worker),
            };
            let (now, arrivals) = (state.clocks.computing[worker], &state.clocks.arrivals[worker]);
            let busy = now + job.ms.iter().sum::<f64>();
            if job.run(now, arrivals).all > busy * (1.0 + 1e-12) {
                worker = state.latest_sender(worker).unwrap_or(worker);
            }
        }
    }

    /// When `worker` would be done with its rows of `state`'s block if nobody waited for any, ms.
    pub(crate) fn done(&self, state: &State, worker: usize) -> f64 {
        let (strip, clocks) = (&state.layout.strips[worker], &state.clocks);
        if strip.rows.is_empty() {
            return state.computed(worker);
        }
        let job = self.alone(&self.cutter(state.layout.units), strip, worker);
        job.run(clocks.computing[worker], &clocks.arrivals[worker]).all
    }

    /// How `worker` computes `strip` if nobody waits for any of it.
    fn alone(&self, cutter: &Cutter<'_>, strip: &Strip, worker: usize) -> Job {
        let mut job = Job::default();
        cutter.divide(strip, self.spans.pace(cutter.span, worker), &self.pieces[worker], &[], 0, &mut job);
        job
    }

    /// How late rows of a block placed like this are there.
    fn lateness(&self, layout: &Layout) -> Lateness {
        let is_shared = layout.strips.iter().filter(|strip| !strip.rows.is_empty()).nth(1).is_some();
        if is_shared { self.lateness } else { Lateness::default() }
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

    /// For the block of `units`, which was placed.
    fn cutter(&self, units: (usize, usize)) -> Cutter<'_> {
        let network = self.problem.network;
        let (input, output) = (network.cut(units.0), network.cut(units.1));
        Cutter {
            span: self.spans.known(units.0, units.1),
            first: units.0 == 0,
            last: units.1 == network.units.len(),
            least: least_rows(output.inner),
            row_bytes: (input.bytes(1) as f64, output.bytes(1) as f64),
        }
    }
}

/// The links of `problem`, by sender, then by receiver, if each took this share of its time.
fn wires(problem: &Problem<'_>, share: f64) -> Vec<Wire> {
    let lab = problem.workers();
    let node = |at: usize| if at == lab { Node::Lab } else { Node::Worker(WorkerId::at(at)) };
    let wire = |from: usize, to: usize| {
        let Wire { delay_ms, ms_per_byte } = Wire::of(problem.costs.link(node(from), node(to)));
        Wire { delay_ms: delay_ms * share, ms_per_byte: ms_per_byte * share }
    };
    (0..=lab).flat_map(|from| (0..=lab).map(move |to| wire(from, to))).collect()
}

/// Every worker with its rows between `bounds`.
fn strips(bounds: &[u32]) -> impl Iterator<Item = (usize, Rows)> + '_ {
    bounds.windows(2).map(|rows| Rows { start: rows[0], end: rows[1] }).enumerate()
}
