//! Maximum and average pooling.
//!
//! An output row first combines its input rows, then the columns of the result: both in ascending order. Bound: loads,
//! kernel rows + kernel columns for each value rather than their product.

use crate::gather::{outputs_inside, pick};
use crate::isa::{Kernel, Vector, load, store};
use crate::map::check_planes;
use crate::scratch::Buffers;
use crate::{Isa, KernelError, Map, Scratch, Strip};

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

impl Kernel for Pooled<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Pooled { pool, strip, output, buffers } = self;
        let Strip { input, top, bottom, ref rows, .. } = *strip;
        let lanes = V::F32_LANES;
        let [row_stride, stride] = pool.stride;
        let reach = (pool.kernel[1] - 1) * pool.dilation[1];
        // Columns of one phase of the stride, in whole vectors of outputs.
        let columns = pool.out_width.next_multiple_of(lanes) + reach / stride;
        let combined = buffers.first.take(pool.width.next_multiple_of(lanes));
        let phases = buffers.second.take(stride * columns + lanes);
        let counts = buffers.third.take(2 * pool.out_width.next_multiple_of(lanes));
        let (counts, line) = counts.split_at_mut(pool.out_width.next_multiple_of(lanes));
        counts.fill(1.0);
        for (x, count) in counts.iter_mut().enumerate().take(pool.out_width) {
            *count = pool.count(1, x, pool.left, pool.width, pool.right) as f32;
        }
        phases.fill(pool.neutral());

        for (channel, plane) in output.iter_mut().enumerate() {
            for (row, to) in rows.clone().zip(plane.chunks_exact_mut(pool.out_width)) {
                combined.fill(pool.neutral());
                for tap in 0..pool.kernel[0] {
                    let line = (row * row_stride + tap * pool.dilation[0]).checked_sub(top);
                    if let Some(line) = line.filter(|&line| line < input.rows()) {
                        combine_row(v, pool, input, [channel, line], combined);
                    }
                }
                for (phase, to) in phases.chunks_exact_mut(columns).enumerate().take(stride) {
                    let reach = phase as isize - pool.left as isize;
                    let inside = outputs_inside(reach, stride, pool.width, columns);
                    if !inside.is_empty() {
                        let from = &combined[(inside.start * stride).strict_add_signed(reach)..pool.width];
                        let to = &mut to[inside];
                        match stride {
                            1 => to.copy_from_slice(from),
                            2 => pick::<2>(from, to),
                            _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f),
                        }
                    }
                }
                let rows_counted = pool.count(0, row, top, input.rows(), bottom) as f32;
                for at in (0..pool.out_width).step_by(lanes) {
                    let mut value = v.splat_f32s(pool.neutral());
                    for tap in 0..pool.kernel[1] {
                        let x = tap * pool.dilation[1];
                        let from = &phases[x % stride * columns + x / stride + at..];
                        value = pool.combine(v, value, load::<V>(from));
                    }
                    if pool.kind != PoolKind::Max {
                        let count = v.mul_f32s(load::<V>(&counts[at..]), v.splat_f32s(rows_counted));
                        value = v.div_f32s(value, count);
                    }
                    store::<V>(&mut line[at..], value);
                }
                to.copy_from_slice(&line[..pool.out_width]);
            }
        }
    }
}

/// Combines one input row into `combined`.
#[inline(always)]
fn combine_row<V: Vector>(
    v: V,
    pool: &Pool,
    input: Map<'_>,
    [channel, line]: [usize; 2],
    combined: &mut [f32],
) {
    let row = input.row(channel, line);
    let whole = row.len() / V::F32_LANES * V::F32_LANES;
    for at in (0..whole).step_by(V::F32_LANES) {
        let value = pool.combine(v, load::<V>(&combined[at..]), load::<V>(&row[at..]));
        store::<V>(&mut combined[at..], value);
    }
    for (to, &from) in combined[whole..].iter_mut().zip(&row[whole..]) {
        *to = match pool.kind {
            PoolKind::Max => {
                if from > *to {
                    from
                } else {
                    *to
                }
            }
            _ => *to + from,
        };
    }
}
