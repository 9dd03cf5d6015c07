//! Rows of one channel in vectors, for instruction sets whose vectors most maps' rows fill.
//!
//! Rows are copied between zeros, columns apart by the stride, so that each tap of consecutive outputs reads consecutive
//! values. Where vectors cover the zeros between two rows as well, rows follow one another as vectors do. An output is the
//! same chain of multiply-adds as of channels side by side. Bound: loads, one for each multiply-add, of which every
//! second crosses a cache line; copying takes a fifth.
//!
//! Measured (AVX2, a Zen 3, fastest of 15 rounds in turn, channels side by side → rows): 3×3 on 32 × 112 × 112 424 → 234 µs, on
//! 144 × 56 × 56 460 → 289, on 576 × 14 × 14 120 → 85, on 1152 × 7 × 7 69 → 62; of stride 2 on 96 × 112 × 112 560 → 313, on 144 × 56 × 56
//! 211 → 117, on 576 × 14 × 14 55 → 59; 5×5 of stride 2 on 144 × 56 × 56 273 → 188, of stride 1 on 240 × 28 × 28 276 → 234, on
//! 1152 × 7 × 7 94 → 95.

use crate::copies::Copies;
use crate::epilogue::{ChannelEpilogue, residual_plane};
use crate::gather::Window;
use crate::isa::{Vector, load, load_at_most, store, store_at_most};
use crate::run::Run;
use crate::tile::PANEL;
use crate::weights::Line;

/// Vectors of outputs computed at once: with a weight they fit the registers.
const VECTORS: usize = 14;

/// Values of the copied rows computed at once: they stay in the first-level cache.
const COPIED: usize = 5 * 1024;

/// Whether the form computes a layer well: where rows fill less of their vectors, channels side by side are faster. The
/// bits are the same.
pub(super) fn fits<V: Vector>(out_width: usize) -> bool {
    V::F32_LANES == 8 && 5 * out_width.next_multiple_of(V::F32_LANES) <= 8 * out_width
}

#[inline(always)]
pub(super) fn run<V: Vector>(v: V, layer: Run<'_, '_>) {
    let multiple = layer.out_channels / layer.in_channels;
    let Run { weights, epilogue, window, rows, residual, output, channels, buffers, .. } = layer;
    let residual = residual.map();
    let lanes = V::F32_LANES;
    let Window { kernel, stride, dilation, out_width, .. } = window;
    let vectors = out_width.div_ceil(lanes);
    let reach = [0, 1].map(|axis| (kernel[axis] - 1) * dilation[axis] / stride[axis]);
    // The zeros right of a row may be those left of the next.
    let left = window.left as usize;
    let all = out_width + reach[1];
    let inside = (left + window.map.width()).div_ceil(stride[1]);
    let least = inside.max(all.saturating_sub(left / stride[1])).clamp(out_width, all);
    // Vectors from the start of one row to that of the next, where rows follow one another as vectors do.
    let through = least <= vectors * lanes;
    let apart = if !through && vectors == 1 && least <= 2 * lanes { 2 } else { 1 };
    let width = least.next_multiple_of(lanes);
    let phases = stride[0] * stride[1];
    let most = (COPIED / (width * phases)).saturating_sub(reach[0]).clamp(1, rows);
    let block = rows.div_ceil(rows.div_ceil(most));
    let copies = Copies { width, rows: block + reach[0], phases: stride };
    let size = if dilation[1] == 1 { [kernel[1], stride[1]] } else { [0, 0] };

    buffers.taps.clear();
    buffers.taps.extend((0..kernel[0]).map(|row| copies.row(row * dilation[0])));
    buffers.taps.extend((0..kernel[1]).map(|column| copies.column(column * dilation[1])));
    let taps = buffers.taps.len();
    for row in 0..block {
        buffers.taps.extend((0..vectors).map(|i| row * out_width + i * lanes));
    }
    let (taps, places) = buffers.taps.split_at(taps);
    let (tap_rows, tap_columns) = taps.split_at(kernel[0]);
    // What is copied starts where a vector does.
    let skipped = (lanes - left / stride[1] % lanes) % lanes;
    let copied = &mut buffers.first.take(skipped + copies.phase(phases) + 2 * lanes + reach[1])[skipped..];
    for start in (0..rows).step_by(block) {
        let count = block.min(rows - start);
        copied.fill(0.0);
        let inside = channels.start / multiple..channels.end / multiple;
        for (channel, planes) in inside.zip(output.chunks_mut(multiple)) {
            copies.fill(v, &window, channel, start, (count + reach[0]) * stride[0], copied);
            for (copy, plane) in planes.iter_mut().enumerate() {
                let out = channel * multiple + copy;
                let products = Products {
                    tap_rows,
                    tap_columns,
                    size,
                    lines: weights.panel(copy, channel / PANEL),
                    lane: channel % PANEL,
                    epilogue: epilogue.channel(out),
                };
                let plane = &mut plane[start * out_width..];
                let residual = residual_plane(&residual, out).map(|plane| &plane[start * out_width..]);
                let places = &places[..count * vectors];
                if through {
                    products.chunks::<V, 1>(v, copied, places, residual, plane);
                } else if apart == 2 {
                    products.chunks::<V, 2>(v, copied, places, residual, plane);
                } else {
                    for (row, places) in places.chunks_exact(vectors).enumerate() {
                        products.chunks::<V, 1>(v, &copied[row * width..], places, residual, plane);
                    }
                }
            }
        }
    }
}

/// What the rows of a channel are multiplied by, and what happens to the sums.
#[derive(Clone, Copy)]
struct Products<'a> {
    /// Where the taps of a row of the kernel begin, and what a column of it adds.
    tap_rows: &'a [usize],
    tap_columns: &'a [usize],
    /// Columns of the kernel, and the stride along them, where they are one of the usual.
    size: [usize; 2],
    lines: &'a [Line],
    lane: usize,
    epilogue: ChannelEpilogue,
}

