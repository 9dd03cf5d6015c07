//! Maximum and average pooling.
//!
//! An output row first combines its input rows, then the columns of the result: both in ascending order. The combined
//! rows of a channel lie one after the other, padding between them, and columns run on across the ends of rows, so that
//! narrow maps fill whole vectors. Bound: loads, kernel rows + kernel columns for each value rather than their product.

use crate::gather::{copy_before, pick};
use crate::isa::{Kernel, MAX_LANES, Vector, load, load_few, store, store_few};
use crate::map::check_planes;
use crate::scratch::Buffers;
use crate::{Isa, KernelError, Scratch, Strip};

/// What a pool computes of the values under its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest value inside the map.
    Max,
    /// The mean of the values inside the map.
    Average,
    /// The mean of all values, padding counted as zeros; what lies beyond the padding is not counted.
    AverageWithPadding,
}

/// The geometry of a pool, without its rows. Pairs are (rows, columns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What it computes.
    pub kind: PoolKind,
    /// Width of the input.
    pub width: usize,
    /// Width of the output. With rounding up, the last window may reach beyond the padding.
    pub out_width: usize,
    /// Size of the window.
    pub kernel: [usize; 2],
    /// Step from one output to the next.
    pub stride: [usize; 2],
    /// Step from one tap of the window to the next.
    pub dilation: [usize; 2],
    /// Columns of padding left of the input.
    pub left: usize,
    /// Columns of padding right of the input.
    pub right: usize,
}

impl Pool {
    /// Computes `strip.rows` of every channel into `output`, one slice a channel. Windows may reach beyond the strip's
    /// bottom padding, as with rounding up. The residual is not used.
    ///
    /// # Errors
    /// If the sizes do not match, or the machine lacks the instruction set.
    pub fn run_planes(
        &self,
        isa: Isa,
        strip: &Strip<'_>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let sizes = [self.width, self.out_width].into_iter();
        if sizes.chain(self.kernel).chain(self.stride).chain(self.dilation).any(|size| size == 0) {
            return Err(KernelError::Shape(
                "widths, kernel, stride and dilation of a pool must be at least 1",
            ));
        }
        let input = strip.input;
        input.check("input", input.channels(), input.rows(), self.width)?;
        check_planes(output, input.channels(), strip.rows.len() * self.out_width)?;
        isa.checked()?.run(Pooled { pool: self, strip, output, buffers: &mut scratch.buffers });
        Ok(())
    }

    /// The value that combining starts from.
    fn neutral(&self) -> f32 {
        if self.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 }
    }

    #[inline(always)]
    fn combine<V: Vector>(&self, v: V, a: V::f32s, b: V::f32s) -> V::f32s {
        if self.kind == PoolKind::Max { v.max_f32s(a, b) } else { v.add_f32s(a, b) }
    }

    /// Taps of direction `axis` that count for output `position`, over `size` values with `before` and `after` padding.
    fn count(&self, axis: usize, position: usize, before: usize, size: usize, after: usize) -> usize {
        let taps = (0..self.kernel[axis]).map(|tap| position * self.stride[axis] + tap * self.dilation[axis]);
        match self.kind {
            PoolKind::AverageWithPadding => taps.filter(|&at| at < before + size + after).count(),
            _ => taps.filter(|&at| at >= before && at < before + size).count(),
        }
    }
}

struct Pooled<'a, 'b> {
    pool: &'a Pool,
    strip: &'a Strip<'a>,
    output: &'a mut [&'b mut [f32]],
    buffers: &'a mut Buffers,
}

/// Values of the combined rows computed at once: they stay in the first-level cache.
const COMBINED: usize = 4096;

