//! Larger kernels that read or write blocks: on the channels of an image, and of whole blocks, in groups or not.
//!
//! Rows are copied between zeros once: of an image's channels in planes, each value broadcast; of a group in blocks, which
//! planes are turned into.

use super::Stretch;
use crate::copied::Copied;
use crate::gather::Window;
use crate::isa::{Kernel, MAX_LANES, Vector};
use crate::run::Run;
use crate::side::{Side, fill, place};
use crate::sizes::FEW_CHANNELS;
use crate::tile::PANEL;
use crate::{ConvShape, Layout};

/// Values of a group's pixels computed at once: of several groups those under one output row stay in the first-level cache;
/// where all channels are one, many rows are computed together, as all weights pass by for each lot of them.
const TILE: usize = 16 * 1024;
const TILE_OF_ALL: usize = 256 * 1024;

/// Whether a layer reads few channels, each of which is copied as a plane.
pub(crate) fn reads_few(shape: &ConvShape) -> bool {
    shape.groups == 1 && shape.in_channels <= FEW_CHANNELS
}

/// Whether a layer, or each of its groups, reads and writes whole blocks.
pub(crate) fn holds_blocks(shape: &ConvShape) -> bool {
    let whole = |channels: usize| (channels / shape.groups).is_multiple_of(PANEL);
    whole(shape.in_channels) && whole(shape.out_channels)
}

/// Whether a layer has groups, each of which reads and writes whole blocks.
pub(crate) fn holds_groups(shape: &ConvShape) -> bool {
    shape.groups > 1 && holds_blocks(shape)
}

/// One run of a layer.
pub(crate) struct Windowed<'a, 'b>(pub(crate) Run<'a, 'b>);

impl Kernel for Windowed<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        // Fewer lanes never come here, see `Conv::takes`.
        if V::F32_LANES == PANEL {
            let Windowed(layer) = self;
            if layer.groups == 1 && layer.in_channels <= FEW_CHANNELS {
                few_channels(v, layer);
            } else {
                groups(v, layer);
            }
        }
    }
}

#[inline(always)]
fn few_channels<V: Vector>(v: V, layer: Run<'_, '_>) {
    let Run { weights, epilogue, window, rows, residual, output, in_channels, buffers, .. } = layer;
    let out_width = window.out_width;
    let copies = Copied::new(&window, in_channels, rows);
    copies.taps(&window, &mut buffers.taps);
    // Rows are copied by whole vectors.
    let copied = buffers.first.take(copies.values() + V::F32_LANES);
    for start in (0..rows).step_by(copies.block) {
        let count = copies.block.min(rows - start);
        copies.fill(v, &window, 0, &(start..start + count), copied);
        let stretch = Stretch {
            weights,
            set: 0,
            panel: layer.channels.start / PANEL,
            next: None,
            epilogue,
            channels: layer.channels.clone(),
            taps: &buffers.taps,
            input: copied,
            pixels: start * out_width..(start + count) * out_width,
            width: out_width,
            pitch: copies.width(),
            residual,
            output,
            layout: layer.layouts[1],
            sums: &mut buffers.second,
        };
        stretch.run::<V, 1>(v);
    }
}

#[inline(always)]
fn groups<V: Vector>(v: V, layer: Run<'_, '_>) {
    let Run { weights, epilogue, window, rows, residual, output, channels, groups, layouts, buffers, .. } =
        layer;
    let Window { map, kernel, stride, dilation, out_width, .. } = window;
    let [inside, outside] = [layer.in_channels, layer.out_channels].map(|channels| channels / groups);
    let blocks = inside / PANEL;
    let map_width = if layouts[0] == Layout::Blocks { map.width() / PANEL } else { map.width() };
    let reach = [0, 1].map(|axis| (kernel[axis] - 1) * dilation[axis]);
    let pitch = ((out_width - 1) * stride[1] + reach[1] + 1).next_multiple_of(stride[1]);
    let needed = |count: usize| (count - 1) * stride[0] + reach[0] + 1;
    let tile = if groups == 1 { TILE_OF_ALL } else { TILE };
    let most = (1..=rows).rev().find(|&count| needed(count) * pitch * PANEL * blocks <= tile).unwrap_or(1);
    let block = rows.div_ceil(rows.div_ceil(most));
    let plane = needed(block) * pitch * PANEL;
    // Behind each plane is room for pixels that no output reads.
    let apart = plane + PANEL;
    let tile = buffers.first.take(blocks * apart);
    let side =
        Side { pitch, phases: stride[1], width: map_width, left: window.left as usize, outside: plane };
    for start in (0..rows).step_by(block) {
        let count = block.min(rows - start);
        let (held, source) = window.held(start, needed(count));
        let pixels = held.len() * map_width;
        buffers.taps.clear();
        for channel in 0..inside {
            let channel = channel / PANEL * apart + channel % PANEL;
            for row in 0..kernel[0] {
                let row = channel + row * dilation[0] * pitch * PANEL;
                buffers
                    .taps
                    .extend((0..kernel[1]).map(|column| row + side.column(column * dilation[1]) * PANEL));
            }
        }
        let taps = buffers.taps.len();
        side.places::<V>(held, &mut buffers.taps);
        let (taps, places) = buffers.taps.split_at(taps);
        // The zeros around the rows stay; only what lies between them changes from group to group.
        tile.fill(0.0);
        for group in channels.start / outside..channels.end.div_ceil(outside) {
            let own = channels.start.max(group * outside)..channels.end.min((group + 1) * outside);
            for (block, tile) in tile.chunks_exact_mut(apart).enumerate() {
                let block = group * blocks + block;
                if layouts[0] == Layout::Blocks {
                    place::<V>(&map.beyond(block)[source..][..pixels * PANEL], &places[..pixels], tile);
                } else {
                    let mut sources = [&[][..]; MAX_LANES];
                    for (i, from) in sources.iter_mut().enumerate() {
                        *from = &map.beyond(block * PANEL + i)[source..][..pixels];
                    }
                    fill(v, &sources, places, tile);
                }
            }
            let [first, end] =
                [own.start, own.end].map(|channel| layouts[1].as_planes(channel - channels.start, 1)[0]);
            let stretch = Stretch {
                weights,
                set: group,
                panel: (own.start - group * outside) / PANEL,
                next: None,
                epilogue,
                channels: own,
                taps,
                input: tile,
                pixels: start * out_width..(start + count) * out_width,
                width: out_width,
                pitch: stride[0] * pitch * PANEL,
                residual,
                output: &mut output[first..end],
                layout: layouts[1],
                sums: &mut buffers.second,
            };
            stretch.run::<V, PANEL>(v);
        }
    }
}
