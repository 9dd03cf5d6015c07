//! Convolution of each channel by itself, as many channels side by side as a vector has lanes.
//!
//! Rows of a narrow map fill no vectors, and of a stride of 2 every second column would have to be picked out. So blocks of
//! pixels are transposed in registers into a tile between zeros, where each pixel of the channels is one vector; outputs
//! are computed a few columns at once, pass through the epilogue, and are transposed back. An output is one chain of
//! multiply-adds over the taps in order. Any kernel, stride and dilation.
//! Bound: multiply-adds, each with a load, and four to six shuffles for each vector in and out.
//!
//! Measured (AVX-512, a Zen 4 whose peak loop does 59 GMAC/s): 3×3 on maps of 56 to 112 15–17, on 28 and 14 13, on 7×7 11; stride
//! 2 7, where turning the input costs most; 5×5 on 14×14 23, on 7×7 19. Rows of one channel in vectors, with copies and
//! masks, reached 15–17, 12, 7, 4–6, 14 and 9. Vectors of 8 lanes are filled by the rows of most maps, which are then not
//! turned at all ([`rows`]).

use crate::epilogue::LaneEpilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, load, store};
use crate::run::Run;
use crate::side::{Side, fill, place};
use crate::sizes::COLUMNS_ABREAST as COLUMNS;
use crate::tile::PANEL;
use crate::turn::{Added, turn_back};
use crate::weights::{Line, PackedWeights};
use crate::{ConvShape, KernelError, Layout};

mod rows;

/// Packs weights of out channels × taps: a set for each output channel of an input channel, whose lines have one tap of 16
/// input channels.
pub(crate) fn pack(shape: &ConvShape, weights: &[f32]) -> Result<PackedWeights, KernelError> {
    if !shape.is_depthwise() {
        let needs = "as many groups as input channels";
        return Err(KernelError::Algorithm { algorithm: "Depthwise", needs });
    }
    let (channels, taps) = (shape.in_channels, shape.taps());
    let multiple = shape.out_channels / channels;
    Ok(PackedWeights::pack(multiple, channels, taps, |copy, channel, tap| {
        weights[(channel * multiple + copy) * taps + tap]
    }))
}

/// Values of the tile: with the sums of its outputs it stays in the second-level cache, and the rows under one output row
/// in the first.
const TILE: usize = 16 * 1024;

/// One run of a layer; with blocks, there is neither a residual nor more than one output channel of an input channel.
pub(crate) struct Depthwise<'a, 'b>(pub(crate) Run<'a, 'b>);

impl Kernel for Depthwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Depthwise(layer) = self;
        if rows::fits::<V>(layer.window.out_width) {
            return rows::run(v, layer);
        }
        // The usual strides as constants.
        match layer.window.stride[1] {
            1 => run::<V, 1>(v, layer),
            2 => run::<V, 2>(v, layer),
            _ => run::<V, 0>(v, layer),
        }
    }
}

