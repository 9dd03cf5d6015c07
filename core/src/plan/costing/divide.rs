//! Into which pieces strips are cut, and what is sent of them: the rules of [`Schedule`] on tables.
//!
//! [`Schedule`]: crate::schedule::Schedule

use super::Costing;
use super::state::{Job, Layout, Parcel, Strip, Way};
use crate::plan::spans::{Ends, Pace, Span};
use crate::predict::PieceCost;
use crate::rows::Rows;
use crate::schedule::divides_freely;

impl Strip {
    /// Becomes `rows` of `span`; `owned` are the rows that the worker has of the block before, all if the lab
    /// sends them.
    #[inline(always)]
    pub(super) fn place(&mut self, span: &Span, rows: Rows, owned: Rows) {
        self.rows = rows;
        if rows.is_empty() {
            self.need = Rows::EMPTY;
            return;
        }
        let need = span.need(rows);
        let free = span.within(rows, need.intersect(owned));
        self.need = need;
        self.free = free;
        self.above_end = span.hi(free.start);
        self.below_start = span.lo(free.end);
    }

    /// By which way rows `sent` of its input come from `sender`, before or after `own` in the fleet.
    #[inline(always)]
    fn way(&self, sent: Rows, sender: usize, own: usize) -> Way {
        match sender < own {
            true if sent.start >= self.above_end => Way::AboveGap,
            true => Way::Above,
            false if sent.end <= self.below_start => Way::BelowGap,
            false => Way::Below,
        }
    }
}

/// A block whose strips are cut into pieces.
#[derive(Clone, Copy)]
pub(super) struct Cutter<'a> {
    pub(super) span: &'a Span,
    /// The lab sends its input.
    pub(super) first: bool,
    /// The lab gathers its output. It waits for no rows in particular, so it does not decide how strips are cut.
    pub(super) last: bool,
    /// Rows that a piece must have, at least.
    pub(super) least: u32,
    /// Bytes of a row of its input and of its output.
    pub(super) row_bytes: (f64, f64),
}

/// What a piece takes one worker.
struct Rate<'a> {
    pace: Pace<'a>,
    call_ms: f64,
    /// For every row of its input, and for every row that is sent, ms.
    in_ms: f64,
    out_ms: f64,
}

/// Where a strip is cut.
struct Cut {
    /// The rows between the upper and the lower piece.
    middle: Rows,
    /// The first parcel of the lower piece.
    turn: usize,
    /// Rows sent of the upper piece.
    sent: u32,
}

/// Where a piece begins or ends.
#[derive(Clone, Copy)]
struct Mark {
    row: u32,
    need: Ends<u32>,
    ms: Ends<f64>,
}

