//! Rows of a channel copied between zeros, split into phases where taps of consecutive outputs have to be contiguous
//! although the stride is above 1.

use crate::gather::{Window, outputs_inside};
use crate::isa::{MAX_LANES, Vector, first_lanes, load_at_most, store};

/// How the copied rows lie: phase, row, column.
#[derive(Clone, Copy)]
pub(crate) struct Copies {
    /// Of a row of one phase.
    pub(crate) width: usize,
    /// Of one phase.
    pub(crate) rows: usize,
    /// Rows and columns that are so many apart make a phase.
    pub(crate) phases: [usize; 2],
}

impl Copies {
    #[inline(always)]
    pub(crate) fn phase(self, phase: usize) -> usize {
        // Zeros that follow a phase's last row must not meet the next phase.
        phase * (self.rows * self.width + MAX_LANES)
    }

    /// Where a row begins.
    #[inline(always)]
    pub(crate) fn row(self, row: usize) -> usize {
        self.phase(row % self.phases[0] * self.phases[1]) + row / self.phases[0] * self.width
    }

    /// What a column adds.
    #[inline(always)]
    pub(crate) fn column(self, column: usize) -> usize {
        self.phase(column % self.phases[1]) + column / self.phases[1]
    }

    /// Copies `rows` rows, the first of which output row `start` needs first. Zeros are not written.
    #[inline(always)]
    pub(crate) fn fill<V: Vector>(
        self,
        v: V,
        window: &Window<'_>,
        channel: usize,
        start: usize,
        rows: usize,
        copied: &mut [f32],
    ) {
        // The usual phases as constants: dividing by an unknown number takes longer than copying a row.
        match self.phases {
            [1, 1] => Copies { phases: [1, 1], ..self }.fill_rows(v, window, channel, start, rows, copied),
            [2, 2] => Copies { phases: [2, 2], ..self }.fill_rows(v, window, channel, start, rows, copied),
            _ => self.fill_rows(v, window, channel, start, rows, copied),
        }
    }

    #[inline(always)]
    fn fill_rows<V: Vector>(
        self,
        v: V,
        window: &Window<'_>,
        channel: usize,
        start: usize,
        rows: usize,
        copied: &mut [f32],
    ) {
        let (step, map_width) = (self.phases[1], window.map.width());
        let plane = window.map.beyond(channel);
        let first = (window.first_row + start) * window.stride[0];
        let above = window.top.saturating_sub(first);
        let end = (window.map.rows() + window.top).saturating_sub(first).min(rows);
        let from = |row: usize| &plane[(first + row - window.top) * map_width..];
        // The columns of a phase that lie in the map.
        let inside = |column: usize| {
            let reach = column as isize - window.left;
            (outputs_inside(reach, step, map_width, self.width), reach)
        };
        match step {
            1 => {
                let (to, reach) = inside(0);
                let shift = to.start.strict_add_signed(reach);
                let tail = first_lanes(v, to.len() % V::F32_LANES);
                for row in above..end {
                    let copied = &mut copied[self.row(row) + to.start..];
                    copy_with_zeros(v, &from(row)[shift..], copied, to.len(), tail);
                }
            }
            2 if window.left >= 0 => {
                // The phase of the map's first column is never the shorter one.
                let even = window.left as usize % 2;
                let [evens, odds] = [inside(even).0, inside(1 - even).0];
                let whole = odds.len() / V::F32_LANES * V::F32_LANES;
                let tails = [evens.len() - whole, odds.len() - whole];
                let tails = [first_lanes(v, tails[0]), first_lanes(v, tails[1])];
                for row in above..end {
                    let (a, b) = copied[self.row(row)..].split_at_mut(self.phase(1));
                    let (a, b) = if even == 0 { (a, b) } else { (b, a) };
                    let to = [&mut a[evens.start..], &mut b[odds.start..]];
                    split_with_zeros(v, from(row), to, whole, evens.len(), tails);
                }
            }
            _ => {
                for column in 0..step {
                    let (to, reach) = inside(column);
                    let Some(shift) = (to.start * step).checked_add_signed(reach) else { continue };
                    for row in above..end {
                        let from = from(row).iter().skip(shift).step_by(step);
                        let copied = &mut copied[self.row(row) + self.phase(column)..][to.clone()];
                        copied.iter_mut().zip(from).for_each(|(t, f)| *t = *f);
                    }
                }
            }
        }
    }
}

/// Copies the first `len` values of `from`, then zeros to the end of the vector, where the next row will be. `tail` are the
/// lanes of the last vector that are values.
#[inline(always)]
fn copy_with_zeros<V: Vector>(v: V, from: &[f32], to: &mut [f32], len: usize, tail: V::m32s) {
    let whole = len / V::F32_LANES * V::F32_LANES;
    let vectors = V::as_mut_simd_f32s(&mut to[..whole]).0.iter_mut().zip(V::as_simd_f32s(&from[..whole]).0);
    vectors.for_each(|(to, from)| *to = *from);
    if whole < len {
        let last = load_at_most(v, &from[whole..]);
        store::<V>(&mut to[whole..], v.select_f32s(tail, last, v.splat_f32s(0.0)));
    }
}

/// Copies the values in even and those in odd places of `from`, `whole` of each and then those in the lanes of `tails`,
/// followed by zeros. There are `evens` in even places.
#[inline(always)]
fn split_with_zeros<V: Vector>(
    v: V,
    from: &[f32],
    [to_even, to_odd]: [&mut [f32]; 2],
    whole: usize,
    evens: usize,
    tails: [V::m32s; 2],
) {
    let lanes = V::F32_LANES;
    let pairs = V::as_simd_f32s(&from[..2 * whole]).0.as_chunks::<2>().0;
    let to = V::as_mut_simd_f32s(&mut to_even[..whole]).0.iter_mut();
    let to = to.zip(V::as_mut_simd_f32s(&mut to_odd[..whole]).0);
    for ((even, odd), &[a, b]) in to.zip(pairs) {
        [*even, *odd] = v.split(a, b);
    }
    if whole < evens {
        let from = &from[2 * whole..];
        let parts = v.split(load_at_most(v, from), load_at_most(v, &from[lanes.min(from.len())..]));
        let zero = v.splat_f32s(0.0);
        store::<V>(&mut to_even[whole..], v.select_f32s(tails[0], parts[0], zero));
        store::<V>(&mut to_odd[whole..], v.select_f32s(tails[1], parts[1], zero));
    }
}
