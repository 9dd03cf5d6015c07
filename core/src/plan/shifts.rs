//! Moving boundaries between neighbours' rows, one block or many at a time.

use rand::{Rng, RngExt};

use super::draft::Draft;

/// A boundary is moved by at most this share of a block's height, or by [`FAR`] rows if that is more.
const FARTHEST: f64 = 0.055;
const FAR: f64 = 8.0;

/// A run of blocks around `index`: half the time all of them.
pub(crate) fn run(draft: &Draft, index: usize, rng: &mut impl Rng) -> (usize, usize) {
    if rng.random_bool(0.5) {
        return (0, draft.len());
    }
    (rng.random_range(0..=index), rng.random_range(index + 1..=draft.len()))
}

/// Moves the boundary between two neighbouring owners of block `first` in all blocks up to `end`.
pub(crate) fn shift(draft: &mut Draft, first: usize, end: usize, rng: &mut impl Rng) -> Option<usize> {
    let at = rng.random_range(first..end);
    let height = i64::from(draft.block(at)[draft.stride - 1]);
    let (giver, taker) = neighbours(draft, at, rng)?;
    let by = step(height, rng);
    let mut changed = None;
    for index in first..end {
        let own_height = i64::from(draft.block(index)[draft.stride - 1]);
        let scaled = if own_height == height { by } else { scaled(by, own_height, height) };
        if nudge(draft, index, giver, taker, scaled) {
            changed = changed.or(Some(index));
        }
    }
    changed
}

/// Moves a boundary the further the later (or the earlier) the block in a run.
pub(crate) fn taper(draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
    let (first, end) = run(draft, index, rng);
    if end - first < 2 {
        return None;
    }
    let at = rng.random_range(first..end);
    let (giver, taker) = neighbours(draft, at, rng)?;
    let height = i64::from(draft.block(at)[draft.stride - 1]);
    let by = step(height, rng) as f64 / height as f64 * 2.0;
    let rising = rng.random_bool(0.5);
    let mut changed = None;
    for index in first..end {
        let part = (index - first) as f64 / (end - first - 1) as f64;
        let part = if rising { part } else { 1.0 - part };
        let height = f64::from(draft.block(index)[draft.stride - 1]);
        let by = (by * part * height).round() as i64;
        if by != 0 && nudge(draft, index, giver, taker, by) {
            changed = changed.or(Some(index));
        }
    }
    changed
}

/// A number of rows to move at once, small ones as likely as ones twice as large.
pub(crate) fn step(height: i64, rng: &mut impl Rng) -> i64 {
    let octaves = (height as f64 * FARTHEST).max(FAR).log2() + 1.0;
    let by = (rng.random::<f64>() * octaves).exp2() as i64;
    if rng.random_bool(0.5) { by } else { -by }
}

/// Two neighbouring owners of a block.
pub(crate) fn neighbours(draft: &Draft, index: usize, rng: &mut impl Rng) -> Option<(usize, usize)> {
    let bounds = draft.block(index);
    let count = owners(bounds).count();
    if count < 2 {
        return None;
    }
    let mut places = owners(bounds).skip(rng.random_range(0..count - 1));
    Some((places.next()?, places.next()?))
}

/// Who has rows between `bounds`.
pub(crate) fn owners(bounds: &[u32]) -> impl Iterator<Item = usize> + '_ {
    (0..bounds.len() - 1).filter(|&worker| bounds[worker] < bounds[worker + 1])
}

/// Moves the boundary between two owners, if they are neighbours in this block.
fn nudge(draft: &mut Draft, index: usize, giver: usize, taker: usize, by: i64) -> bool {
    let bounds = draft.block_mut(index);
    let (low, high) = (i64::from(bounds[giver]), i64::from(bounds[taker + 1]));
    let middle = i64::from(bounds[giver + 1]);
    if bounds[giver + 1] != bounds[taker] || low == middle || middle == high {
        return false;
    }
    let moved = (middle + by).clamp(low, high) as u32;
    bounds[giver + 1..=taker].fill(moved);
    true
}

/// `by · rows / height`, but at least one row.
fn scaled(by: i64, rows: i64, height: i64) -> i64 {
    let exact = by * rows / height.max(1);
    if exact == 0 { by.signum() } else { exact }
}

/// Stretches boundaries to `rows` rows.
pub(crate) fn scale(bounds: &mut [u32], rows: u32) {
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
pub(crate) fn own(bounds: &mut [u32], rows: u32, owner: usize) {
    bounds.iter_mut().enumerate().for_each(|(at, bound)| *bound = if at > owner { rows } else { 0 });
}
