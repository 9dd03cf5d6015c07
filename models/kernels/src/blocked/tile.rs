//! Register tiles of some pixels and panels of channels.

use crate::epilogue::LaneEpilogue;
use crate::isa::{Vector, load, store};
use crate::tile::PANEL;
use crate::weights::Line;

/// `NB` panels of weights over one stretch of `k`, and the pixels they multiply.
pub(super) struct Product<'a, const NB: usize> {
    pub(super) lines: [&'a [Line]; NB],
    /// Where in `input` the value for pixel 0 lies for each `k`; the next pixel's is `STEP` further.
    pub(super) taps: &'a [usize],
    pub(super) input: &'a [f32],
    /// Weights needed next, brought near by the first tiles, a panel each; empty where they are near.
    pub(super) ahead: [&'a [Line]; NB],
}

/// What sums start from, and what becomes of them.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a, V: Vector, const NB: usize> {
    /// They start from zero.
    pub(super) starts: bool,
    /// Applied where they are complete.
    pub(super) epilogue: Option<[LaneEpilogue<V>; NB]>,
    /// Added then, from pixel 0 on; empty where nothing is.
    pub(super) residual: [&'a [f32]; NB],
}

/// Computes `pixels` pixels into the places from `at` on of `NB` blocks.
#[inline(always)]
pub(super) fn compute<V: Vector, const NB: usize, const STEP: usize>(
    v: V,
    product: &Product<'_, NB>,
    pixels: usize,
    finish: Finish<'_, V, NB>,
    blocks: &mut [&mut [f32]],
    at: usize,
) {
    let widest = match NB {
        1 => 16,
        2 => 12,
        3 => 8,
        _ => 6,
    };
    let (mut pixel, mut number) = (0, 0);
    while pixel < pixels {
        macro_rules! some {
            ($n:expr) => {{
                let ahead = if number < NB { product.ahead[number] } else { &[][..] };
                tile::<V, { $n }, NB, STEP>(v, product, ahead, pixel, finish, blocks, at + pixel);
                (pixel, number) = (pixel + $n, number + 1);
            }};
        }
        let left = pixels - pixel;
        // The last two tiles share what is left, as few sums wait for each other's multiply-adds.
        let count = if left >= 2 * widest {
            widest
        } else if left > widest {
            left.div_ceil(2)
        } else {
            left
        };
        match (NB, count) {
            (1, 16) => some!(16),
            (1, 15) => some!(15),
            (1, 14) => some!(14),
            (1, 13) => some!(13),
            (1 | 2, 12) => some!(12),
            (1 | 2, 11) => some!(11),
            (1 | 2, 10) => some!(10),
            (1 | 2, 9) => some!(9),
            (1..=3, 8) => some!(8),
            (1..=3, 7) => some!(7),
            (3 | 4, 6) => some!(6),
            (3 | 4, 5) => some!(5),
            (_, 4..) => some!(4),
            (4, 3) => some!(3),
            (_, 2..) => some!(2),
            _ => some!(1),
        }
    }
}

#[inline(always)]
fn tile<V: Vector, const NP: usize, const NB: usize, const STEP: usize>(
    v: V,
    product: &Product<'_, NB>,
    ahead: &[Line],
    pixel: usize,
    finish: Finish<'_, V, NB>,
    blocks: &mut [&mut [f32]],
    at: usize,
) {
    // Constants only index the sums, or the compiler would keep them in memory.
    let mut sums = [[v.splat_f32s(0.0); NP]; NB];
    if !finish.starts {
        for j in 0..NB {
            let block = &blocks[j][at * PANEL..][..NP * PANEL];
            for i in 0..NP {
                sums[j][i] = load::<V>(&block[i * PANEL..]);
            }
        }
    }
    let adds = finish.epilogue.is_some() && !finish.residual[0].is_empty();
    let mut residual = [&[][..]; NB];
    if adds {
        // It was computed long ago: asked for before it is needed.
        for (own, all) in residual.iter_mut().zip(finish.residual) {
            *own = &all[pixel * PANEL..][..NP * PANEL];
            own.chunks(PANEL).for_each(|line| v.prefetch(line));
        }
    }
    let (taps, input) = (product.taps, &product.input[pixel * STEP..]);
    let mut lines = [&[][..]; NB];
    for (lines, all) in lines.iter_mut().zip(product.lines) {
        *lines = &all[..taps.len()];
    }
    // Where nothing is needed, the lines at hand are asked for, rather than asking whether to.
    let ahead = if ahead.len() < taps.len() { lines[0] } else { &ahead[..taps.len()] };
    for (k, &tap) in taps.iter().enumerate() {
        v.prefetch(&ahead[k]);
        let pixels = &input[tap..][..(NP - 1) * STEP + 1];
        let mut weights = [v.splat_f32s(0.0); NB];
        for j in 0..NB {
            weights[j] = load::<V>(&lines[j][k]);
        }
        for i in 0..NP {
            let x = v.splat_f32s(pixels[i * STEP]);
            for j in 0..NB {
                sums[j][i] = v.fma(weights[j], x, sums[j][i]);
            }
        }
    }
    for j in 0..NB {
        let block = &mut blocks[j][at * PANEL..][..NP * PANEL];
        let sums = match finish.epilogue {
            Some(epilogue) if adds => {
                let mut added = [v.splat_f32s(0.0); NP];
                for (i, added) in added.iter_mut().enumerate() {
                    *added = load::<V>(&residual[j][i * PANEL..]);
                }
                epilogue[j].apply(v, sums[j], Some(added))
            }
            Some(epilogue) => epilogue[j].apply(v, sums[j], None),
            None => sums[j],
        };
        for (i, sum) in sums.into_iter().enumerate() {
            store::<V>(&mut block[i * PANEL..], sum);
        }
    }
}
