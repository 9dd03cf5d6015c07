//! Convolution of each channel by itself.
//!
//! A channel's rows are copied between zeros. On wide maps, and where the stride is 2, 3×3 and 5×5 kernels compute four
//! rows at once and share the loads; a stride of 2 splits two vectors into their even and odd columns. Otherwise outputs
//! run on across the ends of rows, so that narrow maps fill whole vectors. In either form an output is one chain of
//! multiply-adds over the taps in order, so the form does not show in its bits.
//! Bound: loads from the first-level cache, and for the widest maps memory.
//!
//! Measured (AVX-512, peak 136 GMAC/s): 3×3 on maps of 56 and 112 37–41, on 14×14 22, on 7×7 13; stride 2 from 112×112 15,
//! where copying rows costs more than computing; 5×5 on 14×14 27.

use crate::copies::Copies;
use crate::epilogue::{Epilogue, residual_plane};
use crate::gather::{Window, copy_before};
use crate::isa::{Kernel, Vector, load, store};
use crate::scratch::Buffers;
use crate::tile::{load_row, store_row};
use crate::{ConvShape, KernelError, Map, flat};
use std::ops::Range;

/// Weights of a depthwise layer as they came: out channels × taps.
#[derive(Debug)]
pub(crate) struct DepthwiseWeights {
    values: Vec<f32>,
}

impl DepthwiseWeights {
    pub(crate) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }

    /// The weights of one output channel.
    #[inline(always)]
    pub(crate) fn of(&self, channel: usize, taps: usize) -> &[f32] {
        &self.values[channel * taps..][..taps]
    }
}

pub(crate) fn pack(shape: &ConvShape, weights: &[f32]) -> Result<DepthwiseWeights, KernelError> {
    if !shape.is_depthwise() {
        let needs = "as many groups as input channels";
        return Err(KernelError::Algorithm { algorithm: "Depthwise", needs });
    }
    Ok(DepthwiseWeights { values: weights.to_vec() })
}

/// Values of the copied rows of one channel: they stay in the first-level cache.
const COPIED: usize = 6144;

/// Vectors computed together where outputs run on across rows.
const VECTORS: usize = 4;

/// Rows computed together on wide maps.
const ROWS: usize = 4;

/// One run of a layer.
pub(crate) struct Depthwise<'a, 'b> {
    pub(crate) weights: &'a DepthwiseWeights,
    pub(crate) epilogue: &'a Epilogue,
    pub(crate) window: Window<'a>,
    pub(crate) rows: usize,
    pub(crate) residual: Option<Map<'a>>,
    /// One plane for each of `channels`.
    pub(crate) output: &'a mut [&'b mut [f32]],
    /// The output channels to compute: all of some input channels.
    pub(crate) channels: Range<usize>,
    /// Output channels of an input channel.
    pub(crate) multiple: usize,
    pub(crate) buffers: &'a mut Buffers,
}

