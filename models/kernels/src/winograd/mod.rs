//! 3×3 convolution of stride 1 by Winograd's algorithm, F(4,3) along the width: four outputs of a row from six products
//! instead of twelve. Points 0, ±1, ±2, ∞ (Lavin and Gray, arXiv 1509.09308).
//!
//! [`rows`] multiplies the three rows of a kernel as they are; [`pairs`] applies F(2,3) to them as well. What both share
//! is here: a row is read, divided into groups of four columns and the two beyond, and transformed; sums are transformed back.

pub(crate) mod pairs;
pub(crate) mod rows;

use crate::gather::{Window, copy};
use crate::isa::{Vector, load, store};
use crate::sizes::{ALONG, COLUMNS};
use crate::weights::{Line, PackedWeights};
use crate::{ConvShape, KernelError};
use std::ops::Range;

/// Values behind a stretch that whole vectors may reach into.
const SLACK: usize = 16;

/// Panels of output channels computed for one point before the next: the more, the less often the transformed input passes by,
/// which comes from beyond the second-level cache where a layer has many channels.
const PANELS: usize = 8;

/// Whether the algorithm can compute a layer.
pub(crate) fn fits(shape: &ConvShape) -> bool {
    shape.kernel == [3, 3] && shape.stride == [1, 1] && shape.dilation == [1, 1]
}

/// Fails unless the algorithm can compute a layer.
fn check(shape: &ConvShape) -> Result<(), KernelError> {
    if fits(shape) {
        return Ok(());
    }
    Err(KernelError::Algorithm { algorithm: "Winograd", needs: "a 3×3 kernel, stride 1 and dilation 1" })
}

/// One row of a kernel at a point along.
fn weight(point: usize, [a, b, c]: [f64; 3]) -> f64 {
    match point {
        0 => a / 4.0,
        1 => -(a + b + c) / 6.0,
        2 => -(a - b + c) / 6.0,
        3 => a / 24.0 + b / 12.0 + c / 6.0,
        4 => a / 24.0 - b / 12.0 + c / 6.0,
        _ => c,
    }
}

/// The weights needed after those of `panel`, which is the first of the panels `left` that are computed together: the
/// next one's, or the first one's at the next point, if there is `another`.
fn next_panel(
    weights: &PackedWeights,
    set: usize,
    panel: usize,
    left: Range<usize>,
    another: bool,
) -> &[Line] {
    if left.len() > 1 {
        weights.panel(set, panel + 1)
    } else if another {
        weights.panel(set + 1, panel - left.start)
    } else {
        &[]
    }
}

/// Reads rows of some channels of a map and transforms them along.
///
/// Rows of few groups would leave most of a vector idle, so several are laid side by side first, twice: as they are, and
/// from the fifth column on, as each group also needs two columns beyond its four.
struct Reader<'a> {
    window: &'a Window<'a>,
    channels: Range<usize>,
    /// Groups of columns in a row.
    groups: usize,
    /// Holds rows between their zeros: [`Reader::values`].
    padded: &'a mut [f32],
}

impl<'a> Reader<'a> {
    /// Values that `padded` has to hold for so many rows of so many groups.
    const fn values(groups: usize, rows: usize) -> usize {
        2 * COLUMNS * (groups * (rows + 1) + 2 * SLACK)
    }

    fn new(window: &'a Window<'a>, channels: Range<usize>, groups: usize, padded: &'a mut [f32]) -> Self {
        padded.fill(0.0);
        Reader { window, channels, groups, padded }
    }

    /// Writes `count` rows of `channel`, from `line` on each `step` further (zeros where the map has none), one after the
    /// other at the points, which lie `stride` apart in `to`. Whole vectors are written, so what follows must be written
    /// after it.
    #[inline(always)]
    fn read<V: Vector>(
        &mut self,
        v: V,
        channel: usize,
        [line, step, count]: [isize; 3],
        stride: usize,
        to: &mut [f32],
    ) {
        let lines = (0..count).map(|row| line + row * step);
        if 2 * self.groups <= V::F32_LANES {
            self.read_side_by_side(v, channel, lines, stride, to);
        } else {
            for (row, line) in lines.enumerate() {
                self.read_row(v, channel, line, stride, &mut to[row * self.groups..]);
            }
        }
    }