/// `S` is the stride along the width if it is known, else 0.
#[inline(always)]
fn run<V: Vector, const S: usize>(v: V, layer: Run<'_, '_>) {
    let multiple = layer.out_channels / layer.in_channels;
    let Run {
        weights, epilogue, window, rows, residual, output, channels, layouts: [from, to], buffers, ..
    } = layer;
    let residual = residual.map();
    let (lanes, map, width) = (V::F32_LANES, window.map, window.out_width);
    let map_width = if from == Layout::Blocks { map.width() / PANEL } else { map.width() };
    let stride = [window.stride[0], if S > 0 { S } else { window.stride[1] }];
    let reach = [0, 1].map(|axis| (window.kernel[axis] - 1) * window.dilation[axis]);
    let pitch = (width - 1) * stride[1] + reach[1] + 1;
    let needed = |count: usize| (count - 1) * stride[0] + reach[0] + 1;
    let most = (1..=rows).rev().find(|&count| needed(count) * pitch * lanes <= TILE).unwrap_or(1);
    let block = rows.div_ceil(rows.div_ceil(most));
    let inner = needed(block) * pitch * lanes;
    let tile = buffers.first.take(inner + lanes);
    let sums = buffers.second.take((block * width).next_multiple_of(lanes) * lanes);
    let taps = window.kernel[0] * window.kernel[1];
    for start in (0..rows).step_by(block) {
        let count = block.min(rows - start);
        let (held, source) = window.held(start, needed(count));
        let pixels = held.len() * map_width;
        buffers.taps.clear();
        for row in 0..window.kernel[0] {
            let row = row * window.dilation[0] * pitch;
            buffers.taps.extend((0..window.kernel[1]).map(|tap| (row + tap * window.dilation[1]) * lanes));
        }
        let side = Side { pitch, phases: 1, width: map_width, left: window.left as usize, outside: inner };
        side.places::<V>(held, &mut buffers.taps);
        let (taps, places) = buffers.taps.split_at(taps);
        // The zeros around the rows stay; only what lies between them changes from group to group.
        tile.fill(0.0);
        let groups = (channels.start / multiple..channels.end / multiple).step_by(lanes);
        let planes_of_a_group = if to == Layout::Blocks { 1 } else { lanes * multiple };
        for (channel, planes) in groups.zip(output.chunks_mut(planes_of_a_group)) {
            let group = lanes.min(channels.end / multiple - channel);
            if from == Layout::Blocks {
                let block = &map.beyond(channel / PANEL)[source..][..pixels * lanes];
                place::<V>(block, &places[..pixels], tile);
            } else {
                let mut sources = [&[][..]; MAX_LANES];
                for (i, from) in sources.iter_mut().enumerate().take(lanes) {
                    // Lanes beyond the last channel repeat it.
                    *from = &map.beyond(channel + i.min(group - 1))[source..][..pixels];
                }
                fill(v, &sources, places, tile);
            }
            for copy in 0..multiple {
                let lines = weights.panel(copy, channel / PANEL);
                let mut finish = epilogue.lanes(v, channel * multiple + copy, multiple, group);
                // A residual is added where the sums are turned back.
                if residual.is_some() {
                    finish = finish.before_residual();
                }
                let products =
                    Products { taps, lines, sub: channel % PANEL / lanes, stride: stride[1], finish };
                let span = start * width..(start + count) * width;
                let made = match to {
                    Layout::Planes => &mut *sums,
                    Layout::Blocks => &mut planes[0][span.start * lanes..span.end * lanes],
                };
                for (row, made) in made.chunks_exact_mut(width * lanes).enumerate().take(count) {
                    let tile = &tile[row * stride[0] * pitch * lanes..];
                    columns::<V, S>(v, &products, tile, made);
                }
                if to == Layout::Planes {
                    let channel = channel * multiple;
                    let activation = epilogue.activation;
                    let added = residual.map(|residual| Added { residual, channel, activation });
                    turn_back(v, sums, [copy, multiple], planes, span.clone(), added);
                }
            }
        }
    }
}

/// What a vector of channels is multiplied by, and what happens to its sums.
struct Products<'a, V: Vector> {
    /// Where in the tile each tap reads.
    taps: &'a [usize],
    /// Its weights, of a whole panel of channels.
    lines: &'a [Line],
    /// Which vector of the panel this is.
    sub: usize,
    stride: usize,
    finish: LaneEpilogue<V>,
}

/// The sums of one row of outputs; `tile` begins at what its first tap reads.
#[inline(always)]
fn columns<V: Vector, const S: usize>(v: V, products: &Products<'_, V>, tile: &[f32], sums: &mut [f32]) {
    let width = sums.len() / V::F32_LANES;
    let chunks = width.div_ceil(COLUMNS);
    for chunk in 0..chunks {
        let (at, end) = (chunk * width / chunks, (chunk + 1) * width / chunks);
        let tile = &tile[at * products.stride * V::F32_LANES..];
        let sums = &mut sums[at * V::F32_LANES..end * V::F32_LANES];
        match end - at {
            1 => some_columns::<V, S, 1>(v, products, tile, sums),
            2 => some_columns::<V, S, 2>(v, products, tile, sums),
            3 => some_columns::<V, S, 3>(v, products, tile, sums),
            4 => some_columns::<V, S, 4>(v, products, tile, sums),
            5 => some_columns::<V, S, 5>(v, products, tile, sums),
            6 => some_columns::<V, S, 6>(v, products, tile, sums),
            7 => some_columns::<V, S, 7>(v, products, tile, sums),
            _ => some_columns::<V, S, COLUMNS>(v, products, tile, sums),
        }
    }
}

#[inline(always)]
fn some_columns<V: Vector, const S: usize, const N: usize>(
    v: V,
    products: &Products<'_, V>,
    tile: &[f32],
    sums: &mut [f32],
) {
    let Products { taps, lines, sub, stride, finish } = *products;
    let step = if S > 0 { S } else { stride } * V::F32_LANES;
    let mut acc = [v.splat_f32s(0.0); N];
    for (&tap, line) in taps.iter().zip(lines) {
        let weight = load::<V>(&line[sub * V::F32_LANES..]);
        let from = &tile[tap..][..(N - 1) * step + V::F32_LANES];
        for (j, acc) in acc.iter_mut().enumerate() {
            *acc = v.fma(weight, load::<V>(&from[j * step..]), *acc);
        }
    }
    let sums = &mut sums[..N * V::F32_LANES];
    for (j, acc) in finish.apply(v, acc, None).into_iter().enumerate() {
        store::<V>(&mut sums[j * V::F32_LANES..], acc);
    }
}