impl Kernel for Depthwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        if flat::fits::<3>(&self.window) {
            return flat::run::<V, 3>(v, self);
        }
        if flat::fits::<5>(&self.window) {
            return flat::run::<V, 5>(v, self);
        }
        let Depthwise { weights, epilogue, window, rows, residual, output, channels, multiple, buffers } =
            self;
        let Window { kernel, stride, dilation, out_width, .. } = window;
        let wide = dilation == [1, 1] && (out_width >= V::F32_LANES || stride == [2, 2]);
        let form = match (kernel, stride) {
            ([3, 3], [1, 1]) if wide => Form::Wide3,
            ([3, 3], [2, 2]) if wide => Form::Wide3Stride2,
            ([5, 5], [1, 1]) if wide => Form::Wide5,
            ([5, 5], [2, 2]) if wide => Form::Wide5Stride2,
            _ => Form::Any,
        };
        let phases = if matches!(form, Form::Any) { stride } else { [1, 1] };
        let all = phases[0] * phases[1];
        let width = (out_width - 1) * stride[1] / phases[1] + 1 + (kernel[1] - 1) * dilation[1] / phases[1];
        let reach = (kernel[0] - 1) * dilation[0];
        // Rows of a phase that `count` output rows need.
        let needed = |count: usize| ((count - 1) * stride[0] + reach) / phases[0] + 1;
        let fits = |count: &usize| needed(*count) * width * all <= COPIED;
        let most = (1..=rows).rev().find(fits).unwrap_or(1);
        let block = rows.div_ceil(rows.div_ceil(most));
        let copies = Copies { width, rows: needed(block), phases };

        buffers.taps.clear();
        for row in 0..kernel[0] {
            let row = copies.row(row * dilation[0]);
            buffers.taps.extend((0..kernel[1]).map(|column| row + copies.column(column * dilation[1])));
        }
        let group = VECTORS * V::F32_LANES;
        let copied = buffers.first.take(copies.phase(all) + group);
        let sums = buffers.second.take(block * width + group);
        let taps = kernel[0] * kernel[1];
        for start in (0..rows).step_by(block) {
            let count = block.min(rows - start);
            // The zeros around the rows stay; only what lies between them changes from channel to channel.
            copied.fill(0.0);
            let sources = channels.start / multiple..;
            for (channel, planes) in sources.zip(output.chunks_exact_mut(multiple)) {
                copies.fill(v, &window, channel, start, needed(count) * phases[0], copied);
                for (index, plane) in planes.iter_mut().enumerate() {
                    let out = channel * multiple + index;
                    let span = start * out_width..(start + count) * out_width;
                    let weights = weights.of(out, taps);
                    let mut plane = Plane {
                        epilogue: epilogue.channel(out),
                        residual: residual_plane(&residual, out).map(|r| &r[span.clone()]),
                        values: &mut plane[span],
                        width: out_width,
                    };
                    match form {
                        Form::Wide3 => wide_rows::<V, 3, 1>(v, width, copied, weights, &mut plane),
                        Form::Wide3Stride2 => wide_rows::<V, 3, 2>(v, width, copied, weights, &mut plane),
                        Form::Wide5 => wide_rows::<V, 5, 1>(v, width, copied, weights, &mut plane),
                        Form::Wide5Stride2 => wide_rows::<V, 5, 2>(v, width, copied, weights, &mut plane),
                        Form::Any => {
                            run_on(v, copied, weights, &buffers.taps, (count - 1) * width + out_width, sums);
                            plane.finish(v, sums, width);
                        }
                    }
                }
            }
        }
    }
}

/// Which of the ways to the same bits a layer takes.
#[derive(Clone, Copy)]
enum Form {
    Wide3,
    Wide3Stride2,
    Wide5,
    Wide5Stride2,
    Any,
}

/// Output rows of one channel.
struct Plane<'a> {
    epilogue: crate::epilogue::ChannelEpilogue,
    residual: Option<&'a [f32]>,
    values: &'a mut [f32],
    width: usize,
}

impl Plane<'_> {
    /// Takes rows of sums that lie `stride` apart.
    #[inline(always)]
    fn finish<V: Vector>(&mut self, v: V, sums: &mut [f32], stride: usize) {
        if self.residual.is_none() {
            let len = self.values.len() / self.width * stride;
            for at in (0..len).step_by(V::F32_LANES) {
                let [value] = self.epilogue.apply(v, [load::<V>(&sums[at..])], None);
                store::<V>(&mut sums[at..], value);
            }
            let mut start = 0;
            for row in (0..len).step_by(stride) {
                copy_before(v, &sums[row..], &mut self.values[start..], self.width);
                start += self.width;
            }
            return;
        }
        for (y, to) in self.values.chunks_exact_mut(self.width).enumerate() {
            let residual = self.residual.map(|r| &r[y * self.width..][..self.width]);
            self.epilogue.apply_row(v, &sums[y * stride..], residual, to);
        }
    }

    /// Takes the sums of a vector of outputs, or of a row that is shorter.
    #[inline(always)]
    fn store<V: Vector>(&mut self, v: V, row: usize, column: usize, sums: V::f32s) {
        let at = row * self.width + column;
        let end = at + self.width.min(V::F32_LANES);
        let residual = self.residual.map(|r| load_row(v, &r[at..end]));
        store_row(v, &mut self.values[at..end], self.epilogue.apply(v, [sums], residual));
    }
}

/// Sums of `len` outputs on end, each `taps` away from its inputs.
#[inline(always)]
fn run_on<V: Vector>(v: V, copied: &[f32], weights: &[f32], taps: &[usize], len: usize, sums: &mut [f32]) {
    let mut at = 0;
    while at < len {
        let vectors = (len - at).div_ceil(V::F32_LANES).min(VECTORS);
        match vectors {
            1 => run_vectors::<V, 1>(v, copied, weights, taps, at, sums),
            2 => run_vectors::<V, 2>(v, copied, weights, taps, at, sums),
            3 => run_vectors::<V, 3>(v, copied, weights, taps, at, sums),
            _ => run_vectors::<V, VECTORS>(v, copied, weights, taps, at, sums),
        }
        at += vectors * V::F32_LANES;
    }
}