impl Products<'_> {
    /// Computes the vectors that go to `places`; they lie `STEP` vectors apart in `copied`.
    #[inline(always)]
    fn chunks<V: Vector, const STEP: usize>(
        self,
        v: V,
        copied: &[f32],
        places: &[usize],
        residual: Option<&[f32]>,
        plane: &mut [f32],
    ) {
        let mut at = 0;
        while at < places.len() {
            let rest = places.len() - at;
            let count = if rest >= 2 * VECTORS { VECTORS } else { rest.div_ceil(rest.div_ceil(VECTORS)) };
            let copied = &copied[at * STEP * V::F32_LANES..];
            let places = &places[at..at + count];
            at += count;
            match count {
                1 => self.some::<V, STEP, 1>(v, copied, places, residual, plane),
                2 => self.some::<V, STEP, 2>(v, copied, places, residual, plane),
                3 => self.some::<V, STEP, 3>(v, copied, places, residual, plane),
                4 => self.some::<V, STEP, 4>(v, copied, places, residual, plane),
                5 => self.some::<V, STEP, 5>(v, copied, places, residual, plane),
                6 => self.some::<V, STEP, 6>(v, copied, places, residual, plane),
                7 => self.some::<V, STEP, 7>(v, copied, places, residual, plane),
                8 => self.some::<V, STEP, 8>(v, copied, places, residual, plane),
                9 => self.some::<V, STEP, 9>(v, copied, places, residual, plane),
                10 => self.some::<V, STEP, 10>(v, copied, places, residual, plane),
                11 => self.some::<V, STEP, 11>(v, copied, places, residual, plane),
                12 => self.some::<V, STEP, 12>(v, copied, places, residual, plane),
                13 => self.some::<V, STEP, 13>(v, copied, places, residual, plane),
                _ => self.some::<V, STEP, VECTORS>(v, copied, places, residual, plane),
            }
        }
    }

    #[inline(always)]
    fn some<V: Vector, const STEP: usize, const N: usize>(
        self,
        v: V,
        copied: &[f32],
        places: &[usize],
        residual: Option<&[f32]>,
        plane: &mut [f32],
    ) {
        let sums = match self.size {
            [3, 1] => self.sums::<V, STEP, N, 3, 1>(v, copied),
            [3, 2] => self.sums::<V, STEP, N, 3, 2>(v, copied),
            [5, 1] => self.sums::<V, STEP, N, 5, 1>(v, copied),
            [5, 2] => self.sums::<V, STEP, N, 5, 2>(v, copied),
            _ => self.sums_of_any::<V, STEP, N>(v, copied),
        };
        finish(v, self.epilogue, sums, places, residual, plane);
    }

    /// The sums of `N` vectors, for a kernel of `K` columns whose stride is `S`.
    #[inline(always)]
    fn sums<V: Vector, const STEP: usize, const N: usize, const K: usize, const S: usize>(
        self,
        v: V,
        copied: &[f32],
    ) -> [V::f32s; N] {
        let (step, lanes) = (STEP * V::F32_LANES, V::F32_LANES);
        let mut sums = [v.splat_f32s(0.0); N];
        let odd = if S == 2 { self.tap_columns[1] } else { 0 };
        for (&row, lines) in self.tap_rows.iter().zip(self.lines.as_chunks::<K>().0) {
            let even = &copied[row..][..(N - 1) * step + lanes + (K - 1) / S];
            let odd = &copied[row + odd..][..(N - 1) * step + lanes + (K - 1) / S];
            for (x, line) in lines.iter().enumerate() {
                let weight = v.splat_f32s(line[self.lane % PANEL]);
                let from = if S == 2 && x % 2 == 1 { odd } else { even };
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = v.fma(weight, load::<V>(&from[x / S + j * step..]), *sum);
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn sums_of_any<V: Vector, const STEP: usize, const N: usize>(self, v: V, copied: &[f32]) -> [V::f32s; N] {
        let (step, lanes) = (STEP * V::F32_LANES, V::F32_LANES);
        let mut sums = [v.splat_f32s(0.0); N];
        for (&row, lines) in self.tap_rows.iter().zip(self.lines.chunks_exact(self.tap_columns.len())) {
            for (&column, line) in self.tap_columns.iter().zip(lines) {
                let weight = v.splat_f32s(line[self.lane % PANEL]);
                let from = &copied[row + column..][..(N - 1) * step + lanes];
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = v.fma(weight, load::<V>(&from[j * step..]), *sum);
                }
            }
        }
        sums
    }
}

/// Passes sums through the epilogue to their places, which ascend. What lies behind a row is overwritten by the next.
#[inline(always)]
fn finish<V: Vector, const N: usize>(
    v: V,
    epilogue: ChannelEpilogue,
    sums: [V::f32s; N],
    places: &[usize],
    residual: Option<&[f32]>,
    plane: &mut [f32],
) {
    let added = match residual {
        Some(residual) => {
            let mut added = [v.splat_f32s(0.0); N];
            for (added, &at) in added.iter_mut().zip(places) {
                *added = load_at_most(v, &residual[at..]);
            }
            Some(added)
        }
        None => None,
    };
    let values = epilogue.apply(v, sums, added);
    if places[N - 1] + V::F32_LANES <= plane.len() {
        for (value, &at) in values.into_iter().zip(places) {
            store::<V>(&mut plane[at..], value);
        }
    } else {
        for (value, &at) in values.into_iter().zip(places) {
            store_at_most(v, &mut plane[at..], value);
        }
    }
}
