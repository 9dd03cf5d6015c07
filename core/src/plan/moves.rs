//! Small changes of a plan, for local search.
//!
//! Each returns the first block it changed, or nothing where it does not apply. Blocks before that one keep
//! their simulated state.

use rand::{Rng, RngExt};

use super::costing::State;
use super::draft::Draft;
use super::search::Search;

/// Rows by which a boundary is moved at once.
const SHIFTS: [i64; 4] = [1, 2, 4, 8];

impl Search<'_> {
    /// Changes `draft` in one random way.
    pub(crate) fn change(
        &mut self,
        draft: &mut Draft,
        states: &[State],
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let index = rng.random_range(0..draft.len());
        let changed = match rng.random_range(0..100u32) {
            0..45 => shift(draft, index, index + 1, rng),
            45..62 => {
                let (first, end) = run(draft, index, rng);
                shift(draft, first, end, rng)
            }
            62..68 => self.move_cut(draft, index, rng),
            68..73 => self.merge(draft, index),
            73..78 => self.split(draft, index, rng),
            78..82 => self.copy_shares(draft, index, rng),
            82..86 => self.resize_share(draft, index, rng),
            86..91 => self.refill(draft, states, index, rng),
            91..94 => self.hand_over(draft, index, rng),
            _ => self.drop_or_wake(draft, index, rng),
        };
        changed.inspect(|&first| self.mend(draft, first))
    }

    /// Makes blocks from `first` on that cannot be split belong to whoever has most of them.
    fn mend(&self, draft: &mut Draft, first: usize) {
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
        let mut bounds = draft.block(other).to_vec();
        scale(&mut bounds, self.rows(draft.ends[index]));
        draft.block_mut(index).copy_from_slice(&bounds);
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

    /// Takes all rows of a run of blocks from a worker, or gives it some where it has none.
    fn drop_or_wake(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let worker = self.any_worker(rng);
        let (first, end) = run(draft, index, rng);
        let bounds = draft.block(index);
        let own_rows = bounds[worker + 1] - bounds[worker];
        let part = rng.random_range(0.1..1.2) * self.speeds[worker];
        let speeds = &self.speeds;
        self.reshare(draft, first, end, |shares| {
            if own_rows > 0 {
                shares[worker] = 0.0;
            } else {
                let others = (0..shares.len()).filter(|&other| shares[other] > 0.0);
                let (rows, speed) =
                    others.fold((0.0, 0.0), |sum, other| (sum.0 + shares[other], sum.1 + speeds[other]));
                shares[worker] = rows * part / f64::max(speed, 1e-12);
            }
        });
        Some(first)
    }

    /// Levels the rows of a run of blocks over its owners and one more or fewer.
    fn refill(
        &mut self,
        draft: &mut Draft,
        states: &[State],
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let workers = self.problem.workers();
        let mut weights: Vec<f64> = (0..workers)
            .map(|worker| if draft.rows(index, worker).is_empty() { 0.0 } else { self.speeds[worker] })
            .collect();
        if rng.random_bool(0.6) {
            let toggled = self.any_worker(rng);
            weights[toggled] = if weights[toggled] > 0.0 { 0.0 } else { self.speeds[toggled] };
        }
        if weights.iter().sum::<f64>() <= 0.0 {
            return None;
        }
        let (first, end) = if rng.random_bool(0.5) { (index, index + 1) } else { run(draft, index, rng) };
        let mut ready = vec![0.0; workers];
        if end == first + 1 && rng.random_bool(0.7) {
            let state = states.get(first)?;
            (0..workers).for_each(|worker| ready[worker] = state.computing[worker]);
            let least = ready.iter().copied().fold(f64::INFINITY, f64::min);
            ready.iter_mut().for_each(|at| *at -= least);
        }
        for at in first..end {
            let bounds = self.level(draft.start(at), draft.ends[at], &weights, &ready);
            draft.block_mut(at).copy_from_slice(&bounds);
        }
        Some(first)
    }

    /// One worker takes block `index`, or everything from there on.
    fn hand_over(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let owner = self.any_worker(rng);
        let to_the_end = rng.random_bool(0.5);
        while to_the_end && draft.len() > index + 1 {
            draft.remove(index);
        }
        let rows = self.rows(draft.ends[index]);
        own(draft.block_mut(index), rows, owner);
        Some(index)
    }

    fn reshare(&self, draft: &mut Draft, first: usize, end: usize, mut change: impl FnMut(&mut [f64])) {
        for index in first..end {
            let mut shares: Vec<f64> =
                draft.block(index).windows(2).map(|rows| f64::from(rows[1] - rows[0])).collect();
            change(&mut shares);
            if shares.iter().sum::<f64>() > 0.0 {
                let bounds = self.in_proportion(draft.ends[index], &shares);
                draft.block_mut(index).copy_from_slice(&bounds);
            }
        }
    }

    /// Any allowed worker.
    fn any_worker(&self, rng: &mut impl Rng) -> usize {
        loop {
            let worker = rng.random_range(0..self.speeds.len());
            if self.speeds[worker] > 0.0 {
                return worker;
            }
        }
    }
}

