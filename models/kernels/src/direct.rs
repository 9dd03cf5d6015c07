//! Dense convolution of few input channels, as of an image: taps read rows that were copied once between zeros.
//!
//! With few input channels there are few products for every value that [`crate::product`] would gather, and as many
//! gathered values as taps. Here each input value is copied once. Bound: multiply-adds, loads that are not aligned.

use crate::copies::Copies;
use crate::gather::Window;
use crate::isa::Vector;
use crate::product::{Dense, Planes};
use crate::tile::{PANEL, Product, Taps, compute, tile_pixels};

/// Input channels up to which copies are worth it, and output columns from which on; with groups, each of which has few
/// outputs for every value gathered, they are sooner.
const FEW_CHANNELS: usize = 4;
const FEW_CHANNELS_OF_A_GROUP: usize = 16;
const WIDE_FOR_A_GROUP: usize = 12;

/// Values of the copied rows computed at once: they stay in the second-level cache.
const COPIED: usize = 48 * 1024;

/// Whether the form computes a layer well: where not, gathering is faster. The bits are the same.
pub(crate) fn fits<V: Vector>(window: &Window<'_>, groups: usize) -> bool {
    let (few, wide) = match groups {
        1 => (FEW_CHANNELS, V::F32_LANES),
        _ => (FEW_CHANNELS_OF_A_GROUP, WIDE_FOR_A_GROUP.min(V::F32_LANES)),
    };
    window.map.channels() / groups <= few && window.kernel != [1, 1] && window.out_width >= wide
}

#[inline(always)]
pub(crate) fn run<V: Vector>(v: V, layer: Dense<'_, '_>) {
    let Dense {
        weights,
        epilogue,
        window,
        residual,
        output,
        out_channels,
        channels,
        groups,
        pixels,
        buffers,
    } = layer;
    let nr = tile_pixels::<V>();
    let Window { kernel, stride, dilation, out_width, .. } = window;
    let in_channels = window.map.channels() / groups;
    let group_channels = out_channels / groups;
    let rows = pixels / out_width;
    let width = out_width + (kernel[1] - 1) * dilation[1] / stride[1];
    let extra = (kernel[0] - 1) * dilation[0] / stride[0];
    let phases = stride[0] * stride[1];
    let most = (COPIED / (width * phases * in_channels)).saturating_sub(extra).clamp(1, rows);
    let block = rows.div_ceil(rows.div_ceil(most));
    let copies = Copies { width, rows: block + extra, phases: stride };
    let plane = copies.phase(phases);

    buffers.taps.clear();
    for channel in 0..in_channels {
        for row in 0..kernel[0] {
            let row = channel * plane + copies.row(row * dilation[0]);
            buffers.taps.extend((0..kernel[1]).map(|column| row + copies.column(column * dilation[1])));
        }
    }
    let copied = buffers.first.take(in_channels * plane + nr + V::F32_LANES);
    for group in channels.start / group_channels..channels.end.div_ceil(group_channels) {
        let own = channels.start.max(group * group_channels)..channels.end.min((group + 1) * group_channels);
        let planes = &mut output[own.start - channels.start..own.end - channels.start];
        let panel = (own.start - group * group_channels) / PANEL;
        for start in (0..rows).step_by(block) {
            let count = block.min(rows - start);
            copied.fill(0.0);
            for channel in 0..in_channels {
                let copied = &mut copied[channel * plane..];
                let rows = (count + extra) * stride[0];
                copies.fill(v, &window, group * in_channels + channel, start, rows, copied);
            }
            for row in 0..count {
                let mut column = 0;
                while column < out_width {
                    let rest = out_width - column;
                    let count = if rest <= nr + V::F32_LANES { rest } else { nr };
                    for (index, planes) in planes.chunks_mut(PANEL).enumerate() {
                        let channels = planes.len();
                        let product = Product {
                            weights: weights.panel(group, panel + index),
                            taps: Taps::At(&buffers.taps),
                            input: &copied[row * width + column..],
                            ahead: &[],
                        };
                        let mut target = Planes {
                            planes,
                            channel: own.start + index * PANEL,
                            pixel: (start + row) * out_width + column,
                            starts: true,
                            ends: true,
                            epilogue,
                            residual,
                        };
                        compute(v, product, channels, count, &mut target);
                    }
                    column += count;
                }
            }
        }
    }
}
