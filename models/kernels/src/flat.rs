//! Depthwise convolution whose output is as wide as its input, over a whole plane at once.
//!
//! With equal widths an output and the input of each tap lie a constant distance apart, across the ends of rows too. So
//! rows are neither copied one by one nor padded: pixels run on, and where a tap reaches over the left or right edge a
//! mask puts zeros. Outputs are written where they belong. Bound: loads, one not aligned for each tap.

use crate::depthwise::{Depthwise, Taps};
use crate::epilogue::residual_plane;
use crate::gather::{Window, copy, outputs_inside};
use crate::isa::{Vector, load};
use crate::tile::{load_row, store_row};

/// Width from which a 3×3 kernel gains more from rows that share loads.
const WIDE: usize = 40;

/// Whether the form computes a layer of kernel `K`×`K`, and faster than rows would. The bits are the same.
pub(crate) fn fits<const K: usize>(window: &Window<'_>) -> bool {
    let Window { kernel, stride, dilation, left, .. } = *window;
    let same_width = window.out_width == window.map.width() && (0..K as isize).contains(&left);
    let narrow = K > 3 || window.out_width < WIDE;
    narrow && kernel == [K, K] && stride == [1, 1] && dilation == [1, 1] && same_width
}

/// Values of a plane computed at once: with its copy and the masks it stays in the first-level cache.
const BLOCK: usize = 1536;

#[inline(always)]
pub(crate) fn run<V: Vector, const K: usize>(v: V, layer: Depthwise<'_, '_>) {
    let Depthwise { weights, epilogue, window, rows, residual, output, channels, multiple, buffers } = layer;
    let (width, left, lanes) = (window.out_width, window.left as usize, V::F32_LANES);
    let block = (BLOCK / width).clamp(1, rows);
    let most = (block * width).next_multiple_of(lanes);
    let room = (left + most + (K - 1) * width + K + lanes).next_multiple_of(lanes);
    let copied = buffers.first.take(2 * room);
    let masks = buffers.second.take(K * most);
    for (column, masks) in masks.chunks_exact_mut(most).enumerate() {
        let inside = outputs_inside(column as isize - window.left, 1, width, width);
        for row in masks.chunks_mut(width) {
            for (x, mask) in row.iter_mut().enumerate() {
                *mask = f32::from_bits(if inside.contains(&x) { u32::MAX } else { 0 });
            }
        }
    }
    for start in (0..rows).step_by(block) {
        let count = block.min(rows - start);
        let len = count * width;
        let first = window.first_row + start;
        let above = window.top.saturating_sub(first).min(count + K - 1);
        let end = (window.map.rows() + window.top).saturating_sub(first).clamp(above, count + K - 1);
        // The zeros around the rows stay; only what lies between them changes from channel to channel.
        copied.fill(0.0);
        let (mut copied, mut next) = copied.split_at_mut(room);
        let stretch =
            Stretch { window: &window, row: (first + above).saturating_sub(window.top), rows: end - above };
        let inputs = channels.start / multiple..channels.end.div_ceil(multiple);
        stretch.copy(v, inputs.start, &mut copied[left + above * width..]);
        for (channel, planes) in inputs.clone().zip(output.chunks_exact_mut(multiple)) {
            if channel + 1 < inputs.end {
                // While the next channel is copied, what was stored of this one reaches the cache.
                stretch.copy(v, channel + 1, &mut next[left + above * width..]);
            }
            for (out, plane) in (channel * multiple..).zip(planes) {
                let taps = Taps::<V, K>::new(v, weights.of(out, K * K));
                let epilogue = epilogue.channel(out);
                let residual = residual_plane(&residual, out).map(|r| &r[start * width..][..len]);
                let plane = &mut plane[start * width..][..len];
                for (at, to) in (0..).step_by(lanes).zip(plane.chunks_mut(lanes)) {
                    let sums = sum_taps::<V, K>(v, copied, width, at, &taps, masks, most);
                    let residual = residual.map(|r| load_row(v, &r[at..at + to.len()]));
                    store_row(v, to, epilogue.apply(v, [sums], residual));
                }
            }
            std::mem::swap(&mut copied, &mut next);
        }
    }
}

/// Rows of the map that a block reads.
struct Stretch<'a> {
    window: &'a Window<'a>,
    row: usize,
    rows: usize,
}

impl Stretch<'_> {
    /// Copies those of one channel.
    #[inline(always)]
    fn copy<V: Vector>(&self, v: V, channel: usize, to: &mut [f32]) {
        if self.rows > 0 {
            let width = self.window.map.width();
            copy(v, &self.window.map.plane(channel)[self.row * width..], to, self.rows * width);
        }
    }
}

/// The sums of one vector of pixels, from pixel `at` on.
#[inline(always)]
fn sum_taps<V: Vector, const K: usize>(
    v: V,
    copied: &[f32],
    width: usize,
    at: usize,
    taps: &Taps<'_, V, K>,
    masks: &[f32],
    most: usize,
) -> V::f32s {
    let mut keep = [v.splat_f32s(0.0); K];
    for (column, keep) in keep.iter_mut().enumerate() {
        *keep = load::<V>(&masks[column * most + at..]);
    }
    let mut sums = v.splat_f32s(0.0);
    for row in 0..K {
        let from = &copied[row * width + at..][..V::F32_LANES + K - 1];
        for column in 0..K {
            let x = v.and_f32s(load::<V>(&from[column..]), keep[column]);
            sums = v.fma(taps.at(v, row, column), x, sums);
        }
    }
    sums
}
