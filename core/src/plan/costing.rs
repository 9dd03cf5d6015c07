//! The simulated latency of a partition, block by block, in well under a microsecond a block.
//!
//! [`Costing::open`] and [`Costing::finish`] follow [`Schedule::new`] and [`simulate`] rule by rule, with
//! the look-ups of [`Spans`] in place of walks over layers. A block's strips are not costed when it is
//! placed but when the next one is: what its neighbours will want decides which rows come first.
//!
//! [`Schedule::new`]: crate::schedule::Schedule::new
//! [`simulate`]: crate::simulate::simulate

use super::Problem;
use super::spans::{Span, Spans};
use crate::id::{Node, WorkerId};
use crate::predict::{LinkCost, PieceCost};
use crate::rows::Rows;
use crate::schedule::{divides_freely, is_thin};

/// Rows at either end of a strip that are looked at one by one for where waiting ends.
const NEAR: u32 = 6;

/// Costs partitions of one problem.
#[derive(Debug)]
pub struct Costing<'a> {
    pub(crate) problem: &'a Problem<'a>,
    pub(crate) spans: Spans<'a>,
    /// By sender, then by receiver; the lab is the last of both.
    links: Vec<Wire>,
    /// By worker.
    pieces: Vec<PieceCost>,
    input_row_bytes: u64,
    workers: usize,
    /// Room for what one worker sends.
    sends: Vec<Send>,
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

/// What is known once a block is placed and its input is on the way.
#[derive(Clone, Debug)]
pub struct State {
    /// The block's units.
    pub(crate) units: (usize, usize),
    /// The rows of its output, as in a partition's block.
    pub(crate) bounds: Vec<u32>,
    /// When each worker has computed all blocks before this one, ms.
    pub(crate) computing: Vec<f64>,
    /// When each worker has sent all of the blocks before this one, ms.
    pub(crate) sending: Vec<f64>,
    need: Vec<Rows>,
    kept: Vec<Rows>,
    /// By receiver: first sender and one past the last, among whom it is itself.
    senders: Vec<(u32, u32)>,
    /// By receiver, then sender: when the rows are there. In the first block the lab sends, in its own place.
    arrivals: Vec<f64>,
    /// By receiver: when all rows it needs are there.
    complete: Vec<f64>,
    /// The bounds of the block before; empty in the first block.
    before: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Send {
    ready: f64,
    to: usize,
    rows: Rows,
}

/// Up to three pieces of a strip with when each is computed.
#[derive(Clone, Copy)]
struct Pieces {
    rows: [Rows; 3],
    done: [f64; 3],
    count: usize,
}

impl State {
    fn new(workers: usize) -> Self {
        Self {
            units: (0, 0),
            bounds: vec![0; workers + 1],
            computing: vec![0.0; workers],
            sending: vec![0.0; workers],
            need: vec![Rows::EMPTY; workers],
            kept: vec![Rows::EMPTY; workers],
            senders: vec![(0, 0); workers],
            arrivals: vec![0.0; workers * (workers + 1)],
            complete: vec![0.0; workers],
            before: Vec::with_capacity(workers + 1),
        }
    }

    fn rows(&self, worker: usize) -> Rows {
        Rows { start: self.bounds[worker], end: self.bounds[worker + 1] }
    }

    /// By how much the workers' times are later than in `other`, a state of the same two blocks, ms: least
    /// and most.
    pub(crate) fn later_than(&self, other: &Self) -> (f64, f64) {
        let workers = self.computing.len();
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut see = |late: f64| (least, most) = (least.min(late), most.max(late));
        for worker in (0..workers).filter(|&worker| !self.rows(worker).is_empty()) {
            see(self.computing[worker] - other.computing[worker]);
            let (first, end) = self.senders[worker];
            for sender in (first as usize..end as usize).filter(|&sender| sender != worker) {
                if self.before[sender] < self.before[sender + 1] {
                    let at = worker * (workers + 1) + sender;
                    see(self.arrivals[at] - other.arrivals[at]);
                }
            }
        }
        // A link that was free before rows were computed holds nothing up: it only counts as a change.
        let sending = self.sending.iter().zip(&other.sending).map(|(own, other)| own - other);
        let latest =
            sending.fold(0.0, |latest: f64, late| if late.abs() > latest.abs() { late } else { latest });
        (least, if latest == 0.0 { most } else { f64::INFINITY })
    }