#[inline(always)]
fn run_vectors<V: Vector, const N: usize>(
    v: V,
    copied: &[f32],
    weights: &[f32],
    taps: &[usize],
    at: usize,
    sums: &mut [f32],
) {
    let group = N * V::F32_LANES;
    let mut acc = [v.splat_f32s(0.0); N];
    for (&weight, &tap) in weights.iter().zip(taps) {
        let from = &copied[tap + at..][..group];
        let weight = v.splat_f32s(weight);
        for (j, acc) in acc.iter_mut().enumerate() {
            *acc = v.fma(weight, load::<V>(&from[j * V::F32_LANES..]), *acc);
        }
    }
    let to = &mut sums[at..][..group];
    for (j, &acc) in acc.iter().enumerate() {
        store::<V>(&mut to[j * V::F32_LANES..], acc);
    }
}

/// A `K`×`K` kernel of stride `S`, several rows at once; the copied rows lie `pitch` apart.
#[inline(always)]
fn wide_rows<V: Vector, const K: usize, const S: usize>(
    v: V,
    pitch: usize,
    copied: &[f32],
    weights: &[f32],
    plane: &mut Plane<'_>,
) {
    let rows = plane.values.len() / plane.width;
    let whole = rows / ROWS * ROWS;
    let taps = Taps::<V, K>::new(v, weights);
    for row in (0..whole).step_by(ROWS) {
        wide_tile::<V, K, S, ROWS>(v, pitch, copied, &taps, row, plane);
    }
    for row in whole..rows {
        wide_tile::<V, K, S, 1>(v, pitch, copied, &taps, row, plane);
    }
}

#[inline(always)]
fn wide_tile<V: Vector, const K: usize, const S: usize, const R: usize>(
    v: V,
    pitch: usize,
    copied: &[f32],
    taps: &Taps<'_, V, K>,
    row: usize,
    plane: &mut Plane<'_>,
) {
    let mut column = 0;
    while column < plane.width {
        // The last vector ends with the row, and may compute some outputs a second time.
        let at = column.min(plane.width.saturating_sub(V::F32_LANES));
        let mut acc = [v.splat_f32s(0.0); R];
        for line in 0..(R - 1) * S + K {
            let x = line_taps::<V, K, S>(v, &copied[(row * S + line) * pitch + at * S..]);
            // Constants only index, or the compiler would keep vectors in memory.
            #[allow(clippy::needless_range_loop)]
            for kx in 0..K {
                for (j, acc) in acc.iter_mut().enumerate() {
                    if line >= j * S && line < j * S + K {
                        *acc = v.fma(taps.at(v, line - j * S, kx), x[kx], *acc);
                    }
                }
            }
        }
        for (j, &acc) in acc.iter().enumerate() {
            plane.store(v, row + j, at, acc);
        }
        column += V::F32_LANES;
    }
}

/// The weights of a square kernel.
pub(crate) struct Taps<'a, V: Vector, const K: usize> {
    weights: &'a [[f32; K]],
    /// Each in all lanes.
    splat: [[V::f32s; K]; K],
}

impl<'a, V: Vector, const K: usize> Taps<'a, V, K> {
    #[inline(always)]
    pub(crate) fn new(v: V, weights: &'a [f32]) -> Self {
        let weights = &weights.as_chunks::<K>().0[..K];
        let mut splat = [[v.splat_f32s(0.0); K]; K];
        for (splat, weights) in splat.iter_mut().zip(weights) {
            for (splat, &weight) in splat.iter_mut().zip(weights) {
                *splat = v.splat_f32s(weight);
            }
        }
        Taps { weights, splat }
    }

    /// One of them. Those of 3×3 stay in registers while a plane passes by; of more, one of four bytes is read again
    /// for each use rather than a whole vector.
    #[inline(always)]
    pub(crate) fn at(&self, v: V, row: usize, column: usize) -> V::f32s {
        if K <= 3 { self.splat[row][column] } else { v.splat_f32s(self.weights[row][column]) }
    }
}

/// What each tap of a row of the kernel reads for a vector of outputs, the first of which begins at the start of `from`.
#[inline(always)]
fn line_taps<V: Vector, const K: usize, const S: usize>(v: V, from: &[f32]) -> [V::f32s; K] {
    let mut x = [v.splat_f32s(0.0); K];
    let from = &from[..K - 1 + S * V::F32_LANES];
    if S == 1 {
        for (kx, x) in x.iter_mut().enumerate() {
            *x = load::<V>(&from[kx..]);
        }
    } else {
        for kx in (0..K).step_by(2) {
            let [even, odd] = v.split(load::<V>(&from[kx..]), load::<V>(&from[kx + V::F32_LANES..]));
            x[kx] = even;
            if kx + 1 < K {
                x[kx + 1] = odd;
            }
        }
    }
    x
}
