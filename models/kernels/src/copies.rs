//! Rows of a channel copied between zeros, split into phases where taps of consecutive outputs have to be contiguous
//! although the stride is above 1.

use crate::gather::{Window, copy, outputs_inside, pick};
use crate::isa::{Vector, load, load_few, store};
use std::ops::Range;

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
        phase * self.rows * self.width
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
        let step = self.phases[1];
        let plane = window.map.plane(channel);
        let map_width = window.map.width();
        let first = (window.first_row + start) * window.stride[0];
        let above = window.top.saturating_sub(first);
        let end = (window.map.rows() + window.top).saturating_sub(first).min(rows);
        for column in 0..step {
            let reach = column as isize - window.left;
            let inside: Range<usize> = outputs_inside(reach, step, map_width, self.width);
            if inside.is_empty() {
                continue;
            }
            let shift = (inside.start * step).strict_add_signed(reach);
            for row in above..end {
                let from = &plane[(first + row - window.top) * map_width..][shift..map_width];
                let to = &mut copied[self.row(row) + self.phase(column)..];
                if self.phases == [1, 1] {
                    copy_with_zeros(v, &from[..inside.len()], &mut to[inside.start..]);
                    continue;
                }
                let to = &mut to[inside.clone()];
                match step {
                    1 => copy(v, from, to, to.len()),
                    2 => pick::<V, 2>(v, from, to),
                    _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(t, f)| *t = *f),
                }
            }
        }
    }
}

/// Copies all of `from` to the start of `to`, then zeros to the end of the vector, where the next row will be.
#[inline(always)]
fn copy_with_zeros<V: Vector>(v: V, from: &[f32], to: &mut [f32]) {
    let whole = from.len() / V::F32_LANES * V::F32_LANES;
    for at in (0..whole).step_by(V::F32_LANES) {
        store::<V>(&mut to[at..], load::<V>(&from[at..]));
    }
    if whole < from.len() {
        store::<V>(&mut to[whole..], load_few(v, &from[whole..]));
    }
}
