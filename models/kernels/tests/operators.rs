//! Transposed convolution, pools, normalisation and fully connected layers against naive ones, and parts of them
//! against the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use collab_kernels::{
    Activation, Epilogue, Isa, Layout, Linear, LocalResponse, Map, PlaneList, Pool, PoolKind, Scratch, Strip,
    Transposed, TransposedShape, TransposedStrip, apply_epilogue, multiply_channels, sum_channels,
};
use common::{Exact, bits, config, finish, laid_out, largest_error, place, values};
use proptest::prelude::*;

fn transposed_shapes() -> impl Strategy<Value = TransposedShape> {
    let sizes =
        (1..3usize, 1..20usize, 1..20usize, 1..40usize, [1..6usize, 1..6usize], [1..4usize, 1..4usize]);
    (sizes, 0..4usize, 0..4usize).prop_map(
        |((groups, inside, outside, width, kernel, stride), left, right)| {
            let full = (width - 1) * stride[1] + kernel[1];
            let left = left.min(full - 1);
            TransposedShape {
                in_channels: groups * inside,
                out_channels: groups * outside,
                groups,
                width,
                kernel,
                stride,
                left,
                out_width: (full - left).saturating_sub(right).max(1),
            }
        },
    )
}

/// All rows of the full output, nothing cut off at the top or the bottom.
fn transpose(
    shape: &TransposedShape,
    input: &[f32],
    in_rows: usize,
    weights: &[f32],
    epilogue: &Epilogue,
) -> Vec<Exact> {
    let rows = (in_rows - 1) * shape.stride[0] + shape.kernel[0];
    let (inside, outside) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let mut outputs = Vec::new();
    for channel in 0..shape.out_channels {
        for y in 0..rows {
            for x in 0..shape.out_width {
                let (mut value, mut magnitude) = (0.0, 0.0);
                for c in 0..inside {
                    let from = channel / outside * inside + c;
                    for row in 0..in_rows {
                        for column in 0..shape.width {
                            let ky = y.wrapping_sub(row * shape.stride[0]);
                            let kx = (x + shape.left).wrapping_sub(column * shape.stride[1]);
                            if ky < shape.kernel[0] && kx < shape.kernel[1] {
                                let a = f64::from(input[(from * in_rows + row) * shape.width + column]);
                                let at = (from * outside + channel % outside) * shape.kernel[0] + ky;
                                let b = f64::from(weights[at * shape.kernel[1] + kx]);
                                value += a * b;
                                magnitude += (a * b).abs();
                            }
                        }
                    }
                }
                outputs.push(finish(value, magnitude, epilogue, channel, None));
            }
        }
    }
    outputs
}

