//! Register tiles: the inner loops of every dense kernel.
//!
//! Both forms compute `sums[channel][pixel] += Σ_k weights[k][channel] · input[taps(k) + pixel]` with one accumulator an
//! output and `k` ascending, by one [`Vector::fma`] a step. So an output's bits do not depend on the form, on its place
//! in a tile, on the tile's size, or on where the sum over `k` was interrupted and its value kept in memory.
//!
//! Bound: multiply-adds. A step of the widest AVX-512 tile is 24 fused multiply-adds on 3 vector loads and 8 broadcasts, of
//! the widest AVX2 tile 12 on 2 and 6. Whole layers of 1×1 kernels reach 121 GMAC/s beside a peak loop of 136 (AVX-512), 30 to
//! 39 beside 51 (AVX2, a Zen 3; 18 to 20 while the tile was 4 × 3 and one of its sums did not fit the registers).

use crate::isa::{MAX_LANES, Vector, load, load_few, store};
pub(crate) use crate::sizes::PANEL;
use crate::target::Target;
use crate::weights::Line;

/// Pixels of the widest register tile of an instruction set.
pub(crate) const fn tile_pixels<V: Vector>() -> usize {
    V::TILE_VECTORS * V::F32_LANES
}

/// Where the input rows of a product lie. Known where a product is written, so that each kernel holds one form only.
#[derive(Clone, Copy)]
pub(crate) enum Taps<'a> {
    /// So many values from one `k` to the next, at least as many as the pixels of a product rounded up to whole vectors.
    Every(usize),
    /// At a place of its own for each `k`.
    At(&'a [usize]),
}

impl Taps<'_> {
    #[inline(always)]
    fn at(self, k: usize) -> usize {
        match self {
            Taps::Every(stride) => k * stride,
            Taps::At(taps) => taps[k],
        }
    }
}

/// One panel of weights over one stretch of `k`, and the input rows it multiplies.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// For each `k`, the weights of the panel's channels.
    pub(crate) weights: &'a [Line],
    /// Where in `input` the value for pixel 0 lies for each `k`.
    pub(crate) taps: Taps<'a>,
    /// Holds the pixels of every `k`, rounded up to whole vectors.
    pub(crate) input: &'a [f32],
    /// Weights needed next, brought near while these are multiplied; those beyond the length of `weights` are not.
    pub(crate) ahead: &'a [Line],
}

/// Computes `channels ≤ PANEL` channels of `pixels` pixels: at most `tile_pixels` and one more vector.
#[inline(always)]
pub(crate) fn compute<V: Vector, T: Target>(
    v: V,
    product: Product<'_>,
    channels: usize,
    pixels: usize,
    target: &mut T,
) {
    let vectors = pixels / V::F32_LANES;
    let wide = vectors.min(V::TILE_VECTORS);
    match wide {
        3 => channel_tiles::<V, T, 3>(v, product, channels, 0, 3 * V::F32_LANES, target),
        2 => channel_tiles::<V, T, 2>(v, product, channels, 0, 2 * V::F32_LANES, target),
        1 => channel_tiles::<V, T, 1>(v, product, channels, 0, V::F32_LANES, target),
        _ => {}
    }
    if vectors > wide {
        channel_tiles::<V, T, 1>(v, product, channels, wide * V::F32_LANES, V::F32_LANES, target);
    }
    let first = vectors * V::F32_LANES;
    let rest = pixels - first;
    match rest.next_multiple_of(4) {
        0 => {}
        n if n >= V::F32_LANES || 2 * channels <= PANEL => {
            channel_tiles::<V, T, 1>(v, product, channels, first, rest, target);
        }
        4 => by_pixels::<V, T, 4>(v, product, channels, first, rest, target),
        8 => by_pixels::<V, T, 8>(v, product, channels, first, rest, target),
        _ => by_pixels::<V, T, 12>(v, product, channels, first, rest, target),
    }
}