/// A run of blocks around `index`: half the time all of them.
fn run(draft: &Draft, index: usize, rng: &mut impl Rng) -> (usize, usize) {
    if rng.random_bool(0.5) {
        return (0, draft.len());
    }
    (rng.random_range(0..=index), rng.random_range(index + 1..=draft.len()))
}

/// Moves the boundary between two neighbouring owners of block `first` in all blocks up to `end`.
fn shift(draft: &mut Draft, first: usize, end: usize, rng: &mut impl Rng) -> Option<usize> {
    let at = rng.random_range(first..end);
    let bounds = draft.block(at);
    let height = i64::from(bounds[bounds.len() - 1]);
    let owners = (0..bounds.len() - 1).filter(|&worker| bounds[worker] < bounds[worker + 1]).count();
    if owners < 2 {
        return None;
    }
    let upper = rng.random_range(0..owners - 1);
    let mut places = (0..bounds.len() - 1).filter(|&worker| bounds[worker] < bounds[worker + 1]).skip(upper);
    let (giver, taker) = (places.next()?, places.next()?);
    let mut by = SHIFTS[rng.random_range(0..SHIFTS.len())];
    if rng.random_bool(0.5) {
        by = -by;
    }
    let mut changed = None;
    for index in first..end {
        let bounds = draft.block_mut(index);
        let (low, high) = (i64::from(bounds[giver]), i64::from(bounds[taker + 1]));
        let middle = i64::from(bounds[giver + 1]);
        if bounds[giver + 1] != bounds[taker] || low == middle || middle == high {
            continue;
        }
        let own_height = i64::from(bounds[bounds.len() - 1]);
        let scaled = if own_height == height { by } else { scaled(by, own_height, height) };
        let moved = (middle + scaled).clamp(low, high) as u32;
        bounds[giver + 1..=taker].fill(moved);
        changed = changed.or(Some(index));
    }
    changed
}

/// `by · rows / height`, but at least one row.
fn scaled(by: i64, rows: i64, height: i64) -> i64 {
    let exact = by * rows / height.max(1);
    if exact == 0 { by.signum() } else { exact }
}

/// Stretches boundaries to `rows` rows.
fn scale(bounds: &mut [u32], rows: u32) {
    let height = bounds[bounds.len() - 1];
    if height == rows {
        return;
    }
    for bound in bounds.iter_mut() {
        let stretched = (u64::from(*bound) * u64::from(rows) + u64::from(height / 2)) / u64::from(height);
        *bound = stretched as u32;
    }
}

/// All `rows` for `owner`.
fn own(bounds: &mut [u32], rows: u32, owner: usize) {
    bounds.iter_mut().enumerate().for_each(|(at, bound)| *bound = if at > owner { rows } else { 0 });
}
