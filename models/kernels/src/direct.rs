//! Dense convolution of few input channels, as of an image: taps read rows that were copied once between zeros.
//!
//! With few input channels there are few products for every value that [`crate::product`] would gather, and as many
//! gathered values as taps. Here each input value is copied once. Bound: multiply-adds, loads that are not aligned.

use crate::copied::Copied;
use crate::gather::Window;
use crate::isa::Vector;
use crate::product::Planes;
use crate::run::Run;
use crate::sizes::{FEW_CHANNELS, FEW_CHANNELS_OF_A_GROUP};
use crate::tile::{PANEL, Product, Taps, compute, tile_pixels};

/// Whether the form computes a layer well: where not, gathering is faster. The bits are the same.
pub(crate) fn fits<V: Vector>(window: &Window<'_>, groups: usize) -> bool {
    let [few, wide] = match groups {
        1 => [FEW_CHANNELS, V::F32_LANES],
        _ => FEW_CHANNELS_OF_A_GROUP,
    };
    let wide = wide.min(V::F32_LANES);
    window.map.channels() / groups <= few && window.kernel != [1, 1] && window.out_width >= wide
}

#[inline(always)]
pub(crate) fn run<V: Vector>(v: V, run: Run<'_, '_>) {
    let Run {
        weights,
        epilogue,
        window,
        residual,
        output,
        out_channels,
        channels,
        groups,
        rows,
        buffers,
        ..
    } = run;
    let residual = residual.map();
    let nr = tile_pixels::<V>();
    let out_width = window.out_width;
    let in_channels = window.map.channels() / groups;
    let group_channels = out_channels / groups;
    let copies = Copied::new(&window, in_channels, rows);
    copies.taps(&window, &mut buffers.taps);
    let copied = buffers.first.take(copies.values() + nr + V::F32_LANES);
    for group in channels.start / group_channels..channels.end.div_ceil(group_channels) {
        let own = channels.start.max(group * group_channels)..channels.end.min((group + 1) * group_channels);
        let planes = &mut output[own.start - channels.start..own.end - channels.start];
        let panel = (own.start - group * group_channels) / PANEL;
        for start in (0..rows).step_by(copies.block) {
            let count = copies.block.min(rows - start);
            copies.fill(v, &window, group * in_channels, &(start..start + count), copied);
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
                            input: &copied[row * copies.width() + column..],
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
