//! What it takes to place strips of a span, beside its tables. Most spans are never placed, so it is made when one is.

use std::sync::Arc;

use super::{Ends, Span, Spans, Tables};
use crate::predict::{CutCost, PieceCost};
use crate::rows::Rows;
use crate::schedule::{divides_freely, least_rows};

/// In place of the number of a ground that was not asked for yet.
pub(super) const UNPLACED: u32 = u32::MAX;

/// Milliseconds by row of the output.
type ByRow = Arc<[Ends<f64>]>;

/// What a piece of one span takes one worker.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Of workers like it, by row of the output, what is read of the input and written of the output included, ms.
    ms: ByRow,
    /// How much slower it is than those.
    scale: f64,
    /// Whatever its rows, ms.
    fixed_ms: f64,
    /// For every row that is sent, ms.
    out_ms: f64,
}

/// A span with all that placing strips on it takes.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    needs: Arc<[Ends<u32>]>,
    reach: Arc<[Ends<u32>]>,
    rates: Arc<[Rate]>,
    tables: Arc<Tables>,
    fixed_macs: f64,
    /// Strips of as many multiply-accumulates may be cut in pieces anywhere; 0 if nothing is done twice.
    ample: f64,
    /// Rows that a piece must have, at least.
    pub(crate) least: u32,
    pub(crate) output_row_bytes: f64,
    /// Between what two neighbouring rows need there are rows that neither does.
    pub(crate) has_gaps: bool,
    /// The lab sends its input.
    pub(crate) first: bool,
    /// The lab gathers its output. It waits for no rows in particular, so it does not decide how strips are cut.
    pub(crate) last: bool,
}

impl Spans<'_> {
    /// The number of the ground of units `from..to`, which must not be empty.
    #[inline]
    pub(crate) fn place(&mut self, from: usize, to: usize) -> usize {
        let at = from * self.columns.len() + to - 1;
        match self.places[at] {
            UNPLACED => self.prepare(at, from, to),
            place => place as usize,
        }
    }

    /// The ground with a number that [`Spans::place`] gave.
    #[inline]
    pub(crate) fn ground(&self, place: usize) -> &Ground {
        &self.grounds[place]
    }

    #[cold]
    fn prepare(&mut self, at: usize, from: usize, to: usize) -> usize {
        self.span(from, to);
        let ground = self.make_ground(from, to);
        self.places[at] = self.grounds.len() as u32;
        self.grounds.push(ground);
        self.grounds.len() - 1
    }

    fn make_ground(&self, from: usize, to: usize) -> Ground {
        let span = self.known(from, to);
        let (input, output) = (self.network.cut(from), self.network.cut(to));
        let bytes = (input.bytes(1) as f64, output.bytes(1) as f64);
        let inner = &span.needs[1..span.needs.len() - 1];
        Ground {
            needs: Arc::clone(&span.needs),
            reach: span.reached(input.rows),
            rates: self.rates(span, bytes),
            tables: Arc::clone(&span.tables),
            fixed_macs: span.fixed_macs,
            ample: span.ample(),
            least: least_rows(output.inner),
            output_row_bytes: bytes.1,
            has_gaps: !span.constant && inner.iter().any(|ends| ends.hi < ends.lo),
            first: from == 0,
            last: to == self.network.units.len(),
        }
    }

    /// By worker: what pieces of `span` take, a row of whose input and output is so many bytes.
    fn rates(&self, span: &Span, bytes: (f64, f64)) -> Arc<[Rate]> {
        // Classes, and how much a row of the input and one of the output take beside their layers.
        let mut known: Vec<(usize, (f64, f64), ByRow)> = Vec::new();
        let rate = |(&(class, scale), (at_cuts, piece)): (&(usize, f64), &(CutCost, PieceCost))| {
            let row_ms =
                ((at_cuts.read_ms + piece.in_ms) * bytes.0 / scale, at_cuts.write_ms * bytes.1 / scale);
            let ms = match known.iter().find(|other| (other.0, other.1) == (class, row_ms)) {
                Some(other) => Arc::clone(&other.2),
                None => {
                    let ms = span.with_ends(class, row_ms);
                    known.push((class, row_ms, Arc::clone(&ms)));
                    ms
                }
            };
            let fixed_ms = scale * span.fixed_ms[class] + piece.call_ms;
            Rate { ms, scale, fixed_ms, out_ms: piece.out_ms * bytes.1 }
        };
        self.workers.iter().zip(&self.pieces).map(rate).collect()
    }
}

