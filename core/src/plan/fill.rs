//! Rows for the workers of one block: in fixed proportion, or so that all finish together.

use super::search::Search;
use crate::partition::apportion;
use crate::rows::Rows;

/// Halvings after which the common finish is known to a thousandth of its first bracket.
const HALVINGS: usize = 12;

/// Boundaries for counts of rows.
fn stack(counts: &[u32]) -> Vec<u32> {
    let mut sum = 0;
    let ends = counts.iter().map(|count| {
        sum += count;
        sum
    });
    let mut bounds = Vec::with_capacity(counts.len() + 1);
    bounds.push(0);
    bounds.extend(ends);
    bounds
}

/// What more rows of one block take a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    worker: usize,
    /// When it could have computed no rows at all, ms.
    begin: f64,
    /// Rows per ms.
    rate: f64,
    takes_part: bool,
}

/// Who shares a block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Party<'a> {
    /// The workers, in order.
    pub(crate) members: &'a [usize],
    /// By worker: when it could begin, ms; empty if all could at once.
    pub(crate) ready: &'a [f64],
    /// Who goes on alone, to whom all others send their rows.
    pub(crate) heir: Option<usize>,
}

impl<'a> Party<'a> {
    /// Workers who begin together and go on together.
    pub(crate) fn of(members: &'a [usize]) -> Self {
        Self { members, ..Self::default() }
    }
}

