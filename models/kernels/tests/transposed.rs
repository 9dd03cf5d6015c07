//! Transposed convolutions against naive ones, and strips of them against the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use collab_kernels::{
    Activation, Epilogue, Isa, Map, PlaneList, Scratch, Transposed, TransposedShape, TransposedStrip,
};
use common::{Exact, bits, config, finish, largest_error, values};
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
}