/// Lanes are pixels. `pixels` is `NV` whole vectors, or less than one vector where `NV` is 1.
#[inline(always)]
fn channel_tiles<V: Vector, T: Target, const NV: usize>(
    v: V,
    product: Product<'_>,
    channels: usize,
    pixel: usize,
    pixels: usize,
    target: &mut T,
) {
    let mut first = 0;
    while first < channels {
        let left = channels - first;
        // A tile of one vector needs eight channels to hide the latency of the multiply-adds.
        if (V::TILE_CHANNELS == 8 || NV == 1) && left > 4 {
            by_channels::<V, T, 8, NV>(v, product, first, left.min(8), pixel, pixels, target);
            first += 8;
        } else if V::TILE_CHANNELS == 6 && left > 4 && left != 7 && left != 8 {
            by_channels::<V, T, 6, NV>(v, product, first, left.min(6), pixel, pixels, target);
            first += 6;
        } else {
            by_channels::<V, T, 4, NV>(v, product, first, left.min(4), pixel, pixels, target);
            first += 4;
        }
    }
}

#[inline(always)]
fn by_channels<V: Vector, T: Target, const MC: usize, const NV: usize>(
    v: V,
    product: Product<'_>,
    first: usize,
    count: usize,
    pixel: usize,
    pixels: usize,
    target: &mut T,
) {
    for channel in first..first + count {
        target.expect(v, channel, pixel, pixels);
    }
    let mut sums = [[v.splat_f32s(0.0); NV]; MC];
    if !target.starts() {
        // Constants only index the sums (no `take`), or the compiler would keep them in memory.
        for (i, sums) in sums.iter_mut().enumerate() {
            if i < count {
                *sums = target.load(v, first + i, pixel, pixels);
            }
        }
    }
    // Several steps at once, so that what they share is looked up once. With few lanes as many instructions went to that
    // as to multiplying; with 16, four at once are 3 % slower than one.
    match V::F32_LANES {
        16 => multiply_all::<V, MC, NV, 1>(v, product, first, pixel, &mut sums),
        _ => multiply_all::<V, MC, NV, 4>(v, product, first, pixel, &mut sums),
    }
    for (i, sums) in sums.into_iter().enumerate() {
        if i < count {
            target.store(v, first + i, pixel, pixels, sums);
        }
    }
}

/// Adds the products of every `k`, `STEPS` at a time.
#[inline(always)]
fn multiply_all<V: Vector, const MC: usize, const NV: usize, const STEPS: usize>(
    v: V,
    product: Product<'_>,
    first: usize,
    pixel: usize,
    sums: &mut [[V::f32s; NV]; MC],
) {
    let (weights, input) = (product.weights, &product.input[pixel..]);
    // Each of the panel's tiles asks for its part of the lines.
    let share = |channel: usize| channel * product.ahead.len() / PANEL;
    let mut ahead = product.ahead[share(first)..share(first + MC)].chunks(STEPS);
    // The last steps are left, as the last row may be shorter than the stride.
    let (steps, _) = weights[..weights.len().saturating_sub(1)].as_chunks::<STEPS>();
    match product.taps {
        Taps::Every(stride) => {
            for (weights, rows) in steps.iter().zip(input.chunks_exact(STEPS * stride)) {
                let mut row = [&[][..]; STEPS];
                for (i, row) in row.iter_mut().enumerate() {
                    *row = &rows[i * stride..][..NV * V::F32_LANES];
                }
                multiply_some(v, weights, first, row, &mut ahead, sums);
            }
        }
        Taps::At(taps) => {
            for (weights, taps) in steps.iter().zip(taps.as_chunks::<STEPS>().0) {
                let mut row = [&[][..]; STEPS];
                for (&tap, row) in taps.iter().zip(&mut row) {
                    *row = &input[tap..][..NV * V::F32_LANES];
                }
                multiply_some(v, weights, first, row, &mut ahead, sums);
            }
        }
    }
    for (k, weights) in weights.iter().enumerate().skip(steps.len() * STEPS) {
        multiply(v, weights, first, &input[product.taps.at(k)..], sums);
    }
}

