//! Dense convolution of any kernel, stride, dilation, padding and number of groups, as a product of packed weights with
//! panels of pixels gathered a few at a time: the map is never unrolled as a whole.
//!
//! Sums over `k` are interrupted at blocks that fit the second-level cache and kept in the output meanwhile, which does
//! not change a bit (see [`crate::tile`]). Bound: multiply-adds from about 64 output channels on; below that gathering
//! and, for 1×1 kernels, memory.
//!
//! Measured beside a peak of 136 GMAC/s (AVX-512, one thread): 3×3 on 64 to 512 channels 95–116, 1×1 110–121, from 16
//! channels 87 (stores), 7×7 on 3 channels 112, maps of 7×7 96–103. Where the weights come from memory, as in a network that is
//! larger than the cache: 1×1 on maps of 14×14 106–110, of 7×7 86–93, as each line of weights is used once; the next panel
//! is asked for while one is multiplied (72–82 where it was read before). AVX2, on a Zen 3 whose peak is 51: 3×3 36–40, 7×7 on 3 channels 43, 1×1 39–43.

use crate::epilogue::{ChannelEpilogue, Epilogue, residual_plane};
use crate::isa::{Kernel, Vector};
use crate::memory::LINE;
use crate::run::Run;
use crate::scratch::odd_lines;
use crate::sizes::{DEPTH, IN_PLACE_CHANNELS};
use crate::target::{Target, load_row, store_row};
use crate::tile::{PANEL, Product, Taps, compute, tile_pixels};
use crate::{Map, direct};

/// Tiles of pixels gathered together at most: stretches long enough to be fetched ahead, a block that stays in the
/// second-level cache. All weights pass by for every block, so that a last one of few pixels would be dear.
const TILES: usize = 7;

/// One run of a dense layer.
pub(crate) struct Dense<'a, 'b>(pub(crate) Run<'a, 'b>);

impl Kernel for Dense<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Dense(run) = self;
        if direct::fits::<V>(&run.window, run.groups) {
            return direct::run(v, run);
        }
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
        let (residual, pixels) = (residual.map(), rows * window.out_width);
        let nr = tile_pixels::<V>();
        let most = nr + V::F32_LANES;
        let taps = window.kernel[0] * window.kernel[1];
        let in_channels = window.map.channels() / groups;
        let group_channels = out_channels / groups;
        let step = in_channels.div_ceil(in_channels.div_ceil((DEPTH / taps).max(1)));
        let depth = step * taps;
        let in_place =
            window.is_plain(pixels) && group_channels <= IN_PLACE_CHANNELS && window.map.stride() >= most;
        let window = window.as_one_row(pixels);
        let blocks = pixels.div_ceil(TILES * nr);
        let even = pixels.div_ceil(blocks).next_multiple_of(nr);
        let block = even.min(pixels.next_multiple_of(V::F32_LANES));
        let stride = odd_lines(block);

        let gathered = buffers.first.take(depth * stride);

        for group in channels.start / group_channels..channels.end.div_ceil(group_channels) {
            let own =
                channels.start.max(group * group_channels)..channels.end.min((group + 1) * group_channels);
            let planes = &mut output[own.start - channels.start..own.end - channels.start];
            let panel = (own.start - group * group_channels) / PANEL;
            for start in (0..pixels).step_by(block) {
                let end = (start + block).min(pixels);
                for first in (0..in_channels).step_by(step) {
                    let step = step.min(in_channels - first);
                    let input_channel = group * in_channels + first;
                    // Whole vectors are read, so the last pixels of a map may have to be copied.
                    let row = window.first_row * window.map.width();
                    let reach = row + end.next_multiple_of(V::F32_LANES);
                    let in_place = in_place && reach <= window.map.beyond(input_channel + step - 1).len();
                    let (input, stride) = if in_place {
                        (&window.map.beyond(input_channel)[row + start..], window.map.stride())
                    } else {
                        window.gather(v, input_channel, step, start..end, stride, gathered);
                        (&*gathered, stride)
                    };
                    let count_panels = planes.len().div_ceil(PANEL);
                    for (index, planes) in planes.chunks_mut(PANEL).enumerate() {
                        let lines = first * taps..(first + step) * taps;
                        // The next panel, or the first one's next lines.
                        let mut ahead = match index + 1 < count_panels {
                            true => &weights.panel(group, panel + index + 1)[lines.clone()],
                            false => &weights.panel(group, panel)[lines.end..],
                        };
                        let weights = &weights.panel(group, panel + index)[lines];
                        let count_channels = planes.len();
                        let mut target = Planes {
                            planes,
                            channel: own.start + index * PANEL,
                            pixel: start,
                            starts: first == 0,
                            ends: first + step == in_channels,
                            epilogue,
                            residual,
                        };
                        while target.pixel < end {
                            let input = &input[target.pixel - start..];
                            let product = Product { weights, taps: Taps::Every(stride), input, ahead };
                            ahead = &[];
                            // What is left after whole tiles goes with the last of them.
                            let rest = end - target.pixel;
                            let count = if rest <= most { rest } else { nr };
                            compute(v, product, count_channels, count, &mut target);
                            target.pixel += count;
                        }
                    }
                }
            }
        }
    }
}

/// The output planes of a panel's channels, which also keep the sums between blocks of `k`.
pub(crate) struct Planes<'a, 'b> {
    pub(crate) planes: &'a mut [&'b mut [f32]],
    pub(crate) channel: usize,
    pub(crate) pixel: usize,
    /// Sums start from zero.
    pub(crate) starts: bool,
    /// Sums are complete: the epilogue applies.
    pub(crate) ends: bool,
    pub(crate) epilogue: &'a Epilogue,
    pub(crate) residual: Option<Map<'a>>,
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
    fn load<V: Vector, const N: usize>(
        &self,
        v: V,
        channel: usize,
        pixel: usize,
        pixels: usize,
    ) -> [V::f32s; N] {
        load_row(v, &self.planes[channel][self.pixel + pixel..][..pixels])
    }

    /// A residual was computed long ago, and each channel's lies in a page of its own.
    #[inline(always)]
    fn expect<V: Vector>(&self, v: V, channel: usize, pixel: usize, pixels: usize) {
        if let Some(residual) = self.residual.filter(|_| self.ends) {
            let at = self.pixel + pixel;
            for line in residual.plane(self.channel + channel)[at..at + pixels].chunks(LINE) {
                v.prefetch(line);
            }
        }
    }

    #[inline(always)]
    fn store<V: Vector, const N: usize>(
        &mut self,
        v: V,
        channel: usize,
        pixel: usize,
        pixels: usize,
        sums: [V::f32s; N],
    ) {
        let at = self.pixel + pixel;
        let mut values = sums;
        if self.ends {
            let (epilogue, residual) = self.epilogue(channel);
            values = epilogue.apply(v, sums, residual.map(|r| load_row(v, &r[at..at + pixels])));
        }
        store_row(v, &mut self.planes[channel][at..at + pixels], values);
    }
}