    /// When the last worker has its input, if this is the first block, ms.
    pub(crate) fn last_arrival(&self) -> f64 {
        let owners = (0..self.computing.len()).filter(|&worker| !self.rows(worker).is_empty());
        owners.map(|worker| self.complete[worker]).fold(0.0, f64::max)
    }

    /// When `worker` could begin rows of this block, were their input there, ms; if it has none and this is
    /// the first block, at once.
    pub(crate) fn free(&self, worker: usize) -> f64 {
        if self.before.is_empty() && !self.rows(worker).is_empty() {
            return self.complete[worker];
        }
        self.computing[worker]
    }

    /// When `worker` could begin its strip of this block, ms.
    pub(crate) fn begin(&self, worker: usize) -> f64 {
        self.computing[worker].max(self.complete[worker])
    }

    /// When the input rows `need` of `worker`, of a block that is not the first, are there.
    #[inline]
    fn ready(&self, worker: usize, need: Rows) -> f64 {
        let workers = self.computing.len();
        let arrivals = &self.arrivals[worker * (workers + 1)..(worker + 1) * (workers + 1)];
        let (first, end) = self.senders[worker];
        let (first, end) = (first as usize, end as usize);
        let mut latest: f64 = 0.0;
        let owners = arrivals[first..end].iter().zip(self.before[first..=end].windows(2)).enumerate();
        for (place, (&at, rows)) in owners {
            if rows[0].max(need.start) < rows[1].min(need.end) && first + place != worker {
                latest = latest.max(at);
            }
        }
        latest
    }
}

impl<'a> Costing<'a> {
    /// For one problem; tables fill as they are used.
    pub fn new(problem: &'a Problem<'a>) -> Self {
        let workers = problem.workers();
        let node = |at: usize| if at == workers { Node::Lab } else { Node::Worker(WorkerId::at(at)) };
        let links = (0..=workers)
            .flat_map(|from| (0..=workers).map(move |to| Wire::of(problem.costs.link(node(from), node(to)))))
            .collect();
        let input = &problem.network.input;
        let value_bytes = if input.pixels.is_some() { 1 } else { 4 };
        Self {
            problem,
            spans: Spans::new(problem.network, problem.costs, workers),
            links,
            pieces: (0..workers).map(|worker| problem.costs.piece(worker)).collect(),
            input_row_bytes: input.cut.row_values() * value_bytes,
            workers,
            sends: Vec::new(),
        }
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
        out.units = (0, to);
        out.bounds.copy_from_slice(bounds);
        out.before.clear();
        out.computing.fill(0.0);
        out.sending.fill(0.0);
        let lab = self.workers;
        let mut free = 0.0;
        for worker in 0..self.workers {
            let rows = out.rows(worker);
            (out.need[worker], out.kept[worker]) = (Rows::EMPTY, Rows::EMPTY);
            if rows.is_empty() {
                continue;
            }
            let need = span.need(rows);
            let link = &self.links[lab * (self.workers + 1) + worker];
            free += link.sending_ms(self.input_row_bytes * u64::from(need.len()));
            out.need[worker] = need;
            out.complete[worker] = free + link.delay_ms;
        }
    }

    /// Places the next block, which ends at cut `to`: costs the strips of `state`'s block and sends its rows.
    pub fn step(&mut self, state: &State, to: usize, bounds: &[u32], out: &mut State) {
        let from = state.units.1;
        let span = self.spans.span(from, to);
        out.units = (from, to);
        out.bounds.copy_from_slice(bounds);
        out.before.clear();
        out.before.extend_from_slice(&state.bounds);
        let (mut first, workers) = (0, self.workers);
        for worker in 0..workers {
            let rows = out.rows(worker);
            if rows.is_empty() {
                (out.need[worker], out.kept[worker]) = (Rows::EMPTY, Rows::EMPTY);
                out.senders[worker] = (0, 0);
                continue;
            }
            let need = span.need(rows);
            out.need[worker] = need;
            out.complete[worker] = 0.0;
            out.kept[worker] = need.intersect(state.rows(worker));
            while state.bounds[first + 1] <= need.start {
                first += 1;
            }
            let mut last = first;
            while last < workers && state.bounds[last] < need.end {
                last += 1;
            }
            out.senders[worker] = (first as u32, last as u32);
        }
        self.close(state, Some(out));
    }

