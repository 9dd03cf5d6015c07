//! Where to cut, when the rows of every possible block are given.
//!
//! A dynamic program over cuts under the assumption that all workers wait for the slowest at each cut. Rows
//! are sent directly and the lab gathers the last block, but a plan whose workers run apart is costed too
//! high: the answer is a start, and the simulator has the last word.

use super::costing::{State, later};
use super::draft::Draft;
use super::search::Search;
use crate::rows::Rows;

/// Blocks of more units than this are not tried: their halo is never worth it.
pub(crate) const LONGEST_BLOCK: usize = 24;

/// Mostly not more than so many blocks that end at one cut are looked at.
const SHORT: usize = 8;

/// Who computes a block: the members together, or the fastest of them alone.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Together,
    Alone,
}

#[derive(Clone, Copy)]
struct Best {
    ms: f64,
    from: usize,
    before: Mode,
}

/// The blocks that may end at one cut.
#[derive(Default)]
struct Ending {
    /// By length less one, as far as they were tried: boundaries of the members' rows, `stride` for each block.
    bounds: Vec<u32>,
    /// All rows for the one who may go on alone.
    owner: Vec<u32>,
}

impl Ending {
    /// The boundaries of the block of `length` units.
    fn block(&self, length: usize, mode: Mode) -> &[u32] {
        let stride = self.owner.len();
        match mode {
            Mode::Together => &self.bounds[(length - 1) * stride..length * stride],
            Mode::Alone => &self.owner,
        }
    }
}

/// Rows that a worker's strip needs of its block's input.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    worker: usize,
    rows: Rows,
}

