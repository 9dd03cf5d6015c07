//! Small changes of a plan, for local search.
//!
//! Each returns the first block it changed, or nothing where it does not apply. Blocks before that one keep
//! their simulated state.

use rand::{Rng, RngExt};

use super::anneal::Current;
use super::draft::Draft;
use super::fill::Party;
use super::search::Search;
use super::shifts::{own, owners, run, scale, shift, taper};

/// How often rows are taken from whoever a block hangs on; of 0.2, 0.3, 0.4 what did best when refining.
const RELIEVED: f64 = 0.3;
/// How often a boundary is planned anew in several blocks: more often costs more than it finds.
const REPLANNED: f64 = 0.03;
/// How often boundaries are made to run one way.
const TILTED: f64 = 0.06;
/// How often a boundary is moved to where rows cross it one way only.
const SLID: f64 = 0.15;
/// How often some units of a block are shared anew.
const ISLANDS: f64 = 0.06;
/// How often two workers exchange their shares, and how often some blocks are cut anew.
const EXCHANGES: f64 = 0.04;
const CUTS_ANEW: f64 = 0.06;
/// How often new cuts come with rows levelled for them rather than stretched to them.
pub(crate) const LEVELLED: f64 = 0.25;

impl Search<'_> {
    /// Changes `draft`, a copy of the one of `now`, in one random way.
    ///
    /// How often each way is tried was found by the cross-entropy method (what 2 000 changes gain on seventy
    /// random fleets and seven networks), then moved towards those that gain most for each plan costed when refining.
    pub(crate) fn change(
        &mut self,
        draft: &mut Draft,
        now: &mut Current,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let index = rng.random_range(0..draft.len());
        if rng.random_bool(REPLANNED) {
            return self.replan(draft, now, index, rng);
        }
        if rng.random_bool(TILTED) {
            return self.tilt(draft, index, rng).inspect(|&first| self.mend(draft, first));
        }
        if rng.random_bool(SLID) {
            return self.slide(draft, index, rng).inspect(|&first| self.mend(draft, first));
        }
        if rng.random_bool(RELIEVED) {
            if now.path.is_empty() {
                self.costing.critical(&now.states[..draft.len()], &mut now.path);
            }
            return self.relieve(draft, &now.path, index, rng).inspect(|&first| self.mend(draft, first));
        }
        if rng.random_bool(ISLANDS) {
            return self.share_some(draft, index, rng).inspect(|&first| self.mend(draft, first));
        }
        if rng.random_bool(EXCHANGES) {
            return self.exchange_shares(draft, index, rng).inspect(|&first| self.mend(draft, first));
        }
        if rng.random_bool(CUTS_ANEW) {
            return self.cut_anew(draft, index, rng).inspect(|&first| self.mend(draft, first));
        }
        let changed = match rng.random_range(0..100u32) {
            0..14 => shift(draft, index, index + 1, rng),
            14..27 => {
                let (first, end) = run(draft, index, rng);
                shift(draft, first, end, rng)
            }
            27..33 => taper(draft, index, rng),
            33..39 => self.move_cut(draft, index, rng).inspect(|&first| self.relevel(draft, first, rng)),
            39..47 => self.merge(draft, index).inspect(|&first| self.relevel(draft, first, rng)),
            47..60 => self.split(draft, index, rng).inspect(|&first| self.relevel(draft, first, rng)),
            60..70 => self.copy_shares(draft, index, rng),
            70..78 => self.resize_share(draft, index, rng),
            78..82 => self.refill(draft, &now.states, index, rng),
            82..84 => self.hand_over(draft, index, rng),
            84..87 => self.pass_on(draft, &now.states, index, rng),
            87..94 => {
                let (first, end) = run(draft, index, rng);
                self.drop_or_wake(draft, index, (first, end), rng)
            }
            _ => {
                let part = if rng.random_bool(0.7) { (index, draft.len()) } else { (0, index + 1) };
                self.drop_or_wake(draft, index, part, rng)
            }
        };
        changed.inspect(|&first| self.mend(draft, first))
    }

    /// Now and then levels the rows of block `first` and of the next over their owners.
    fn relevel(&mut self, draft: &mut Draft, first: usize, rng: &mut impl Rng) {
        if !rng.random_bool(LEVELLED) {
            return;
        }
        (first..draft.len().min(first + 2)).for_each(|at| self.level_owners(draft, at));
    }

    /// Levels the rows of block `at` over its owners.
    pub(crate) fn level_owners(&mut self, draft: &mut Draft, at: usize) {
        let (from, to) = (draft.start(at), draft.ends[at]);
        let owners: Vec<usize> = owners(draft.block(at)).collect();
        if self.shared(to) && owners.len() > 1 {
            self.costing.spans.span(from, to);
            self.balance(from, to, &Party::of(&owners), draft.block_mut(at), &mut Vec::new());
        }
    }

    /// Makes blocks from `first` on that cannot be split belong to whoever has most of them.
    pub(crate) fn mend(&self, draft: &mut Draft, first: usize) {
        if !self.some_whole {
            return;
        }
        for index in first..draft.len() {
            if !self.shared(draft.ends[index]) {
                let bounds = draft.block_mut(index);
                let rows = bounds[bounds.len() - 1];
                let owner = (0..bounds.len() - 1).max_by_key(|&worker| bounds[worker + 1] - bounds[worker]);
                own(bounds, rows, owner.unwrap_or(0));
            }
        }
    }

    fn move_cut(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let end = draft.ends[index];
        let to = if rng.random_bool(0.5) { end + 1 } else { end - 1 };
        let next = draft.ends.get(index + 1)?;
        if to <= draft.start(index) || to >= *next {
            return None;
        }
        draft.ends[index] = to;
        scale(draft.block_mut(index), self.rows(to));
        Some(index)
    }

    fn merge(&self, draft: &mut Draft, index: usize) -> Option<usize> {
        if index + 1 >= draft.len() {
            return None;
        }
        draft.remove(index);
        Some(index)
    }

    fn split(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let (start, end) = (draft.start(index), draft.ends[index]);
        if end - start < 2 {
            return None;
        }
        let at = rng.random_range(start + 1..end);
        // Behind a block of one owner the work before it may still be shared, as in the block before that.
        let model = if index > 0 && rng.random_bool(0.3) { index - 1 } else { index };
        let mut bounds = draft.block(model).to_vec();
        scale(&mut bounds, self.rows(at));
        draft.insert(index, at, &bounds);
        Some(index)
    }

    fn copy_shares(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let other = if rng.random_bool(0.5) { index + 1 } else { index.checked_sub(1)? };
        if other >= draft.len() {
            return None;
        }
        let rows = self.rows(draft.ends[index]);
        draft.bounds.copy_within(other * draft.stride..(other + 1) * draft.stride, index * draft.stride);
        scale(draft.block_mut(index), rows);
        Some(index)
    }

    /// Gives one worker a larger or smaller share of a run of blocks, at the cost of all others.
    fn resize_share(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let worker = self.any_worker(rng);
        let factor = (0.4 * super::genome::normal(rng)).exp();
        let (first, end) = run(draft, index, rng);
        self.reshare(draft, first, end, |shares| shares[worker] *= factor);
        Some(first)
    }

    /// Changes the shares of blocks `first..end`.
    pub(crate) fn reshare(
        &self,
        draft: &mut Draft,
        first: usize,
        end: usize,
        mut change: impl FnMut(&mut [f64]),
    ) {
        let mut shares = Vec::with_capacity(draft.stride - 1);
        for index in first..end {
            shares.clear();
            shares.extend(draft.block(index).windows(2).map(|rows| f64::from(rows[1] - rows[0])));
            change(&mut shares);
            let total: f64 = shares.iter().sum();
            if total > 0.0 {
                let rows = self.rows(draft.ends[index]);
                let scale = f64::from(rows) / total;
                let mut sum = 0.0;
                for (bound, share) in draft.block_mut(index)[1..].iter_mut().zip(&shares) {
                    sum += share;
                    // Not `round`, which is a call where the processor's own is not known of.
                    *bound = ((sum * scale + 0.5) as u32).min(rows);
                }
            }
        }
    }

    /// Any allowed worker.
    pub(crate) fn any_worker(&self, rng: &mut impl Rng) -> usize {
        loop {
            let worker = rng.random_range(0..self.speeds.len());
            if self.speeds[worker] > 0.0 {
                return worker;
            }
        }
    }
}