    /// When the lab has the output, if `state`'s block is the last, ms.
    pub fn finish(&mut self, state: &State) -> f64 {
        self.close(state, None)
    }

    /// When `worker` would be done with its rows of `state`'s block if nobody waited for any, ms.
    pub(crate) fn done(&self, state: &State, worker: usize) -> f64 {
        if state.rows(worker).is_empty() {
            return state.computing[worker];
        }
        let span = self.spans.known(state.units.0, state.units.1);
        let mut pieces = self.divide(state, span, worker, &[]);
        self.compute(state, span, worker, &mut pieces, &[])
    }

    /// Whether strips of `rows` rows of a span can be computed in pieces, so that transfers are hidden.
    pub(crate) fn hides(&self, from: usize, to: usize, rows: u32) -> bool {
        let (height, inner) = (self.problem.network.cut(to).rows, self.problem.network.cut(to).inner);
        if is_thin(Rows { start: 0, end: rows / 3 }, inner) || rows >= height {
            return false;
        }
        let span = self.spans.known(from, to);
        let start = (height - rows) / 2;
        let work = span.macs(Rows { start, end: start + rows });
        divides_freely(work + span.twice_at(start + 1) + span.twice_at(start + rows - 1), work)
    }

    /// Computes and sends the block of `state`, into `next` or to the lab.
    fn close(&mut self, state: &State, mut next: Option<&mut State>) -> f64 {
        let workers = self.workers;
        let row_bytes = self.problem.network.cut(state.units.1).bytes(1) as f64;
        let mut sends = std::mem::take(&mut self.sends);
        let span = self.spans.known(state.units.0, state.units.1);
        let mut finish: f64 = 0.0;
        // The first worker of the next block whose need reaches beyond the rows of workers before.
        let mut first = 0;
        for worker in 0..workers {
            let rows = state.rows(worker);
            if rows.is_empty() {
                if let Some(next) = &mut next {
                    next.computing[worker] = state.computing[worker];
                    next.sending[worker] = state.sending[worker];
                }
                continue;
            }
            sends.clear();
            if let Some(next) = &next {
                while first < workers && next.need[first].end <= rows.start {
                    first += 1;
                }
                for (to, need) in next.need.iter().enumerate().skip(first) {
                    if need.is_empty() || to == worker {
                        continue;
                    }
                    if need.start >= rows.end {
                        break;
                    }
                    let sent = Rows { start: need.start.max(rows.start), end: need.end.min(rows.end) };
                    if sent.start < sent.end {
                        sends.push(Send { ready: 0.0, to, rows: sent });
                    }
                }
            }
            let mut pieces = self.divide(state, span, worker, &sends);
            if next.is_none() {
                sends.push(Send { ready: 0.0, to: workers, rows });
            }
            let computed = self.compute(state, span, worker, &mut pieces, &sends);
            let Some(next) = &mut next else {
                let link = &self.links[worker * (workers + 1) + workers];
                let sent = state.sending[worker].max(computed)
                    + row_bytes * f64::from(rows.len()) * link.ms_per_byte;
                finish = finish.max(sent + link.delay_ms);
                continue;
            };
            next.computing[worker] = computed;
            next.sending[worker] = state.sending[worker];
            if pieces.count == 1 {
                sends.iter_mut().for_each(|send| send.ready = computed);
            } else {
                pieces.time(&mut sends);
            }
            let links = &self.links[worker * (workers + 1)..];
            for send in &sends {
                let link = &links[send.to];
                let sent = next.sending[worker].max(send.ready)
                    + row_bytes * f64::from(send.rows.len()) * link.ms_per_byte;
                next.sending[worker] = sent;
                let there = sent + link.delay_ms;
                next.arrivals[send.to * (workers + 1) + worker] = there;
                next.complete[send.to] = next.complete[send.to].max(there);
            }
        }
        self.sends = sends;
        finish
    }