    /// The row of the map, and asks for the next channel's, which lies elsewhere: nothing but this asks for it in time.
    #[inline(always)]
    fn row<V: Vector>(&self, v: V, channel: usize, line: isize) -> Option<&'a [f32]> {
        let map = &self.window.map;
        let line = usize::try_from(line).ok().filter(|&line| line < map.rows())?;
        if channel + 1 < self.channels.end {
            for values in map.row(channel + 1, line).chunks(16) {
                v.prefetch(values);
            }
        }
        Some(map.row(channel, line))
    }

    #[inline(always)]
    fn read_row<V: Vector>(&mut self, v: V, channel: usize, line: isize, stride: usize, to: &mut [f32]) {
        let Some(row) = self.row(v, channel, line) else {
            return to.chunks_mut(stride).for_each(|to| to[..self.groups].fill(0.0));
        };
        copy(v, row, &mut self.padded[self.window.left as usize..], row.len());
        for group in (0..self.groups).step_by(V::F32_LANES) {
            let from = &self.padded[group * COLUMNS..];
            let [a, b, c, d] = fourths::<V>(v, from);
            let [e, f, ..] = fourths::<V>(v, &from[COLUMNS..]);
            store_points::<V>(forth(v, [a, b, c, d, e, f]), stride, &mut to[group..]);
        }
    }

    #[inline(always)]
    fn read_side_by_side<V: Vector>(
        &mut self,
        v: V,
        channel: usize,
        lines: impl ExactSizeIterator<Item = isize>,
        stride: usize,
        to: &mut [f32],
    ) {
        let (width, left, all) =
            (COLUMNS * self.groups, self.window.left as usize, lines.len() * self.groups);
        let half = self.padded.len() / 2;
        for (number, line) in lines.enumerate() {
            let row = self.row(v, channel, line);
            let (first, second) = self.padded.split_at_mut(half);
            let places = [first, second].map(|copy| &mut copy[number * width..][..width]);
            let Some(row) = row else {
                places.into_iter().for_each(|place| place.fill(0.0));
                continue;
            };
            for (place, skipped) in places.into_iter().zip([0, COLUMNS]) {
                // Column `skipped` of the row with its zeros comes first.
                let (zeros, from) = (left.saturating_sub(skipped), skipped.saturating_sub(left));
                let len = row.len().saturating_sub(from).min(width.saturating_sub(zeros));
                if len > 0 {
                    copy(v, &row[from..], &mut place[zeros..], len);
                }
            }
        }
        for group in (0..all).step_by(V::F32_LANES) {
            let [a, b, c, d] = fourths::<V>(v, &self.padded[group * COLUMNS..]);
            let [e, f, ..] = fourths::<V>(v, &self.padded[half + group * COLUMNS..]);
            store_points::<V>(forth(v, [a, b, c, d, e, f]), stride, &mut to[group..]);
        }
    }
}

#[inline(always)]
fn store_points<V: Vector>(points: [V::f32s; ALONG], stride: usize, to: &mut [f32]) {
    for (point, value) in points.into_iter().enumerate() {
        store::<V>(&mut to[point * stride..], value);
    }
}

/// The values at places 0, 1, 2 and 3 modulo 4.
#[inline(always)]
fn fourths<V: Vector>(v: V, from: &[f32]) -> [V::f32s; COLUMNS] {
    let lanes = V::F32_LANES;
    let from = &from[..COLUMNS * lanes];
    let [a, b] = v.split(load::<V>(from), load::<V>(&from[lanes..]));
    let [c, d] = v.split(load::<V>(&from[2 * lanes..]), load::<V>(&from[3 * lanes..]));
    let ([first, third], [second, fourth]) = (v.split(a, c), v.split(b, d));
    [first, second, third, fourth]
}

/// Six neighbouring columns at the points.
#[inline(always)]
pub(crate) fn forth<V: Vector>(v: V, [d0, d1, d2, d3, d4, d5]: [V::f32s; ALONG]) -> [V::f32s; ALONG] {
    let (two, minus_two) = (v.splat_f32s(2.0), v.splat_f32s(-2.0));
    let (four, minus_four, minus_five) = (v.splat_f32s(4.0), v.splat_f32s(-4.0), v.splat_f32s(-5.0));
    let even = v.fma(d2, minus_four, d4);
    let odd = v.fma(d1, minus_four, d3);
    let near = v.sub_f32s(d4, d2);
    let far = v.sub_f32s(d3, d1);
    [
        v.fma(d0, four, v.fma(d2, minus_five, d4)),
        v.add_f32s(even, odd),
        v.sub_f32s(even, odd),
        v.fma(far, two, near),
        v.fma(far, minus_two, near),
        v.fma(d1, four, v.fma(d3, minus_five, d5)),
    ]
}

/// The columns of groups, whose sums at the points are given.
#[inline(always)]
pub(crate) fn columns<V: Vector>(v: V, [m0, m1, m2, m3, m4, m5]: [V::f32s; ALONG]) -> [V::f32s; COLUMNS] {
    let (two, four, eight) = (v.splat_f32s(2.0), v.splat_f32s(4.0), v.splat_f32s(8.0));
    let (even, odd) = (v.add_f32s(m1, m2), v.sub_f32s(m1, m2));
    let (far_even, far_odd) = (v.add_f32s(m3, m4), v.sub_f32s(m3, m4));
    [
        v.add_f32s(v.add_f32s(m0, even), far_even),
        v.fma(far_odd, two, odd),
        v.fma(far_even, four, even),
        v.add_f32s(v.fma(far_odd, eight, odd), m5),
    ]
}

/// Writes the columns of a vector of groups, whose sums at the points are given, side by side.
#[inline(always)]
fn back<V: Vector>(v: V, points: [V::f32s; ALONG], to: &mut [f32]) {
    let [a, b, c, d] = columns(v, points);
    let ([a, b], [c, d]) = (v.interleave(a, c), v.interleave(b, d));
    let ([a, c], [b, d]) = (v.interleave(a, c), v.interleave(b, d));
    for (i, value) in [a, c, b, d].into_iter().enumerate() {
        store::<V>(&mut to[i * V::F32_LANES..], value);
    }
}
