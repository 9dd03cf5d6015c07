//! Into which pieces strips are cut, and what is sent of them: the rules of [`Schedule`] on tables.
//!
//! [`Schedule`]: crate::schedule::Schedule

use super::state::{Job, Layout, NOBODY, Parcel, Strip, Way};
use super::{Costing, Wire};
use crate::plan::spans::{Ends, Ground, Rate};
use crate::predict::Lateness;
use crate::rows::Rows;

/// Where one worker's rows end and the next one's begin.
struct Edge {
    row: u32,
    /// What strips need of the input that begin or end there.
    need: Ends<u32>,
    /// Where the one's rows of the input end, and what strips that begin or end with those reach.
    owned: u32,
    reach: Ends<u32>,
}

impl Layout {
    /// Becomes the block of `ground` with `bounds`; `before` are those of the block before, none if the lab sends its
    /// input.
    #[inline(always)]
    pub(super) fn place(&mut self, ground: &Ground, bounds: &[u32], before: Option<&[u32]>) {
        self.bounds.copy_from_slice(bounds);
        self.has_gaps = ground.has_gaps;
        let (needs, reach) = (ground.needs(), ground.reach());
        // Of a first block everything is free: what the lab sends counts as a worker's own.
        let edge = |row: u32, owned: u32| Edge {
            row,
            need: needs[row as usize],
            owned,
            reach: if before.is_some() { reach[owned as usize] } else { Ends::default() },
        };
        let owned = before.unwrap_or(bounds);
        let mut edges = bounds.iter().zip(owned).map(|(&row, &owned)| edge(row, owned));
        let mut strips = self.strips.iter_mut();
        let mut owners = 0;
        let Some(mut start) = edges.next() else { return };
        for (worker, end) in edges.enumerate() {
            if start.row < end.row {
                let Some(strip) = strips.next() else { break };
                let rows = Rows { start: start.row, end: end.row };
                let need = Rows { start: start.need.lo, end: end.need.hi };
                let mut free = rows;
                if before.is_some() && start.owned > need.start {
                    free.start = start.reach.lo;
                }
                if before.is_some() && end.owned < need.end {
                    free.end = end.reach.hi;
                }
                (strip.worker, strip.rows, strip.need, strip.free) = (worker as u32, rows, need, free);
                owners += 1;
            }
            start = end;
        }
        self.owners = owners;
        // Beyond the last owner is the lab, which needs nothing.
        let lab = &mut self.strips[owners];
        (lab.worker, lab.need.start) = (bounds.len() as u32 - 1, u32::MAX);
        if ground.has_gaps {
            for strip in &mut self.strips[..owners] {
                strip.above_end = needs[strip.free.start as usize].hi;
                strip.below_start = needs[strip.free.end as usize].lo;
            }
        }
    }
}

impl Strip {
    /// By which way rows `sent` of its input come from `sender`, another worker.
    #[inline(always)]
    fn way(&self, sent: Rows, sender: u32, has_gaps: bool) -> Way {
        match (sender < self.worker, has_gaps) {
            (true, true) if sent.start >= self.above_end => Way::AboveGap,
            (true, _) => Way::Above,
            (false, true) if sent.end <= self.below_start => Way::BelowGap,
            (false, _) => Way::Below,
        }
    }
}

/// What others want of a strip.
#[derive(Clone, Copy)]
struct Wanted {
    /// Rows that nobody waits for and that wait for nobody, if it ends after it begins.
    middle: Rows,
    /// How many rows before it are sent, and how many after it, counted once for each receiver.
    above: f64,
    below: f64,
}

impl Wanted {
    /// Nothing yet of a strip.
    #[inline(always)]
    fn nothing(strip: &Strip) -> Self {
        Self { middle: strip.free, above: 0.0, below: 0.0 }
    }