impl Search<'_> {
    /// All rows of cut `end` for `owner`.
    pub(crate) fn alone(&self, end: usize, owner: usize) -> Vec<u32> {
        let rows = self.rows(end);
        (0..=self.problem.workers()).map(|at| if at > owner { rows } else { 0 }).collect()
    }

    /// Rows of cut `end` in proportion to `weights`; for the heaviest alone where it cannot be split.
    pub(crate) fn in_proportion(&self, end: usize, weights: &[f64]) -> Vec<u32> {
        if self.shared(end) {
            return stack(&apportion(self.rows(end), weights));
        }
        let heaviest = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(b.cmp(&a)));
        self.alone(end, heaviest.unwrap_or(0))
    }

    /// Rows of the block `from..to` such that workers with a positive weight, each beginning at its own
    /// time `ready` (ms), are done as early as possible. Exact for one block when costs grow with rows.
    pub(crate) fn level(&mut self, from: usize, to: usize, weights: &[f64], ready: &[f64]) -> Vec<u32> {
        let first = self.in_proportion(to, weights);
        if !self.shared(to) {
            return first;
        }
        self.costing.spans.span(from, to);
        let finish = |bounds: &[u32]| {
            let done = bounds.windows(2).enumerate().filter(|(_, rows)| rows[0] < rows[1]);
            done.map(|(worker, rows)| ready[worker] + self.strip(from, to, worker, rows[0], rows[1]))
                .fold(0.0, f64::max)
        };
        let mut best = first;
        let mut high = finish(&best);
        let mut low = 0.0;
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            match self.within(from, to, weights, ready, middle) {
                Some(bounds) => {
                    high = finish(&bounds).min(middle);
                    best = bounds;
                }
                None => low = middle,
            }
        }
        best
    }

    /// Moves `bounds` of the block `from..to` to where `party` would be done together, the lab's gathering of
    /// a last block included, if strips took what a line through the present ones says. Members whose halo and
    /// calls alone take longer get no rows.
    ///
    /// Two calls come close to [`Search::level`] at a twentieth of its cost.
    pub(crate) fn balance(
        &self,
        from: usize,
        to: usize,
        party: &Party<'_>,
        bounds: &mut [u32],
        lines: &mut Vec<Line>,
    ) {
        let (spans, rows) = (&self.costing.spans, self.rows(to));
        let span = spans.known(from, to);
        let lab = self.problem.workers();
        let row_bytes = self.problem.network.cut(to).bytes(1);
        lines.clear();
        for &worker in party.members {
            let (start, end) = (bounds[worker], bounds[worker + 1]);
            let model = if start < end { Rows { start, end } } else { Rows { start: 0, end: rows } };
            let (mut slope, mut begin) = spans.pace(span, worker).line(model);
            begin += party.ready.get(worker).copied().unwrap_or(0.0);
            let receiver = if to == self.units() { Some(lab) } else { party.heir };
            if let Some(receiver) = receiver.filter(|&receiver| receiver != worker) {
                let link = self.costing.link(worker, receiver);
                slope += link.sending_ms(row_bytes);
                begin += link.delay_ms;
            }
            lines.push(Line { worker, begin, rate: 1.0 / slope.max(1e-12), takes_part: true });
        }
        let mut finish;
        loop {
            let part = lines.iter().filter(|line| line.takes_part);
            let (rate, ahead) =
                part.fold((0.0, 0.0), |sum, line| (sum.0 + line.rate, sum.1 + line.rate * line.begin));
            finish = (f64::from(rows) + ahead) / rate;
            let late = lines.iter_mut().filter(|line| line.takes_part && line.begin >= finish);
            let left = late.map(|line| line.takes_part = false).count();
            if left == 0 {
                break;
            }
        }
        let (mut sum, mut at) = (0.0, 0);
        for worker in 0..lab {
            if let Some(line) = lines.get(at).filter(|line| line.worker == worker) {
                sum += if line.takes_part { (finish - line.begin) * line.rate } else { 0.0 };
                at += 1;
            }
            bounds[worker + 1] = ((sum + 0.5) as u32).min(rows);
        }
        bounds[lab] = rows;
        // Rounding must not leave the last rows to somebody who takes no part.
        let last = lines.iter().rev().find(|line| line.takes_part).map_or(lab - 1, |line| line.worker);
        bounds[last + 1..].fill(rows);
    }

    /// Balanced rows of the block `from..to`, which can be shared, for `party`.
    pub(crate) fn levelled(&mut self, from: usize, to: usize, party: &Party<'_>) -> Vec<u32> {
        self.costing.spans.span(from, to);
        let mut bounds = self.in_proportion(to, &self.weights(party.members));
        let mut lines = Vec::with_capacity(party.members.len());
        for _ in 0..2 {
            self.balance(from, to, party, &mut bounds, &mut lines);
        }
        bounds
    }

    /// Boundaries with which every worker is done by `limit` ms, if there are.
    fn within(&self, from: usize, to: usize, weights: &[f64], ready: &[f64], limit: f64) -> Option<Vec<u32>> {
        let rows = self.rows(to);
        let mut bounds = Vec::with_capacity(weights.len() + 1);
        bounds.push(0);
        let mut start = 0;
        for worker in 0..weights.len() {
            if weights[worker] > 0.0 && start < rows {
                let time = limit - ready[worker];
                let fits = |end: u32| self.strip(from, to, worker, start, end) <= time;
                // The largest end that fits: `low` does (or is no row at all), `high` does not. The first guess
                // is by a line; then the bracket grows and is halved.
                let spans = &self.costing.spans;
                let pace = spans.pace(spans.known(from, to), worker);
                let (slope, begin) = pace.line(Rows { start, end: rows });
                let guess =
                    start + ((time - begin) / slope.max(1e-12)).clamp(0.0, f64::from(rows - start)) as u32;
                let (mut low, mut high) = (start, rows + 1);
                let mut step = 1;
                if guess > start && fits(guess) {
                    low = guess;
                    while low + step < high {
                        if fits(low + step) {
                            low += step;
                            step *= 2;
                        } else {
                            high = low + step;
                        }
                    }
                } else if guess > start {
                    high = guess;
                    while high > low + step {
                        if fits(high - step) {
                            low = high - step;
                        } else {
                            high -= step;
                            step *= 2;
                        }
                    }
                }
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    if fits(middle) { low = middle } else { high = middle }
                }
                start = low;
            }
            bounds.push(start);
        }
        (start == rows).then_some(bounds)
    }

    /// Milliseconds of a strip of a span that is tabulated.
    #[inline]
    pub(crate) fn strip(&self, from: usize, to: usize, worker: usize, start: u32, end: u32) -> f64 {
        let spans = &self.costing.spans;
        spans.ms(spans.known(from, to), worker, Rows { start, end })
    }
}