impl Cutter<'_> {
    /// Leaves in `job` how `strip` is computed by a worker of `pace`, when `parcels` of it, of `sent` rows, are sent.
    #[inline(always)]
    pub(super) fn divide(
        &self,
        strip: &Strip,
        pace: Pace<'_>,
        piece: &PieceCost,
        parcels: &[Parcel],
        sent: u32,
        job: &mut Job,
    ) {
        let rate = Rate {
            pace,
            call_ms: piece.call_ms,
            in_ms: piece.in_ms * self.row_bytes.0,
            out_ms: piece.out_ms * self.row_bytes.1,
        };
        let Some(Cut { middle, turn, sent: above }) = self.middle(strip, parcels) else {
            job.ms = [
                self.ms(&rate, self.mark(&rate, strip.rows.start), self.mark(&rate, strip.rows.end), sent),
                0.0,
                0.0,
            ];
            job.waits_for_all = true;
            job.turn = parcels.len();
            return;
        };
        let Rows { start, end } = strip.rows;
        let (first, last) = (self.mark(&rate, middle.start), self.mark(&rate, middle.end));
        let mut ms = [0.0, 0.0, self.ms(&rate, first, last, 0)];
        if start < middle.start {
            ms[0] = self.ms(&rate, self.mark(&rate, start), first, above);
        }
        if middle.end < end {
            ms[1] = self.ms(&rate, last, self.mark(&rate, end), sent - above);
        }
        job.ms = ms;
        job.waits_for_all = self.first;
        job.skips_above = middle.start == strip.free.start;
        job.skips_below = middle.end == strip.free.end;
        job.turn = turn;
    }

    /// What the tables say of strips that begin or end at `row`.
    #[inline(always)]
    fn mark(&self, rate: &Rate<'_>, row: u32) -> Mark {
        Mark { row, need: self.span.need_at(row), ms: rate.pace.at(row) }
    }

    /// Milliseconds of a piece of which so many rows are sent to other workers.
    #[inline(always)]
    fn ms(&self, rate: &Rate<'_>, start: Mark, end: Mark, sent: u32) -> f64 {
        let sent = if self.last { end.row - start.row } else { sent };
        let carried = rate.in_ms * f64::from(end.need.hi - start.need.lo) + rate.out_ms * f64::from(sent);
        rate.pace.between(start.ms, end.ms) + rate.call_ms + carried
    }

    /// The rows that wait for nobody and for which nobody waits, if computing them apart is nearly free.
    ///
    /// Parcels are in the order of their first rows.
    #[inline(always)]
    fn middle(&self, strip: &Strip, parcels: &[Parcel]) -> Option<Cut> {
        let (rows, free) = (strip.rows, strip.free);
        // Two pieces at least, each of half of the rows at most.
        if rows.len() / 2 < self.least {
            return None;
        }
        let (mut middle, mut turn, mut sent) = (free, 0, 0);
        for parcel in parcels {
            if parcel.start > middle.start {
                middle.end = middle.end.min(parcel.start);
                break;
            }
            middle.start = middle.start.max(parcel.start + parcel.count);
            turn += 1;
            sent += parcel.count;
        }
        let (upper, lower) = (middle.start - rows.start, rows.end - middle.end);
        if upper + lower == 0 || middle.is_empty() || middle.len() < self.least {
            return None;
        }
        let is_thin = |part: u32| part > 0 && part < self.least;
        if is_thin(upper) || is_thin(lower) {
            return None;
        }
        let twice = |part: u32, row: u32| if part == 0 { 0.0 } else { self.span.twice_at(row) };
        let work = self.span.macs(rows);
        let extra = twice(upper, middle.start) + twice(lower, middle.end);
        divides_freely(work + extra, work).then_some(Cut { middle, turn, sent })
    }
}

impl Costing<'_> {
    /// Fills in how the block of `before` is computed and sent for the strips of `after`.
    pub(super) fn link_up(&self, before: &Layout, after: &mut Layout) {
        let cutter = self.cutter(before.units);
        let row_bytes = cutter.row_bytes.1;
        let Layout { strips, jobs, parcels, .. } = after;
        // The first worker whose need reaches beyond the rows of workers before.
        let mut first = 0;
        let mut end = 0;
        let lateness = self.lateness(before);
        for ((worker, strip), job) in before.strips.iter().enumerate().zip(jobs) {
            let rows = strip.rows;
            if rows.is_empty() {
                *job = Job { turn: end, end, ..Job::default() };
                continue;
            }
            let (begin, mut all) = (end, 0);
            while strips.get(first).is_some_and(|next| next.need.end <= rows.start) {
                first += 1;
            }
            let links = &self.links[worker * (self.workers + 1)..][..strips.len()];
            // By place: iterators in step cost more than what is done here.
            for to in first..strips.len() {
                let next = &strips[to];
                if next.need.start >= rows.end {
                    break;
                }
                let sent = Rows { start: next.need.start.max(rows.start), end: next.need.end.min(rows.end) };
                if sent.start < sent.end && to != worker {
                    if end == parcels.len() {
                        parcels.push(Parcel::default());
                    }
                    // Field by field: a parcel put together elsewhere and copied costs more than all of the rest.
                    let parcel = &mut parcels[end];
                    parcel.to = to as u32;
                    parcel.way = next.way(sent, worker, to);
                    parcel.start = sent.start;
                    parcel.count = sent.end - sent.start;
                    all += parcel.count;
                    parcel.sending_ms = row_bytes * f64::from(sent.end - sent.start) * links[to].ms_per_byte;
                    parcel.delay_ms = links[to].delay_ms;
                    end += 1;
                }
            }
            let pace = self.spans.pace(cutter.span, worker);
            cutter.divide(strip, pace, &self.pieces[worker], &parcels[begin..end], all, job);
            job.late_ms = lateness.ms(job.ms.iter().sum());
            job.turn += begin;
            job.end = end;
        }
    }
}
