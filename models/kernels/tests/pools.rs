//! Pools against naive ones, strips of them against the whole, and blocks against planes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use collab_kernels::{Isa, Layout, Map, PlaneList, Pool, PoolKind, Scratch, Strip};
use common::{bits, config, laid_out, place, values};
use proptest::prelude::*;

fn pools() -> impl Strategy<Value = Pool> {
    let kinds = prop_oneof![Just(PoolKind::Max), Just(PoolKind::Average), Just(PoolKind::AverageWithPadding)];
    let steps = ([1..4usize, 1..4usize], [1..4usize, 1..4usize], [1..3usize, 1..3usize]);
    (kinds, steps, 1..60usize, 0..2usize, 0..2usize, any::<bool>())
        .prop_map(|(kind, (kernel, stride, dilation), width, left, right, up)| {
            let reach = (kernel[1] - 1) * dilation[1] + 1;
            let size = (left + width + right) as isize - reach as isize;
            let out = if up {
                (size + stride[1] as isize - 1).div_euclid(stride[1] as isize)
            } else {
                size.div_euclid(stride[1] as isize)
            };
            // ONNX: with rounding up, no window begins in the right padding.
            let most = (left + width - 1) / stride[1];
            let out_width = usize::try_from(out + 1).unwrap_or(0).min(most + 1);
            Pool { kind, width, out_width, kernel, stride, dilation, left: left.min(kernel[1] - 1), right }
        })
        .prop_filter("there are columns", |pool| pool.out_width > 0)
}

/// One value of a pool; not a number where no value counts.
fn pool_value(
    pool: &Pool,
    plane: &[f32],
    in_rows: usize,
    [top, bottom]: [usize; 2],
    [y, x]: [usize; 2],
) -> f64 {
    let (mut most, mut sum, mut inside, mut padded) = (f64::NEG_INFINITY, 0.0, 0, 0);
    for ky in 0..pool.kernel[0] {
        for kx in 0..pool.kernel[1] {
            let row = y * pool.stride[0] + ky * pool.dilation[0];
            let column = x * pool.stride[1] + kx * pool.dilation[1];
            padded +=
                usize::from(row < top + in_rows + bottom && column < pool.left + pool.width + pool.right);
            let (row, column) = (row.wrapping_sub(top), column.wrapping_sub(pool.left));
            if row < in_rows && column < pool.width {
                let value = f64::from(plane[row * pool.width + column]);
                most = most.max(value);
                sum += value;
                inside += 1;
            }
        }
    }
    match pool.kind {
        PoolKind::Max => most,
        PoolKind::Average => sum / f64::from(inside),
        PoolKind::AverageWithPadding => sum / padded as f64,
    }
}

fn run_pool(pool: &Pool, isa: Isa, channels: usize, strip: &Strip<'_>) -> Vec<f32> {
    let mut output = vec![f32::NAN; channels * strip.rows.len() * pool.out_width];
    let mut planes = PlaneList::default().split(&mut output, channels);
    pool.run_planes(isa, strip, &mut planes, &mut Scratch::new()).unwrap();
    output
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_pool_is_near_the_naive_one_and_its_strips_have_the_bits_of_the_whole(
        pool in pools(), in_rows in 1..12usize, top in 0..2usize, bottom in 0..2usize,
        first in 0..20usize, count in 1..6usize, seed in 0..1000u64,
    ) {
        let channels = 3;
        let reach = (pool.kernel[0] - 1) * pool.dilation[0];
        let top = top.min(pool.kernel[0] - 1);
        prop_assume!(top + in_rows + bottom > reach);
        let rows = (top + in_rows + bottom - reach - 1) / pool.stride[0] + 1;
        let (first, end) = (first % rows, (first % rows + count).min(rows));
        let input = values(seed, channels * in_rows * pool.width);
        let map = Map::new(&input, channels, in_rows, pool.width).unwrap();
        let (low, high) = (first * pool.stride[0], (end - 1) * pool.stride[0] + reach + 1);
        let from = low.saturating_sub(top).min(in_rows);
        let to = high.saturating_sub(top).clamp(from, in_rows);
        let strip_top = top.saturating_sub(low).min(high - low);
        let strip_bottom = (high - low - strip_top - (to - from)).min(bottom);
        for isa in Isa::available() {
            let whole = run_pool(&pool, isa, channels, &Strip { input: map, top, bottom, rows: 0..rows, residual: None });
            for (at, &found) in whole.iter().enumerate() {
                let (channel, y, x) = (at / (rows * pool.out_width), at / pool.out_width % rows, at % pool.out_width);
                let plane = &input[channel * in_rows * pool.width..][..in_rows * pool.width];
                let exact = pool_value(&pool, plane, in_rows, [top, bottom], [y, x]);
                let near = (exact - f64::from(found)).abs() <= 2e-6 || exact == f64::from(found);
                prop_assert!(near || exact.is_nan() && found.is_nan(), "{:?}: {} for {}", isa, found, exact);
            }
            let strip = Strip {
                input: map.rows_between(from, to), top: strip_top, bottom: strip_bottom, rows: 0..end - first, residual: None,
            };
            let part = run_pool(&pool, isa, channels, &strip);
            for (channel, part) in part.chunks_exact((end - first) * pool.out_width).enumerate() {
                let start = (channel * rows + first) * pool.out_width;
                prop_assert_eq!(bits(&whole[start..][..part.len()]), bits(part), "{:?}", isa);
            }
        }
    }

    #[test]
    fn a_pool_has_the_same_bits_however_maps_are_laid_out(
        pool in pools(), channels in 1..40usize, in_rows in 1..12usize, top in 0..2usize, bottom in 0..2usize,
        seed in 0..1000u64,
    ) {
        let reach = (pool.kernel[0] - 1) * pool.dilation[0];
        let top = top.min(pool.kernel[0] - 1);
        prop_assume!(top + in_rows + bottom > reach);
        let rows = 0..(top + in_rows + bottom - reach - 1) / pool.stride[0] + 1;
        let (pixels, input) = (rows.len() * pool.out_width, values(seed, channels * in_rows * pool.width));
        let map = Map::new(&input, channels, in_rows, pool.width).unwrap();
        let blocks = laid_out(&input, channels, Layout::Blocks, f32::NAN);
        let [planes, width] = Layout::Blocks.as_planes(channels, pool.width);
        let strip = Strip {
            input: Map::new(&blocks, planes, in_rows, width).unwrap(), top, bottom, rows: rows.clone(), residual: None,
        };
        for isa in Isa::available() {
            let expected = run_pool(&pool, isa, channels, &Strip { input: map, ..strip.clone() });
            for to in [Layout::Planes, Layout::Blocks] {
                if !pool.takes(isa, [Layout::Blocks, to]) {
                    continue;
                }
                let [planes, width] = to.as_planes(channels, pixels);
                let mut output = vec![f32::NAN; planes * width];
                let mut slices: Vec<_> = output.chunks_exact_mut(width).collect();
                let layouts = [Layout::Blocks, to];
                pool.run_laid_out(isa, &strip, layouts, channels, &mut slices, &mut Scratch::new()).unwrap();
                let all = (0..channels).flat_map(|channel| (0..pixels).map(move |pixel| (channel, pixel)));
                let found: Vec<f32> = all.map(|(channel, pixel)| output[place(channel, pixel, pixels, to)]).collect();
                prop_assert_eq!(bits(&expected), bits(&found), "{:?}, {:?}", isa, to);
            }
        }
    }
}
