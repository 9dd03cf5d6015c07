//! Pools of maps in blocks: lanes are channels, so that nothing is split or shifted, whatever the stride.
//!
//! Values are combined in the order of [`crate::pool`], padding included, so the bits are those of planes. Bound: loads, kernel rows for each
//! pixel read and kernel columns for each one written.

use crate::isa::{Kernel, Vector, load, store};
use crate::pool::{Pool, PoolKind, combine};
use crate::scratch::Buffers;
use crate::tile::PANEL;
use crate::turn::turn_back;
use crate::{Layout, Strip};

/// One run of a pool whose input lies in blocks.
pub(crate) struct BlockPool<'a, 'b> {
    pub(crate) pool: &'a Pool,
    pub(crate) strip: &'a Strip<'a>,
    /// Of the output.
    pub(crate) layout: Layout,
    pub(crate) output: &'a mut [&'b mut [f32]],
    pub(crate) buffers: &'a mut Buffers,
}

impl Kernel for BlockPool<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        // Fewer lanes never come here, see `Pool::takes`.
        if V::F32_LANES == PANEL {
            match self.pool.kind {
                PoolKind::Max => run::<V, true>(v, self),
                _ => run::<V, false>(v, self),
            }
        }
    }
}

#[inline(always)]
fn run<V: Vector, const MAX: bool>(v: V, layer: BlockPool<'_, '_>) {
    let BlockPool { pool, strip, layout, output, buffers } = layer;
    let (out_width, [_, stride]) = (pool.out_width, pool.stride);
    let reach = (pool.kernel[1] - 1) * pool.dilation[1];
    let pitch = (pool.left + pool.width).max((out_width - 1) * stride + reach + 1);
    // The padding around a row stays; only what lies between changes.
    let combined = buffers.first.take(pitch * PANEL);
    combined.fill(pool.neutral());
    // Whole vectors are turned.
    let turned = out_width.next_multiple_of(PANEL) * PANEL;
    let (made, columns) = buffers.second.take(turned + out_width).split_at_mut(turned);
    for (x, count) in columns.iter_mut().enumerate() {
        *count = pool.count(1, x, pool.left, pool.width, pool.right) as f32;
    }
    let each = layout.as_planes(1, 1)[1];
    for (block, planes) in output.chunks_mut(PANEL / each).enumerate() {
        for (number, y) in strip.rows.clone().enumerate() {
            let row = &mut combined[pool.left * PANEL..][..pool.width * PANEL];
            combine_rows::<V, MAX>(v, pool, strip, [block, y * pool.stride[0]], row);
            let rows = match pool.kind {
                PoolKind::Max => None,
                _ => Some(pool.count(0, y, strip.top, strip.input.rows(), strip.bottom) as f32),
            };
            let span = number * out_width..(number + 1) * out_width;
            let to = match layout {
                Layout::Blocks => &mut planes[0][span.start * PANEL..span.end * PANEL],
                Layout::Planes => &mut made[..out_width * PANEL],
            };
            for (x, to) in to.chunks_exact_mut(PANEL).enumerate() {
                let from = &combined[x * stride * PANEL..][..(reach + 1) * PANEL];
                let mut taps = from.chunks_exact(PANEL).step_by(pool.dilation[1]);
                let mut value = v.splat_f32s(pool.neutral());
                if let Some(first) = taps.next() {
                    value = load::<V>(first);
                }
                for tap in taps {
                    value = combine::<V, MAX>(v, value, load::<V>(tap));
                }
                if let Some(rows) = rows {
                    value = v.div_f32s(value, v.splat_f32s(columns[x] * rows));
                }
                store::<V>(to, value);
            }
            if layout == Layout::Planes {
                turn_back(v, made, [0, 1], planes, span, None);
            }
        }
    }
}

/// Combines the input rows under the output row that begins in row `first`, padding counted.
#[inline(always)]
fn combine_rows<V: Vector, const MAX: bool>(
    v: V,
    pool: &Pool,
    strip: &Strip<'_>,
    [block, first]: [usize; 2],
    to: &mut [f32],
) {
    let inside = pool.rows_inside(strip, first);
    let lines = inside.map(|tap| strip.input.row(block, first + tap * pool.dilation[0] - strip.top));
    let mut lines = lines.map(|line| V::as_simd_f32s(line).0);
    let to = V::as_mut_simd_f32s(to).0;
    match (lines.next(), lines.next(), lines.next()) {
        (Some(a), Some(b), Some(c)) => {
            for (((to, &a), &b), &c) in to.iter_mut().zip(a).zip(b).zip(c) {
                *to = combine::<V, MAX>(v, combine::<V, MAX>(v, a, b), c);
            }
        }
        (Some(a), Some(b), None) => {
            for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
                *to = combine::<V, MAX>(v, a, b);
            }
        }
        (Some(a), ..) => to.copy_from_slice(a),
        (None, ..) => to.fill(v.splat_f32s(pool.neutral())),
    }
    for line in lines {
        for (to, &value) in to.iter_mut().zip(line) {
            *to = combine::<V, MAX>(v, *to, value);
        }
    }
}