    /// The pieces of a strip, as the schedule divides it.
    #[inline]
    fn divide(&self, state: &State, span: &Span, worker: usize, sends: &[Send]) -> Pieces {
        let rows = state.rows(worker);
        let whole = Pieces { rows: [rows, Rows::EMPTY, Rows::EMPTY], done: [0.0; 3], count: 1 };
        let (kept, need) = (state.kept[worker], state.need[worker]);
        let from_neighbours = !state.before.is_empty() && kept != need;
        if sends.is_empty() && !from_neighbours {
            return whole;
        }
        let inner = self.problem.network.cut(state.units.1).inner;
        // Two pieces at least, each of half of the rows at most.
        if is_thin(Rows { start: 0, end: rows.len() / 2 }, inner) {
            return whole;
        }
        // Rows from `head` up to `tail` wait for nobody.
        let (mut head, mut tail) = (rows.start, rows.end);
        if from_neighbours {
            if kept.is_empty() {
                return whole;
            }
            // Most strips wait for a few rows at either end: look there before halving.
            let near = rows.end.min(rows.start + NEAR);
            while head < near && span.lo[head as usize] < kept.start {
                head += 1;
            }
            if head == near && head < tail {
                let starts = &span.lo[head as usize..tail as usize];
                head += starts.partition_point(|&row| row < kept.start) as u32;
            }
            let near = head.max(tail.saturating_sub(NEAR));
            while tail > near && span.hi[tail as usize] > kept.end {
                tail -= 1;
            }
            if tail == near && tail > head {
                let ends = &span.hi[head as usize + 1..tail as usize + 1];
                tail = head + ends.partition_point(|&row| row <= kept.end) as u32;
            }
        }
        let mut start = head;
        for send in sends {
            if send.rows.start <= start && start < send.rows.end {
                start = send.rows.end;
            }
        }
        if start >= tail {
            return whole;
        }
        let after = sends.iter().filter(|send| send.rows.start > start).map(|send| send.rows.start);
        let end = after.fold(tail, u32::min);
        let mut parts = Pieces { count: 0, ..whole };
        let mut twice = 0;
        for part in [Rows { start: rows.start, end: start }, Rows { start: end, end: rows.end }] {
            if part.start < part.end {
                if is_thin(part, inner) {
                    return whole;
                }
                parts.rows[parts.count] = part;
                parts.count += 1;
                twice += span.twice_at(if part.start == end { end } else { start });
            }
        }
        let middle = Rows { start, end };
        parts.rows[parts.count] = middle;
        parts.count += 1;
        if parts.count < 2 || is_thin(middle, inner) {
            return whole;
        }
        let work = span.macs(rows);
        if divides_freely(work + twice, work) { parts } else { whole }
    }

    /// Computes every piece as soon as its input allows; when the last is done.
    #[inline]
    fn compute(&self, state: &State, span: &Span, worker: usize, pieces: &mut Pieces, sends: &[Send]) -> f64 {
        let network = self.problem.network;
        let (row_in, row_out) = (network.cut(state.units.0).bytes(1), network.cut(state.units.1).bytes(1));
        let takes = |rows: Rows, need: Rows| {
            let sent: u32 = sends.iter().map(|send| send.rows.intersect(rows).len()).sum();
            let bytes = (row_in * u64::from(need.len()), row_out * u64::from(sent));
            self.spans.ms(span, worker, rows) + self.pieces[worker].ms(bytes.0, bytes.1)
        };
        let mut now = state.computing[worker];
        if pieces.count == 1 {
            now = now.max(state.complete[worker]) + takes(pieces.rows[0], state.need[worker]);
            pieces.done[0] = now;
            return now;
        }
        let mut at = [f64::INFINITY; 3];
        for (at, &rows) in at.iter_mut().zip(&pieces.rows[..pieces.count]) {
            *at = match state.before.is_empty() {
                true => state.complete[worker],
                false => state.ready(worker, span.need(rows)),
            };
        }
        for _ in 0..pieces.count {
            let ready = at.iter().position(|&at| at <= now);
            let index = ready.unwrap_or_else(|| {
                (0..3).fold(0, |best, other| if at[other] < at[best] { other } else { best })
            });
            now = now.max(at[index]) + takes(pieces.rows[index], span.need(pieces.rows[index]));
            pieces.done[index] = now;
            at[index] = f64::INFINITY;
        }
        now
    }
}

impl Pieces {
    /// Notes when what is sent is computed, and sorts by that.
    #[inline]
    fn time(&self, sends: &mut [Send]) {
        for send in sends.iter_mut() {
            for part in 0..self.count {
                let rows = self.rows[part];
                if rows.start < send.rows.end && send.rows.start < rows.end {
                    send.ready = send.ready.max(self.done[part]);
                }
            }
        }
        for at in 1..sends.len() {
            let mut place = at;
            while place > 0 && sends[place - 1].ready > sends[place].ready {
                sends.swap(place - 1, place);
                place -= 1;
            }
        }
    }
}