    /// Somebody wants rows `sent`, which begin no earlier than those wanted before; whether that is above the middle.
    #[inline(always)]
    fn add(&mut self, sent: Rows) -> bool {
        let count = f64::from(sent.end - sent.start);
        let is_above = sent.start <= self.middle.start;
        if is_above {
            self.middle.start = self.middle.start.max(sent.end);
            self.above += count;
        } else {
            self.middle.end = self.middle.end.min(sent.start);
            self.below += count;
        }
        is_above
    }
}

impl Job {
    /// Becomes `strip`, computed at `rate`, of which others want so much; the lab all if it `gathers`.
    #[inline(always)]
    fn divide(&mut self, ground: &Ground, strip: &Strip, rate: &Rate, wanted: &Wanted, gathers: bool) {
        let Rows { start, end } = strip.rows;
        let (first, last) = (rate.at(start), rate.at(end));
        let Wanted { middle, above, below } = *wanted;
        if !splits(ground, strip.rows, middle) {
            let all = if gathers { f64::from(end - start) } else { above + below };
            self.ms = [rate.ms(first, last, all), 0.0, 0.0];
            (self.waits_for_all, self.skips_above, self.skips_below) = (true, false, false);
            return;
        }
        self.waits_for_all = ground.first;
        if ground.has_gaps {
            self.skips_above = middle.start == strip.free.start;
            self.skips_below = middle.end == strip.free.end;
        }
        let (upper, lower) = (rate.at(middle.start), rate.at(middle.end));
        let sent = |wanted, rows| if gathers { f64::from(rows) } else { wanted };
        let mut ms = [0.0, 0.0, rate.unsent_ms(upper, lower)];
        if gathers {
            ms[2] = rate.ms(upper, lower, f64::from(middle.len()));
        }
        if start < middle.start {
            ms[0] = rate.ms(first, upper, sent(above, middle.start - start));
        }
        if middle.end < end {
            ms[1] = rate.ms(lower, last, sent(below, end - middle.end));
        }
        self.ms = ms;
    }
}

/// Whether computing `middle` of a strip's `rows` apart is nearly free.
#[inline(always)]
fn splits(ground: &Ground, rows: Rows, middle: Rows) -> bool {
    // A middle that is empty may end before it begins.
    if middle.end < middle.start + ground.least || middle == rows {
        return false;
    }
    // None or enough: less than nothing is the most there is.
    let is_thin = |part: u32| part.wrapping_sub(1) < ground.least - 1;
    let thin = ground.least > 1 && (is_thin(middle.start - rows.start) || is_thin(rows.end - middle.end));
    !thin && ground.divides(rows, middle)
}