fn run_transposed(layer: &Transposed, strip: &TransposedStrip<'_>) -> Vec<f32> {
    let shape = layer.shape();
    let mut output = vec![f32::NAN; shape.out_channels * strip.rows.len() * shape.out_width];
    let mut planes = PlaneList::default().split(&mut output, shape.out_channels);
    layer.run_planes(strip, &mut planes, &mut Scratch::new()).unwrap();
    output
}

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
    fn a_transposed_convolution_is_near_the_naive_one(
        shape in transposed_shapes(), in_rows in 1..8usize, seed in 0..1000u64,
    ) {
        let input = values(seed, shape.in_channels * in_rows * shape.width);
        let taps = shape.kernel[0] * shape.kernel[1];
        let weights = values(seed + 1, shape.in_channels * shape.out_channels / shape.groups * taps);
        let epilogue = Epilogue::new(values(seed + 2, shape.out_channels), Activation::Leaky { slope: 0.1 });
        let exact = transpose(&shape, &input, in_rows, &weights, &epilogue);
        let rows = 0..(in_rows - 1) * shape.stride[0] + shape.kernel[0];
        let bound = (shape.in_channels * taps + 8) as f64 * f64::from(f32::EPSILON);
        for isa in Isa::available() {
            let layer = Transposed::new(shape.clone(), &weights, epilogue.clone(), isa).unwrap();
            let map = Map::new(&input, shape.in_channels, in_rows, shape.width).unwrap();
            let output = run_transposed(&layer, &TransposedStrip { input: map, rows: rows.clone(), residual: None });
            let error = largest_error(&exact, &output);
            prop_assert!(error <= bound, "{isa:?}: {error:e}, {bound:e} allowed");
        }
    }

    #[test]
    fn a_strip_of_a_transposed_convolution_has_the_bits_of_the_whole(
        shape in transposed_shapes(), in_rows in 1..12usize, first in 0..40usize, count in 1..12usize, seed in 0..1000u64,
    ) {
        let input = values(seed, shape.in_channels * in_rows * shape.width);
        let taps = shape.kernel[0] * shape.kernel[1];
        let weights = values(seed + 1, shape.in_channels * shape.out_channels / shape.groups * taps);
        let rows = (in_rows - 1) * shape.stride[0] + shape.kernel[0];
        let first = first % rows;
        let end = (first + count).min(rows);
        // The first input row whose last tap reaches `first`, to the last that begins before `end`.
        let from = (first + 1).saturating_sub(shape.kernel[0]).div_ceil(shape.stride[0]).min(first / shape.stride[0]).min(in_rows - 1);
        let to = ((end - 1) / shape.stride[0] + 1).min(in_rows);
        for isa in Isa::available() {
            let layer = Transposed::new(shape.clone(), &weights, Epilogue::none(), isa).unwrap();
            let map = Map::new(&input, shape.in_channels, in_rows, shape.width).unwrap();
            let whole = run_transposed(&layer, &TransposedStrip { input: map, rows: 0..rows, residual: None });
            let shift = from * shape.stride[0];
            let strip = TransposedStrip { input: map.rows_between(from, to), rows: first - shift..end - shift, residual: None };
            let part = run_transposed(&layer, &strip);
            for (channel, part) in part.chunks_exact((end - first) * shape.out_width).enumerate() {
                let start = (channel * rows + first) * shape.out_width;
                prop_assert_eq!(bits(&whole[start..][..part.len()]), bits(part), "{:?}", isa);
            }
        }
    }

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

    #[test]
    fn a_local_response_is_near_the_naive_one_and_its_strips_have_the_bits_of_the_whole(
        channels in 1..12usize, rows in 1..6usize, width in 1..40usize, size in 1..8usize, usual in any::<bool>(), seed in 0..1000u64,
    ) {
        let layer = LocalResponse { size, alpha: 0.5, beta: if usual { 0.75 } else { 0.6 }, bias: 1.5 };
        let input = values(seed, channels * rows * width);
        let map = Map::new(&input, channels, rows, width).unwrap();
        for isa in Isa::available() {
            let mut whole = vec![f32::NAN; input.len()];
            layer.run(isa, map, &mut PlaneList::default().split(&mut whole, channels)).unwrap();
            let plane = rows * width;
            for (at, &found) in whole.iter().enumerate() {
                let channel = at / plane;
                let neighbours = channel.saturating_sub((size - 1) / 2)..=(channel + size / 2).min(channels - 1);
                let squares: f64 = neighbours.map(|c| f64::from(input[c * plane + at % plane]).powi(2)).sum();
                let base = 1.5 + 0.5 / size as f64 * squares;
                let exact = f64::from(input[at]) / base.powf(f64::from(layer.beta));
                prop_assert!((exact - f64::from(found)).abs() <= 1e-6, "{:?}: {} for {}", isa, found, exact);
            }
            let first = rows / 2;
            let mut part = vec![f32::NAN; channels * (rows - first) * width];
            layer.run(isa, map.rows_between(first, rows), &mut PlaneList::default().split(&mut part, channels)).unwrap();
            for (channel, part) in part.chunks_exact((rows - first) * width).enumerate() {
                prop_assert_eq!(bits(&whole[channel * plane + first * width..][..part.len()]), bits(part), "{:?}", isa);
            }
        }
    }

    #[test]
    fn a_fully_connected_layer_is_near_the_naive_one_and_any_range_has_the_bits_of_the_whole(
        inputs in 1..200usize, outputs in 1..40usize, first in 0..40usize, count in 1..40usize, seed in 0..1000u64,
    ) {
        let (weights, input) = (values(seed, inputs * outputs), values(seed + 1, inputs));
        let epilogue = Epilogue::new(values(seed + 2, outputs), Activation::RELU);
        let exact: Vec<Exact> = (0..outputs).map(|output| {
            let products = input.iter().zip(&weights[output * inputs..]).map(|(&a, &b)| f64::from(a) * f64::from(b));
            let magnitude = products.clone().map(f64::abs).sum();
            finish(products.sum(), magnitude, &epilogue, output, None)
        }).collect();
        let (first, end) = (first % outputs, (first % outputs + count).min(outputs));
        for isa in Isa::available() {
            let layer = Linear::new(&weights, outputs, epilogue.clone(), isa).unwrap();
            let mut whole = vec![f32::NAN; outputs];
            layer.run(&input, 0..outputs, &mut whole).unwrap();
            let error = largest_error(&exact, &whole);
            prop_assert!(error <= (inputs + 8) as f64 * f64::from(f32::EPSILON), "{:?}: {:e}", isa, error);
            let mut part = vec![f32::NAN; end - first];
            layer.run(&input, first..end, &mut part).unwrap();
            prop_assert_eq!(bits(&whole[first..end]), bits(&part), "{:?}", isa);
        }
    }

    #[test]
    fn an_elementwise_epilogue_is_near_the_naive_one(channels in 1..6usize, pixels in 1..50usize, seed in 0..1000u64) {
        let (input, residual) = (values(seed, channels * pixels), values(seed + 1, channels * pixels));
        let epilogue = Epilogue {
            bias: Vec::new(),
            scale: values(seed + 2, channels),
            shift: values(seed + 3, channels),
            activation: Activation::HardSwish,
        };
        let exact: Vec<Exact> = input.iter().zip(&residual).enumerate().map(|(at, (&x, &r))| {
            finish(x.into(), x.abs().into(), &epilogue, at / pixels, Some(r))
        }).collect();
        let [map, residual] = [&input, &residual].map(|data| Map::new(data, channels, 1, pixels).unwrap());
        for isa in Isa::available() {
            let mut output = vec![f32::NAN; input.len()];
            let mut planes = PlaneList::default().split(&mut output, channels);
            apply_epilogue(isa, &epilogue, Layout::Planes, map, Some(residual), &mut planes).unwrap();
            prop_assert!(largest_error(&exact, &output) <= 1e-6, "{:?}", isa);
        }
    }

    #[test]
    fn channels_multiplied_where_they_lie_have_the_bits_of_an_epilogue(
        blocks in 1..4usize, pixels in 1..100usize, seed in 0..1000u64
    ) {
        let channels = 16 * blocks;
        let mut input = values(seed, channels * pixels);
        input[0] = -f32::MIN_POSITIVE;
        let factors = values(seed + 1, channels);
        let scale = Epilogue { scale: factors.clone(), shift: vec![0.0; channels], ..Epilogue::none() };
        for isa in Isa::available() {
            for layout in [Layout::Planes, Layout::Blocks] {
                let [planes, width] = layout.as_planes(channels, pixels);
                let map = Map::new(&input, planes, 1, width).unwrap();
                let (mut expected, mut found) = (vec![f32::NAN; input.len()], input.clone());
                let mut slices = PlaneList::default().split(&mut expected, planes);
                let known = apply_epilogue(isa, &scale, layout, map, None, &mut slices).is_ok();
                let mut slices = PlaneList::default().split(&mut found, planes);
                prop_assert_eq!(multiply_channels(isa, layout, &factors, &mut slices).is_ok(), known);
                prop_assert!(!known || bits(&expected) == bits(&found), "{:?} {:?}", isa, layout);
            }
        }
    }

    #[test]
    fn means_of_channels_are_near_the_naive_ones(channels in 1..40usize, pixels in 1..200usize, seed in 0..1000u64) {
        let input = values(seed, channels * pixels);
        let (scale, shift) = (vec![1.0 / pixels as f32; channels], values(seed + 1, channels));
        let epilogue = Epilogue { bias: Vec::new(), scale, shift, activation: Activation::RELU };
        let exact: Vec<Exact> = input.chunks(pixels).enumerate().map(|(channel, plane)| {
            let sum = |value: fn(f64) -> f64| plane.iter().map(|&x| value(x.into())).sum::<f64>();
            finish(sum(|x| x), sum(f64::abs), &epilogue, channel, None)
        }).collect();
        let map = Map::new(&input, channels, 1, pixels).unwrap();
        for isa in Isa::available() {
            let mut output = vec![f32::NAN; channels];
            sum_channels(isa, &epilogue, Layout::Planes, map, &mut output).unwrap();
            prop_assert!(largest_error(&exact, &output) <= 1e-6, "{:?}", isa);
        }
    }

    #[test]
    fn arithmetic_and_means_have_the_same_bits_however_maps_are_laid_out(
        blocks in 1..4usize, pixels in 1..300usize, seed in 0..1000u64
    ) {
        let channels = 16 * blocks;
        let input = values(seed, channels * pixels);
        let added = values(seed + 1, channels * pixels);
        let epilogue = Epilogue {
            bias: values(seed + 2, channels),
            scale: values(seed + 3, channels),
            shift: values(seed + 4, channels),
            activation: Activation::HardSwish,
        };
        for isa in Isa::available().into_iter().filter(|&isa| isa == Isa::Avx512) {
            let results = [Layout::Planes, Layout::Blocks].map(|layout| {
                let [input, added] = [&input, &added].map(|values| laid_out(values, channels, layout, f32::NAN));
                let [planes, width] = layout.as_planes(channels, pixels);
                let [input, added] = [&input, &added].map(|data| Map::new(data, planes, 1, width).unwrap());
                let mut output = vec![f32::NAN; channels * pixels];
                let mut slices = PlaneList::default().split(&mut output, planes);
                apply_epilogue(isa, &epilogue, layout, input, Some(added), &mut slices).unwrap();
                let mut means = vec![f32::NAN; channels];
                sum_channels(isa, &epilogue, layout, input, &mut means).unwrap();
                let at = |at: usize| output[place(at / pixels, at % pixels, pixels, layout)];
                [bits(&(0..output.len()).map(at).collect::<Vec<_>>()), bits(&means)]
            });
            prop_assert_eq!(&results[0], &results[1]);
        }
    }
}