impl Search<'_> {
    /// The best cuts for rows whose boundaries `rule(search, from, to, bounds)` adds to `bounds`; with `may_leave`, `owner` may take over
    /// alone anywhere, without it only what cannot be split is its alone.
    pub(crate) fn best_cuts(
        &mut self,
        owner: usize,
        may_leave: bool,
        mut rule: impl FnMut(&mut Self, usize, usize, &mut Vec<u32>),
    ) -> Draft {
        let (units, workers) = (self.units(), self.problem.workers());
        let modes: &[Mode] = if may_leave { &[Mode::Together, Mode::Alone] } else { &[Mode::Together] };
        let mut endings: Vec<Ending> = Vec::with_capacity(units + 1);
        endings.push(Ending::default());
        let mut best: Vec<[Option<Best>; 2]> = vec![[None; 2]; units + 1];
        // By cut: the least of those, ms.
        let mut soonest = vec![0.0];
        // By cut, then by worker: what the units before it take as blocks of their own, ms.
        let mut apart = vec![0.0; workers];
        let mut asks = Vec::with_capacity(workers);
        let mut state = self.costing.state();
        for to in 1..=units {
            let bounds = Vec::with_capacity(SHORT * (workers + 1));
            endings.push(Ending { owner: self.alone(to, owner), bounds });
            for &mode in modes {
                // Whoever is alone exchanges nothing, so its units may as well be blocks of their own.
                let longest = if mode == Mode::Alone { 1 } else { LONGEST_BLOCK.min(to) };
                for from in (to - longest..to).rev() {
                    // A block that ends where nothing can be split would take what can be split from the others.
                    if !may_leave && !self.shared(to) && (from + 1..to).any(|cut| self.shared(cut)) {
                        break;
                    }
                    self.costing.spans.span(from, to);
                    if mode == Mode::Together {
                        let Ending { bounds, owner } = &mut endings[to];
                        match self.shared(to) {
                            true => rule(self, from, to, bounds),
                            false => bounds.extend_from_slice(owner),
                        }
                        if from + 1 == to {
                            let span = self.costing.spans.known(from, to);
                            for (worker, rows) in bounds.windows(2).enumerate() {
                                let rows = Rows { start: rows[0], end: rows[1] };
                                let ms = if rows.is_empty() {
                                    0.0
                                } else {
                                    self.costing.spans.ms(span, worker, rows)
                                };
                                apart.push(apart[from * workers + worker] + ms);
                            }
                        }
                    }
                    let bounds = endings[to].block(to - from, mode);
                    let last = if to == units { self.gather(bounds) } else { 0.0 };
                    let (slowest, compute) = self.slowest(from, to, bounds);
                    let own = compute + last;
                    let mut known = best[to][mode as usize].map_or(f64::INFINITY, |step| step.ms);
                    // Longer blocks add at least what their units take the slowest as blocks of their own.
                    let least = known - own - apart[from * workers + slowest];
                    let is_late = |at: usize| soonest[at] - apart[at * workers + slowest] >= least;
                    if (to - longest..=from).all(is_late) {
                        break;
                    }
                    asks.clear();
                    for &before in modes {
                        let reached = match (from, best[from][before as usize]) {
                            (0, _) if before == modes[0] && own < known => {
                                self.scatter(to, bounds, &mut state)
                            }
                            (_, Some(step)) if step.ms + own < known => {
                                if asks.is_empty() {
                                    self.asks(from, to, bounds, &mut asks);
                                }
                                let previous = endings[from].block(from - step.from, before);
                                step.ms + self.sent(previous, from, &asks)
                            }
                            _ => continue,
                        };
                        if reached + own < known {
                            known = reached + own;
                            best[to][mode as usize] = Some(Best { ms: known, from, before });
                        }
                    }
                }
            }
            soonest.push(best[to].iter().flatten().map(|step| step.ms).fold(f64::INFINITY, f64::min));
        }
        let ms = |mode: Mode| best[units][mode as usize].map_or(f64::INFINITY, |step| step.ms);
        let mut mode = modes.iter().copied().fold(modes[0], |a, b| if ms(b) < ms(a) { b } else { a });
        let mut steps = Vec::new();
        let mut at = units;
        while let Some(step) = best[at][mode as usize].filter(|_| at > 0) {
            let goes_on = mode == Mode::Alone
                && steps.last().is_some_and(|&(from, _, after)| after == Mode::Alone && from == at);
            match steps.last_mut() {
                Some((from, _, _)) if goes_on => *from = step.from,
                _ => steps.push((step.from, at, mode)),
            }
            (at, mode) = (step.from, step.before);
        }
        let mut draft = Draft::new(workers);
        for &(from, to, mode) in steps.iter().rev() {
            draft.push(to, endings[to].block(to - from, mode));
        }
        draft
    }

    /// Whose strip of a tabulated block is slowest, and its milliseconds.
    pub(crate) fn slowest(&self, from: usize, to: usize, bounds: &[u32]) -> (usize, f64) {
        let spans = &self.costing.spans;
        let span = spans.known(from, to);
        let mut slowest = (0, 0.0);
        for (worker, rows) in bounds.windows(2).enumerate() {
            if rows[0] < rows[1] {
                let ms = spans.ms(span, worker, Rows { start: rows[0], end: rows[1] });
                if ms > slowest.1 {
                    slowest = (worker, ms);
                }
            }
        }
        slowest
    }

    /// Milliseconds until the lab has sent every worker its input.
    fn scatter(&mut self, to: usize, bounds: &[u32], state: &mut State) -> f64 {
        self.costing.open(to, bounds, state);
        state.last_arrival()
    }

    /// Milliseconds until the lab has every worker's rows of the output.
    fn gather(&self, bounds: &[u32]) -> f64 {
        let lab = self.problem.workers();
        let row_bytes = self.problem.network.cut(self.units()).bytes(1);
        let rows = bounds.windows(2).enumerate().filter(|(_, rows)| rows[0] < rows[1]);
        rows.map(|(worker, rows)| {
            let link = self.costing.link(worker, lab);
            link.delay_ms + link.sending_ms(row_bytes * u64::from(rows[1] - rows[0]))
        })
        .fold(0.0, f64::max)
    }

    /// Milliseconds until the slowest sender has sent what block `from..to` lacks of the one before.
    pub(crate) fn exchange(
        &self,
        before: &[u32],
        from: usize,
        to: usize,
        bounds: &[u32],
        asks: &mut Vec<Ask>,
    ) -> f64 {
        self.asks(from, to, bounds, asks);
        self.sent(before, from, asks)
    }

    /// Leaves in `asks` what the strips of a tabulated block need.
    fn asks(&self, from: usize, to: usize, bounds: &[u32], asks: &mut Vec<Ask>) {
        let span = self.costing.spans.known(from, to);
        asks.clear();
        for (worker, rows) in bounds.windows(2).enumerate() {
            if rows[0] < rows[1] {
                asks.push(Ask { worker, rows: Rows { start: span.lo(rows[0]), end: span.hi(rows[1]) } });
            }
        }
    }

    /// Milliseconds until the slowest of the owners `before` cut `cut` has sent what others ask for.
    fn sent(&self, before: &[u32], cut: usize, asks: &[Ask]) -> f64 {
        let row_bytes = self.problem.network.cut(cut).bytes(1) as f64;
        let mut slowest: f64 = 0.0;
        // Needs grow with the worker: whoever needs nothing of one owner any more needs nothing of later ones.
        let mut first = 0;
        for (owner, rows) in before.windows(2).enumerate() {
            let (start, end) = (rows[0], rows[1]);
            if start >= end {
                continue;
            }
            while asks.get(first).is_some_and(|ask| ask.rows.end <= start) {
                first += 1;
            }
            let (mut sending, mut delay) = (0.0, 0.0);
            for ask in &asks[first..] {
                if ask.rows.start >= end {
                    break;
                }
                if ask.worker != owner {
                    let link = self.costing.link(owner, ask.worker);
                    let count = ask.rows.end.min(end) - ask.rows.start.max(start);
                    sending += row_bytes * f64::from(count) * link.ms_per_byte;
                    delay = later(delay, link.delay_ms);
                }
            }
            slowest = later(slowest, sending + delay);
        }
        slowest
    }
}