impl Costing<'_> {
    /// How `strip` is computed if nobody but the lab wants any of it.
    pub(super) fn alone(&self, ground: &Ground, strip: &Strip) -> Job {
        let mut job = Job { worker: strip.worker, ..Job::default() };
        job.divide(
            ground,
            strip,
            &ground.rates()[strip.worker as usize],
            &Wanted::nothing(strip),
            ground.last,
        );
        job
    }

    /// Fills in how the block of `before` is computed and sent for the strips of `after`.
    pub(super) fn link_up(&self, before: &Layout, after: &mut Layout) {
        let ground = self.spans.ground(before.place);
        let lateness = self.lateness(before);
        (after.senders, after.sent_has_gaps) = (before.owners, ground.has_gaps);
        after.is_near = self.link_near(ground, &lateness, before, after);
        if !after.is_near {
            self.link_any(ground, &lateness, before, after);
        }
    }

    /// Does so if the same workers own both blocks and exchange rows with those next to them only, as mostly they do;
    /// else says no.
    #[inline(always)]
    fn link_near(&self, ground: &Ground, lateness: &Lateness, before: &Layout, after: &mut Layout) -> bool {
        let owners = before.owners;
        if owners != after.owners || after.has_gaps {
            return false;
        }
        let row_bytes = ground.output_row_bytes;
        // Who owns the strip before, and where what it needs of this block ends.
        let mut above = (self.workers as u32, 0);
        let (strips, nexts) = (&before.strips[..owners], &after.strips[..=owners]);
        let jobs = &mut after.jobs[..owners];
        let parcels = &mut after.parcels.as_chunks_mut().0[..owners];
        let rates = ground.rates();
        for at in 0..owners {
            let (strip, next, below) = (&strips[at], &nexts[at], &nexts[at + 1]);
            let (job, [to_above, to_below], rows) = (&mut jobs[at], &mut parcels[at], strip.rows);
            let has_some = next.need.start < rows.end && next.need.end > rows.start;
            let is_near = above.1 <= rows.end && below.need.start >= rows.start;
            if next.worker != strip.worker || !has_some || !is_near {
                return false;
            }
            let link_above = self.link(strip.worker as usize, above.0 as usize);
            let link_below = self.link(strip.worker as usize, below.worker as usize);
            let wanted = Wanted {
                middle: Rows {
                    start: strip.free.start.max(above.1),
                    end: strip.free.end.min(below.need.start),
                },
                above: f64::from(above.1.saturating_sub(rows.start)),
                below: f64::from(rows.end.saturating_sub(below.need.start)),
            };
            job.worker = strip.worker;
            job.divide(ground, strip, &rates[strip.worker as usize], &wanted, false);
            let late_ms = job.late_ms(lateness);
            to_above.fill(link_above, above.0, row_bytes * wanted.above, late_ms);
            to_below.fill(link_below, below.worker, row_bytes * wanted.below, late_ms);
            above = (strip.worker, next.need.end);
        }
        true
    }

    /// Does so whoever owns what.
    fn link_any(&self, ground: &Ground, lateness: &Lateness, before: &Layout, after: &mut Layout) {
        let has_gaps = after.has_gaps;
        let Layout { strips, owners, jobs, parcels, .. } = after;
        let strips = &strips[..*owners];
        // The first worker whose need reaches beyond the rows of workers before.
        let mut first = 0;
        let mut end = 0;
        for (strip, job) in before.strips().iter().zip(jobs) {
            let rows = strip.rows;
            while strips.get(first).is_some_and(|next| next.need.end <= rows.start) {
                first += 1;
            }
            let begin = end;
            let mut wanted = Wanted::nothing(strip);
            (job.worker, job.turn) = (strip.worker, end as u32);
            for next in &strips[first..] {
                if next.need.start >= rows.end {
                    break;
                }
                let sent = Rows { start: next.need.start.max(rows.start), end: next.need.end.min(rows.end) };
                if sent.start < sent.end && next.worker != strip.worker {
                    if end == parcels.len() {
                        parcels.push(Parcel::default());
                    }
                    let link = self.link(strip.worker as usize, next.worker as usize);
                    let bytes = ground.output_row_bytes * f64::from(sent.end - sent.start);
                    parcels[end] = Parcel {
                        to: next.worker,
                        way: next.way(sent, strip.worker, has_gaps),
                        sending_ms: bytes * link.ms_per_byte,
                        delay_ms: link.delay_ms,
                    };
                    job.turn += u32::from(wanted.add(sent));
                    end += 1;
                }
            }
            job.end = end as u32;
            job.divide(ground, strip, &ground.rates()[strip.worker as usize], &wanted, false);
            let late_ms = job.late_ms(lateness);
            parcels[begin..end].iter_mut().for_each(|parcel| parcel.delay_ms += late_ms);
        }
    }
}

impl Job {
    /// How late its rows are there.
    #[inline(always)]
    pub(super) fn late_ms(&self, lateness: &Lateness) -> f64 {
        lateness.ms(self.ms[0] + self.ms[1] + self.ms[2])
    }
}

impl Parcel {
    /// Becomes `bytes` sent to node `to` over `link`, there so much later than expected; sent to nobody if there are none.
    #[inline(always)]
    fn fill(&mut self, link: &Wire, to: u32, bytes: f64, late_ms: f64) {
        self.to = NOBODY;
        if bytes > 0.0 {
            self.to = to;
            self.sending_ms = bytes * link.ms_per_byte;
            self.delay_ms = link.delay_ms + late_ms;
        }
    }
}