impl Kernel for Pooled<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Pooled { pool, strip, output, buffers } = self;
        let Strip { top, bottom, ref rows, .. } = *strip;
        let lanes = V::F32_LANES;
        let [row_stride, stride] = pool.stride;
        let reach = (pool.kernel[1] - 1) * pool.dilation[1];
        let columns =
            (pool.left + pool.width).max((pool.out_width - 1) * stride + reach + 1).div_ceil(stride);
        let pitch = columns * stride;
        let block = (COMBINED / pitch).clamp(1, rows.len().max(1));
        let size = (block * columns).next_multiple_of(lanes) + reach / stride + 2 * lanes;
        let combined = buffers.first.take(size * stride);
        let phases = buffers.second.take(size * stride);
        let (counts, sums) =
            buffers.third.take(pool.out_width + lanes + size).split_at_mut(pool.out_width + lanes);
        counts.fill(1.0);
        for (x, count) in counts.iter_mut().enumerate().take(pool.out_width) {
            *count = pool.count(1, x, pool.left, pool.width, pool.right) as f32;
        }
        // The padding around the rows stays; only what lies between changes from channel to channel.
        combined.fill(pool.neutral());
        let mut inside = [0.0; MAX_LANES];
        inside[..pool.width % lanes].fill(1.0);
        let tail = v.less_than_f32s(v.splat_f32s(0.5), load::<V>(&inside));

        for start in (0..rows.len()).step_by(block) {
            let count = block.min(rows.len() - start);
            for (channel, plane) in output.iter_mut().enumerate() {
                for y in 0..count {
                    let first = (rows.start + start + y) * row_stride;
                    combine_rows(
                        v,
                        pool,
                        strip,
                        [channel, first],
                        tail,
                        &mut combined[y * pitch + pool.left..],
                    );
                }
                let len = count * columns;
                if stride > 1 {
                    for (phase, to) in phases.chunks_exact_mut(size).enumerate() {
                        let to = &mut to[..len + reach / stride];
                        match stride {
                            2 => pick::<2>(&combined[phase..], to),
                            _ => to
                                .iter_mut()
                                .zip(combined[phase..].iter().step_by(stride))
                                .for_each(|(t, f)| *t = *f),
                        }
                    }
                }
                let split = if stride > 1 { &*phases } else { &*combined };
                for at in (0..len).step_by(lanes) {
                    let mut value = load::<V>(&split[at..]);
                    for tap in 1..pool.kernel[1] {
                        let x = tap * pool.dilation[1];
                        value =
                            pool.combine(v, value, load::<V>(&split[x % stride * size + x / stride + at..]));
                    }
                    store::<V>(&mut sums[at..], value);
                }
                let plane = &mut plane[start * pool.out_width..][..count * pool.out_width];
                for y in 0..count {
                    let from = &sums[y * columns..];
                    let to = &mut plane[y * pool.out_width..];
                    if pool.kind == PoolKind::Max {
                        copy_before(v, from, to, pool.out_width);
                        continue;
                    }
                    let counted =
                        pool.count(0, rows.start + start + y, top, strip.input.rows(), bottom) as f32;
                    divide(v, from, counts, counted, &mut to[..pool.out_width]);
                }
            }
        }
    }
}

/// Combines the input rows under the output row that begins in row `first`, padding counted. Whole vectors are written:
/// behind the row they hold padding.
#[inline(always)]
fn combine_rows<V: Vector>(
    v: V,
    pool: &Pool,
    strip: &Strip<'_>,
    [channel, first]: [usize; 2],
    tail: V::m32s,
    to: &mut [f32],
) {
    let (lanes, width, step) = (V::F32_LANES, pool.width, pool.dilation[0]);
    let neutral = v.splat_f32s(pool.neutral());
    let before = strip.top.saturating_sub(first).div_ceil(step).min(pool.kernel[0]);
    let end =
        (strip.top + strip.input.rows()).saturating_sub(first).div_ceil(step).clamp(before, pool.kernel[0]);
    let plane = strip.input.beyond(channel);
    let line = |tap: usize| &plane[(first + tap * step - strip.top) * width..];
    for at in (0..width).step_by(lanes) {
        let mut value = neutral;
        for tap in before..end {
            let from = &line(tap)[at..];
            let x = if from.len() >= lanes { load::<V>(from) } else { load_few(v, from) };
            value = if tap == before { x } else { pool.combine(v, value, x) };
        }
        if at + lanes > width {
            value = v.select_f32s(tail, value, neutral);
        }
        store::<V>(&mut to[at..], value);
    }
}

/// Divides sums by how many values they are made of.
#[inline(always)]
fn divide<V: Vector>(v: V, sums: &[f32], counts: &[f32], rows: f32, to: &mut [f32]) {
    for (at, to) in (0..).step_by(V::F32_LANES).zip(to.chunks_mut(V::F32_LANES)) {
        let count = v.mul_f32s(load::<V>(&counts[at..]), v.splat_f32s(rows));
        let mean = v.div_f32s(load::<V>(&sums[at..]), count);
        if to.len() == V::F32_LANES { store::<V>(to, mean) } else { store_few(v, to, mean) }
    }
}