impl Span {
    /// By row of the output, what strips take `class` if every row that they read takes `row_ms.0` beside their layers and
    /// every row that they write `row_ms.1`.
    fn with_ends(&self, class: usize, row_ms: (f64, f64)) -> ByRow {
        let layers = &self.tables.ms[class];
        if row_ms == (0.0, 0.0) {
            return Arc::clone(layers);
        }
        let with = |((ms, need), row): ((&Ends<f64>, &Ends<u32>), u32)| {
            let written = row_ms.1 * f64::from(row);
            Ends {
                lo: ms.lo + row_ms.0 * f64::from(need.lo) + written,
                hi: ms.hi + row_ms.0 * f64::from(need.hi) + written,
            }
        };
        layers.iter().zip(self.needs.iter()).zip(0..).map(with).collect()
    }

    /// [`Ground::reach`] for an input of so many rows, from the needs.
    fn reached(&self, inputs: u32) -> Arc<[Ends<u32>]> {
        let (rows, inputs) = (self.needs.len() as u32 - 1, inputs as usize);
        let mut reach = vec![Ends { lo: rows, hi: rows }; inputs + 1];
        if self.constant {
            reach[..=self.lo(0) as usize].iter_mut().for_each(|reach| reach.lo = 0);
            reach[..self.hi(rows) as usize].iter_mut().for_each(|reach| reach.hi = 0);
            return reach.into();
        }
        let (mut lo, mut hi) = (0, 0);
        for row in 0..rows {
            let need = Ends { lo: self.lo(row) as usize, hi: self.hi(row + 1) as usize };
            while lo <= need.lo.min(inputs) {
                reach[lo].lo = row;
                lo += 1;
            }
            while hi < need.hi.min(inputs) {
                reach[hi].hi = row;
                hi += 1;
            }
        }
        reach.into()
    }

    /// Multiply-accumulates from which on two cuts add too few to matter.
    fn ample(&self) -> f64 {
        let most = 2.0 * (self.fixed_macs + self.tables.most_twice);
        let mut work = most;
        while !divides_freely(work + most, work) {
            work *= 1.25;
        }
        // The rounding of sums must not decide.
        1.001 * work
    }
}

impl Ground {
    /// By row of the output: what strips that begin or end there need of the input.
    #[inline(always)]
    pub(crate) fn needs(&self) -> &[Ends<u32>] {
        &self.needs
    }

    /// By row of the input: the first output row of which strips that begin there need no row before, and the end
    /// of those that need none from it on.
    #[inline(always)]
    pub(crate) fn reach(&self) -> &[Ends<u32>] {
        &self.reach
    }

    /// By worker: what pieces take.
    #[inline(always)]
    pub(crate) fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// Whether strip `rows` may be cut before each of the rows `cuts` that is not an end of it.
    #[inline(always)]
    pub(crate) fn divides(&self, rows: Rows, cuts: Rows) -> bool {
        // Where nothing is done twice the work need not be known.
        if self.ample <= 0.0 {
            return true;
        }
        let work = self.tables.macs(self.fixed_macs, rows);
        if work >= self.ample {
            return true;
        }
        let twice =
            |row: u32, end: u32| if row == end { 0.0 } else { self.tables.twice_at(self.fixed_macs, row) };
        divides_freely(work + twice(cuts.start, rows.start) + twice(cuts.end, rows.end), work)
    }
}

impl Rate {
    /// What strips that begin or end at `row` of the output take off and add, ms of workers like it.
    #[inline(always)]
    pub(crate) fn at(&self, row: u32) -> Ends<f64> {
        self.ms[row as usize]
    }

    /// Milliseconds of a piece between two places of [`Rate::at`] of which so many rows are sent.
    #[inline(always)]
    pub(crate) fn ms(&self, start: Ends<f64>, end: Ends<f64>, sent: f64) -> f64 {
        self.unsent_ms(start, end) + self.out_ms * sent
    }

    /// The same if nothing is sent.
    #[inline(always)]
    pub(crate) fn unsent_ms(&self, start: Ends<f64>, end: Ends<f64>) -> f64 {
        self.scale * (end.hi - start.lo) + self.fixed_ms
    }
}
