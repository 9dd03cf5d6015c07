//! 1×1 convolutions next to depthwise ones, with the map between them in blocks: 16 channels side by side, pixel after
//! pixel ("nChw16c").
//!
//! A depthwise kernel computes channels side by side, and would turn planes into them and back. Here a product writes
//! blocks, or reads them, for as many multiply-adds as otherwise: lanes are 16 output channels, each input value is
//! broadcast. An output is the same chain of multiply-adds, `k` ascending, so its bits do not depend on how maps are laid
//! out.
//!
//! Bound: multiply-adds, each with a broadcast from the first-level cache.

use crate::epilogue::Epilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, load, store, transpose};
use crate::product::Planes;
use crate::target::Target;
use crate::tile::PANEL;
use crate::weights::{Line, PackedWeights};
use crate::{Layout, Map};

/// Computes some of the pixels that are left: 16, whose sums fit the registers and can be transposed; where fewer than four
/// would remain, which wait for each other's multiply-adds, the last two times share them.
macro_rules! by_pixels {
    ($left:expr, $some:ident) => {
        match $left {
            16 | 20.. => $some!(16),
            12 => $some!(12),
            19 | 15 | 11 => $some!(11),
            18 | 14 | 10 => $some!(10),
            17 | 13 | 9 => $some!(9),
            8 => $some!(8),
            4..8 => $some!(4),
            3 => $some!(3),
            2 => $some!(2),
            _ => $some!(1),
        }
    };
}

/// One run of a 1×1 layer, each pixel of which reads the input's in the same place.
pub(crate) struct Pointwise<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    /// From the first pixel's row on.
    pub(crate) input: Map<'a>,
    pub(crate) pixels: usize,
    pub(crate) residual: Option<Map<'a>>,
    /// Blocks if the input has planes, otherwise planes.
    pub(crate) output: &'a mut [&'b mut [f32]],
    pub(crate) out_channels: usize,
    pub(crate) layout: Layout,
}

impl Kernel for Pointwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        // Fewer lanes never come here, see `Conv::takes`.
        if V::F32_LANES == PANEL {
            match self.layout {
                Layout::Planes => to_blocks(v, self),
                Layout::Blocks => from_blocks(v, self),
            }
        }
    }
}

#[inline(always)]
fn to_blocks<V: Vector>(v: V, layer: Pointwise<'_, '_>) {
    let Pointwise { weights, epilogue, input, pixels, output, out_channels, .. } = layer;
    let (values, stride) = (input.beyond(0), input.stride());
    for (panel, block) in output.iter_mut().enumerate() {
        let first = panel * PANEL;
        let finish = epilogue.lanes(v, first, 1, PANEL.min(out_channels - first));
        let lines = weights.panel(0, panel);
        let mut at = 0;
        while at < pixels {
            let (values, block) = (&values[at..], &mut block[at * PANEL..]);
            macro_rules! some {
                ($n:expr) => {{
                    let sums = broadcast_planes::<V, { $n }>(v, lines, values, stride);
                    let block = &mut block[..$n * PANEL];
                    for (i, sum) in finish.apply(v, sums, None).into_iter().enumerate() {
                        store::<V>(&mut block[i * PANEL..], sum);
                    }
                    at += $n;
                }};
            }
            by_pixels!(pixels - at, some);
        }
    }
}

#[inline(always)]
fn broadcast_planes<V: Vector, const N: usize>(
    v: V,
    lines: &[Line],
    values: &[f32],
    stride: usize,
) -> [V::f32s; N] {
    let mut sums = [v.splat_f32s(0.0); N];
    for (k, line) in lines.iter().enumerate() {
        let weights = load::<V>(&line.0);
        let pixels = &values[k * stride..][..N];
        for i in 0..N {
            sums[i] = v.fma(weights, v.splat_f32s(pixels[i]), sums[i]);
        }
    }
    sums
}

#[inline(always)]
fn from_blocks<V: Vector>(v: V, layer: Pointwise<'_, '_>) {
    let Pointwise { weights, epilogue, input, pixels, residual, output, .. } = layer;
    for (panel, planes) in output.chunks_mut(PANEL).enumerate() {
        let lines = weights.panel(0, panel);
        let channels = planes.len();
        let mut target =
            Planes { planes, channel: panel * PANEL, pixel: 0, starts: true, ends: true, epilogue, residual };
        let mut at = 0;
        while at < pixels {
            macro_rules! some {
                ($n:expr) => {{
                    for channel in 0..channels {
                        target.expect(v, channel, at, $n);
                    }
                    let sums = broadcast_blocks::<V, { $n }>(v, lines, &input, at);
                    let mut turned = [v.splat_f32s(0.0); MAX_LANES];
                    turned[..$n].copy_from_slice(&sums);
                    let turned = transpose(v, turned);
                    for (channel, &sums) in turned.iter().enumerate() {
                        if channel < channels {
                            target.store(v, channel, at, $n, [sums]);
                        }
                    }
                    at += $n;
                }};
            }
            by_pixels!(pixels - at, some);
        }
    }
}

#[inline(always)]
fn broadcast_blocks<V: Vector, const N: usize>(
    v: V,
    lines: &[Line],
    input: &Map<'_>,
    at: usize,
) -> [V::f32s; N] {
    let mut sums = [v.splat_f32s(0.0); N];
    for (block, lines) in lines.chunks(PANEL).enumerate() {
        let pixels = &input.beyond(block)[at * PANEL..][..N * PANEL];
        for (k, line) in lines.iter().enumerate() {
            let weights = load::<V>(&line.0);
            for i in 0..N {
                sums[i] = v.fma(weights, v.splat_f32s(pixels[i * PANEL + k % PANEL]), sums[i]);
            }
        }
    }
    sums
}
