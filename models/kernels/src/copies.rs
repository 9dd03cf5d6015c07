//! Rows of a channel copied between zeros, split into phases where the stride is above 1, so that each tap of consecutive
//! outputs is a contiguous stretch.

use crate::gather::{Window, copy, outputs_inside, pick};
use crate::isa::{Vector, load, load_few, store};
use std::ops::Range;

/// How the copied rows lie: phase of the stride, row, column.
#[derive(Clone, Copy)]
pub(crate) struct Copies {
    /// Of a row of one phase.
    pub(crate) width: usize,
    /// Of one phase.
    pub(crate) rows: usize,
    pub(crate) stride: [usize; 2],
}

impl Copies {
    #[inline(always)]
    pub(crate) fn phase(self, phase: usize) -> usize {
        phase * self.rows * self.width
    }

    /// Where a row begins.
    #[inline(always)]
    pub(crate) fn row(self, row: usize) -> usize {
        self.phase(row % self.stride[0] * self.stride[1]) + row / self.stride[0] * self.width
    }

    /// What a column adds.
    #[inline(always)]
    pub(crate) fn column(self, column: usize) -> usize {
        self.phase(column % self.stride[1]) + column / self.stride[1]
    }

    /// Copies what output rows from `start` on need: `rows` rows of every phase. Zeros are not written.
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
        // The usual strides as constants: dividing by an unknown one takes longer than copying a row.
        match self.stride {
            [1, 1] => Copies { stride: [1, 1], ..self }.fill_rows(v, window, channel, start, rows, copied),
            [2, 2] => Copies { stride: [2, 2], ..self }.fill_rows(v, window, channel, start, rows, copied),
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
        let [row_stride, stride] = self.stride;
        let plane = window.map.plane(channel);
        let map_width = window.map.width();
        let first = (window.first_row + start) * row_stride;
        let above = window.top.saturating_sub(first);
        let end = (window.map.rows() + window.top).saturating_sub(first).min(rows * row_stride);
        for column in 0..stride {
            let reach = column as isize - window.left;
            let inside: Range<usize> = outputs_inside(reach, stride, map_width, self.width);
            if inside.is_empty() {
                continue;
            }
            let shift = (inside.start * stride).strict_add_signed(reach);
            for row in above..end {
                let from = &plane[(first + row - window.top) * map_width..][shift..map_width];
                let to = &mut copied[self.row(row) + self.phase(column)..];
                if self.stride == [1, 1] {
                    copy_with_zeros(v, &from[..inside.len()], &mut to[inside.start..]);
                    continue;
                }
                let to = &mut to[inside.clone()];
                match stride {
                    1 => copy(v, from, to, to.len()),
                    2 => pick::<2>(from, to),
                    _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f),
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