/// Adds the products of some `k`s and asks for the next lines.
#[inline(always)]
fn multiply_some<V: Vector, const MC: usize, const NV: usize, const STEPS: usize>(
    v: V,
    weights: &[Line; STEPS],
    first: usize,
    rows: [&[f32]; STEPS],
    ahead: &mut std::slice::Chunks<'_, Line>,
    sums: &mut [[V::f32s; NV]; MC],
) {
    if let Some(lines) = ahead.next() {
        for line in lines {
            v.prefetch(line);
        }
    }
    for i in 0..STEPS {
        multiply(v, &weights[i], first, rows[i], sums);
    }
}

/// Adds one `k`'s products to the sums of channels from `first` on.
#[inline(always)]
fn multiply<V: Vector, const MC: usize, const NV: usize>(
    v: V,
    weights: &Line,
    first: usize,
    input: &[f32],
    sums: &mut [[V::f32s; NV]; MC],
) {
    let weights = &weights[first..first + MC];
    let input = &input[..NV * V::F32_LANES];
    let mut x = [v.splat_f32s(0.0); NV];
    for (j, x) in x.iter_mut().enumerate() {
        *x = load::<V>(&input[j * V::F32_LANES..]);
    }
    for i in 0..MC {
        let w = v.splat_f32s(weights[i]);
        for j in 0..NV {
            sums[i][j] = v.fma(w, x[j], sums[i][j]);
        }
    }
}

/// Lanes are the panel's channels: no lane is idle where few pixels are left.
#[inline(always)]
fn by_pixels<V: Vector, T: Target, const NP: usize>(
    v: V,
    product: Product<'_>,
    channels: usize,
    pixel: usize,
    pixels: usize,
    target: &mut T,
) {
    // Two vectors of eight lanes, or one of sixteen; fewer lanes never come here.
    if V::F32_LANES == PANEL {
        by_pixels_of::<V, T, NP, 1>(v, product, channels, pixel, pixels, target);
    } else if 2 * V::F32_LANES == PANEL {
        by_pixels_of::<V, T, NP, 2>(v, product, channels, pixel, pixels, target);
    }
}

#[inline(always)]
fn by_pixels_of<V: Vector, T: Target, const NP: usize, const NW: usize>(
    v: V,
    product: Product<'_>,
    channels: usize,
    pixel: usize,
    pixels: usize,
    target: &mut T,
) {
    let mut turned = [[0.0; PANEL]; NP];
    let mut sums = [[v.splat_f32s(0.0); NW]; NP];
    if !target.starts() {
        for channel in 0..channels {
            let mut row = [0.0; MAX_LANES];
            let [sums] = target.load(v, channel, pixel, pixels);
            store::<V>(&mut row, sums);
            for (turned, &sum) in turned.iter_mut().zip(&row).take(pixels) {
                turned[channel] = sum;
            }
        }
        for (sums, turned) in sums.iter_mut().zip(&turned) {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = load::<V>(&turned[j * V::F32_LANES..]);
            }
        }
    }
    for (k, weights) in product.weights.iter().enumerate() {
        let input = &product.input[product.taps.at(k) + pixel..][..NP];
        let mut w = [v.splat_f32s(0.0); NW];
        for (j, w) in w.iter_mut().enumerate() {
            *w = load::<V>(&weights[j * V::F32_LANES..]);
        }
        for i in 0..NP {
            let x = v.splat_f32s(input[i]);
            for j in 0..NW {
                sums[i][j] = v.fma(w[j], x, sums[i][j]);
            }
        }
    }
    for (turned, sums) in turned.iter_mut().zip(&sums) {
        for (j, &sum) in sums.iter().enumerate() {
            store::<V>(&mut turned[j * V::F32_LANES..], sum);
        }
    }
    for channel in 0..channels {
        let mut row = [0.0; MAX_LANES];
        for (value, turned) in row.iter_mut().zip(&turned).take(pixels) {
            *value = turned[channel];
        }
        target.store(v, channel, pixel, pixels, [load_few(v, &row[..pixels])]);
    }
}
