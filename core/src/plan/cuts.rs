//! Where to cut, when the rows of every possible block are given.
//!
//! A dynamic program over cuts under the assumption that all workers wait for the slowest at each cut. Rows
//! are sent directly and the lab gathers the last block, but a plan whose workers run apart is costed too
//! high: the answer is a start, and the simulator has the last word.

use super::costing::State;
use super::draft::Draft;
use super::search::Search;

/// Blocks of more units than this are not tried: their halo is never worth it.
pub(crate) const LONGEST_BLOCK: usize = 24;

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

/// The blocks that may end at one cut, by length less one.
#[derive(Default)]
struct Ending {
    /// Boundaries of the members' rows, `stride` for each block, and what the slowest strip takes, ms.
    bounds: Vec<u32>,
    together: Vec<f64>,
    alone: Vec<f64>,
    owner: Vec<u32>,
}

impl Ending {
    /// The boundaries and the slowest strip of the block of `length` units.
    fn block(&self, length: usize, mode: Mode) -> (&[u32], f64) {
        let stride = self.owner.len();
        match mode {
            Mode::Together => {
                (&self.bounds[(length - 1) * stride..length * stride], self.together[length - 1])
            }
            Mode::Alone => (&self.owner, self.alone[length - 1]),
        }
    }
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
        let units = self.units();
        let modes: &[Mode] = if may_leave { &[Mode::Together, Mode::Alone] } else { &[Mode::Together] };
        let mut endings: Vec<Ending> = Vec::with_capacity(units + 1);
        endings.push(Ending::default());
        let mut best: Vec<[Option<Best>; 2]> = vec![[None; 2]; units + 1];
        let mut state = self.costing.state();
        for to in 1..=units {
            let mut ending = Ending { owner: self.alone(to, owner), ..Ending::default() };
            let stride = ending.owner.len();
            for from in (to.saturating_sub(LONGEST_BLOCK)..to).rev() {
                self.costing.spans.span(from, to);
                match self.shared(to) {
                    true => rule(self, from, to, &mut ending.bounds),
                    false => ending.bounds.extend_from_slice(&ending.owner),
                }
                let bounds = &ending.bounds[ending.bounds.len() - stride..];
                ending.together.push(self.slowest(from, to, bounds));
                ending.alone.push(self.slowest(from, to, &ending.owner));
            }
            endings.push(ending);
            // The shortest blocks first: they rule out most others before what they exchange is counted.
            for from in (to.saturating_sub(LONGEST_BLOCK)..to).rev() {
                // A block that ends where nothing can be split would take what can be split from the others.
                if !may_leave && !self.shared(to) && (from + 1..to).any(|cut| self.shared(cut)) {
                    continue;
                }
                for &mode in modes {
                    let (bounds, compute) = endings[to].block(to - from, mode);
                    let last = if to == units { self.gather(bounds) } else { 0.0 };
                    let own = compute + last;
                    for &before in modes {
                        let known = best[to][mode as usize].map_or(f64::INFINITY, |step| step.ms);
                        let reached = match (from, best[from][before as usize]) {
                            (0, _) if before == modes[0] => self.scatter(to, bounds, &mut state),
                            (_, Some(step)) if step.ms + own < known => {
                                let (previous, _) = endings[from].block(from - step.from, before);
                                step.ms + self.exchange(previous, from, to, bounds)
                            }
                            _ => continue,
                        };
                        if reached + own < known {
                            best[to][mode as usize] = Some(Best { ms: reached + own, from, before });
                        }
                    }
                }
            }
        }
        let ms = |mode: Mode| best[units][mode as usize].map_or(f64::INFINITY, |step| step.ms);
        let mut mode = modes.iter().copied().fold(modes[0], |a, b| if ms(b) < ms(a) { b } else { a });
        let mut steps = Vec::new();
        let mut at = units;
        while let Some(step) = best[at][mode as usize].filter(|_| at > 0) {
            steps.push((step.from, at, mode));
            (at, mode) = (step.from, step.before);
        }
        let mut draft = Draft::new(self.problem.workers());
        for &(from, to, mode) in steps.iter().rev() {
            draft.push(to, endings[to].block(to - from, mode).0);
        }
        draft
    }

    /// Milliseconds of the slowest strip of a tabulated block.
    pub(crate) fn slowest(&self, from: usize, to: usize, bounds: &[u32]) -> f64 {
        let strips = bounds.windows(2).enumerate().filter(|(_, rows)| rows[0] < rows[1]);
        strips.map(|(worker, rows)| self.strip(from, to, worker, rows[0], rows[1])).fold(0.0, f64::max)
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
    pub(crate) fn exchange(&self, before: &[u32], from: usize, to: usize, bounds: &[u32]) -> f64 {
        let span = self.costing.spans.known(from, to);
        let row_bytes = self.problem.network.cut(from).bytes(1);
        let workers = self.problem.workers();
        let mut slowest: f64 = 0.0;
        let has_rows = |worker: &usize| bounds[*worker] < bounds[*worker + 1];
        // Needs grow with the worker: whoever needs nothing of one owner any more needs nothing of later ones.
        let mut first = 0;
        for owner in (0..workers).filter(|&owner| before[owner] < before[owner + 1]) {
            let needs_none = |at: usize| !has_rows(&at) || span.hi(bounds[at + 1]) <= before[owner];
            while first < workers && needs_none(first) {
                first += 1;
            }
            let mut sending = 0.0;
            let mut delay: f64 = 0.0;
            for worker in (first..workers).filter(has_rows) {
                let start = span.lo(bounds[worker]).max(before[owner]);
                let end = span.hi(bounds[worker + 1]).min(before[owner + 1]);
                if start >= before[owner + 1] {
                    break;
                }
                if worker != owner {
                    let link = self.costing.link(owner, worker);
                    sending += link.sending_ms(row_bytes * u64::from(end - start));
                    delay = delay.max(link.delay_ms);
                }
            }
            slowest = slowest.max(sending + delay);
        }
        slowest
    }
}
