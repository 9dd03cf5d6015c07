//! Dense convolution of any kernel, stride, dilation, padding and number of groups, as a product of packed weights with
//! panels of pixels gathered a few at a time: the map is never unrolled as a whole.
//!
//! Sums over `k` are interrupted at blocks that fit the second-level cache and kept in the output meanwhile, which does
//! not change a bit (see [`crate::tile`]). Bound: multiply-adds from about 64 output channels on; below that gathering
//! and, for 1×1 kernels, memory.
//!
//! Measured beside a peak of 58 GMAC/s (AVX-512, one thread of a loaded machine, best of many): 3×3 on 64 to 512 channels
//! 46–50, 1×1 read in place 52–54, 1×1 gathered 44–49, maps of 7×7 43–46 (weights from the third-level cache), 7×7 on 3
//! channels 38, 1×1 from 16 channels 33 (stores). AVX2: 41–46.

use crate::Map;
use crate::epilogue::{ChannelEpilogue, Epilogue, residual_plane};
use crate::gather::Window;
use crate::isa::{Kernel, Vector, load, load_few, store, store_few};
use crate::scratch::Buffers;
use crate::tile::{PANEL, Product, Target, compute, tile_pixels};
use crate::weights::PackedWeights;

/// Products of one block of `k`: a panel of pixels and a panel of weights of this depth stay near the processor.
const DEPTH: usize = 384;

/// Values of the gathered panels of one block.
const GATHERED: usize = 96 * 1024;

/// Up to this many output channels a plain 1×1 kernel reads the map where it lies: gathering would not pay.
const IN_PLACE_CHANNELS: usize = 64;

/// One run of a dense layer.
pub(crate) struct Dense<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    pub(crate) window: Window<'a>,
    pub(crate) residual: Option<Map<'a>>,
    pub(crate) output: &'a mut [&'b mut [f32]],
    pub(crate) groups: usize,
    pub(crate) pixels: usize,
    pub(crate) buffers: &'a mut Buffers,
}

impl Kernel for Dense<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Dense { weights, epilogue, window, residual, output, groups, pixels, buffers } = self;
        let nr = tile_pixels::<V>();
        let taps = window.kernel[0] * window.kernel[1];
        let in_channels = window.map.channels() / groups;
        let out_channels = output.len() / groups;
        let step = in_channels.div_ceil(in_channels.div_ceil((DEPTH / taps).max(1)));
        let depth = step * taps;
        let block = (GATHERED / (depth * nr)).max(1).min(pixels.div_ceil(nr));
        let in_place = window.is_plain(pixels) && out_channels <= IN_PLACE_CHANNELS;

        buffers.taps.clear();
        buffers.taps.extend((0..depth).map(|k| k * nr));
        buffers.taps.extend((0..depth).map(|k| k * window.map.stride()));
        let (packed_taps, map_taps) = buffers.taps.split_at(depth);
        let gathered = buffers.first.take(block * depth * nr);

        for group in 0..groups {
            let planes = &mut output[group * out_channels..][..out_channels];
            for start in (0..pixels).step_by(block * nr) {
                let end = (start + block * nr).min(pixels);
                for first in (0..in_channels).step_by(step) {
                    let channels = step.min(in_channels - first);
                    let input_channel = group * in_channels + first;
                    for (pixel, panel) in (start..end).step_by(nr).zip(gathered.chunks_mut(depth * nr)) {
                        let count = nr.min(end - pixel);
                        if !in_place || count < nr {
                            window.gather(v, input_channel, channels, pixel, count, panel);
                        }
                    }
                    let map = window.map.beyond(input_channel);
                    let row = window.first_row * window.map.width();
                    for (index, planes) in planes.chunks_mut(PANEL).enumerate() {
                        let lines = &weights.panel(group, index)[first * taps..][..channels * taps];
                        let channel = group * out_channels + index * PANEL;
                        for (pixel, panel) in (start..end).step_by(nr).zip(gathered.chunks(depth * nr)) {
                            let count = nr.min(end - pixel);
                            let product = if in_place && count == nr {
                                Product { weights: lines, taps: map_taps, input: &map[row + pixel..] }
                            } else {
                                Product { weights: lines, taps: packed_taps, input: panel }
                            };
                            let count_channels = planes.len();
                            let mut target = Planes {
                                planes,
                                channel,
                                pixel,
                                starts: first == 0,
                                ends: first + channels == in_channels,
                                epilogue,
                                residual,
                            };
                            compute(v, product, count_channels, count, &mut target);
                        }
                    }
                }
            }
        }
    }
}

/// The output planes of a panel's channels, which also keep the sums between blocks of `k`.
struct Planes<'a, 'b> {
    planes: &'a mut [&'b mut [f32]],
    channel: usize,
    pixel: usize,
    /// Sums start from zero.
    starts: bool,
    /// Sums are complete: the epilogue applies.
    ends: bool,
    epilogue: &'a Epilogue,
    residual: Option<Map<'a>>,
}

impl<'a> Planes<'a, '_> {
    #[inline(always)]
    fn epilogue(&self, channel: usize) -> (ChannelEpilogue, Option<&'a [f32]>) {
        (
            self.epilogue.channel(self.channel + channel),
            residual_plane(&self.residual, self.channel + channel),
        )
    }
}

impl Target for Planes<'_, '_> {
    #[inline(always)]
    fn starts(&self) -> bool {
        self.starts
    }

    #[inline(always)]
    fn load<V: Vector>(&self, _v: V, channel: usize, pixel: usize) -> V::f32s {
        load::<V>(&self.planes[channel][self.pixel + pixel..])
    }

    #[inline(always)]
    fn load_few<V: Vector>(&self, v: V, channel: usize, pixel: usize, count: usize) -> V::f32s {
        load_few(v, &self.planes[channel][self.pixel + pixel..][..count])
    }

    #[inline(always)]
    fn store<V: Vector>(&mut self, v: V, channel: usize, pixel: usize, sums: V::f32s) {
        let at = self.pixel + pixel;
        let mut value = sums;
        if self.ends {
            let (epilogue, residual) = self.epilogue(channel);
            value = epilogue.apply(v, sums, residual.map(|r| load::<V>(&r[at..])));
        }
        store::<V>(&mut self.planes[channel][at..], value);
    }

    #[inline(always)]
    fn store_few<V: Vector>(&mut self, v: V, channel: usize, pixel: usize, count: usize, sums: V::f32s) {
        let at = self.pixel + pixel;
        let mut value = sums;
        if self.ends {
            let (epilogue, residual) = self.epilogue(channel);
            value = epilogue.apply(v, sums, residual.map(|r| load_few(v, &r[at..at + count])));
        }
        store_few(v, &mut self.planes[channel][at..at + count], value);
    }
}
