//! The naive convolution in `f64` the kernels are held against, and random numbers.

#![allow(dead_code)]

use collab_kernels::{Activation, ConvShape, Epilogue, Layout};
use proptest::prelude::ProptestConfig;
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// `cases` cases, or as many as `PROPTEST_CASES` says.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let told = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { told.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..told }
}

/// `len` values between −1 and 1.
pub(crate) fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// An output value and the sum of the magnitudes that went into it, before the activation.
pub(crate) struct Exact {
    pub(crate) value: f64,
    pub(crate) magnitude: f64,
}

/// The whole output of a convolution: out channels × out rows × out width.
pub(crate) fn convolve(
    shape: &ConvShape,
    input: &[f32],
    in_rows: usize,
    [top, bottom]: [usize; 2],
    weights: &[f32],
    epilogue: &Epilogue,
    residual: Option<&[f32]>,
) -> Vec<Exact> {
    let (out_rows, out_width) = (shape.out_rows(in_rows, top, bottom), shape.out_width());
    let (group_in, group_out) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let mut outputs = Vec::new();
    for channel in 0..shape.out_channels {
        for y in 0..out_rows {
            for x in 0..out_width {
                let (mut value, mut magnitude) = (0.0, 0.0);
                for c in 0..group_in {
                    for ky in 0..shape.kernel[0] {
                        for kx in 0..shape.kernel[1] {
                            let row = (y * shape.stride[0] + ky * shape.dilation[0]).wrapping_sub(top);
                            let column =
                                (x * shape.stride[1] + kx * shape.dilation[1]).wrapping_sub(shape.left);
                            if row < in_rows && column < shape.width {
                                let from = channel / group_out * group_in + c;
                                let a = f64::from(input[(from * in_rows + row) * shape.width + column]);
                                let at =
                                    ((channel * group_in + c) * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                                let b = f64::from(weights[at]);
                                value += a * b;
                                magnitude += (a * b).abs();
                            }
                        }
                    }
                }
                let at = outputs.len();
                outputs.push(finish(value, magnitude, epilogue, channel, residual.map(|r| r[at])));
            }
        }
    }
    outputs
}

/// Applies an epilogue in `f64`.
pub(crate) fn finish(
    mut value: f64,
    mut magnitude: f64,
    epilogue: &Epilogue,
    channel: usize,
    residual: Option<f32>,
) -> Exact {
    if let Some(&bias) = epilogue.bias.get(channel) {
        value += f64::from(bias);
        magnitude += f64::from(bias).abs();
    }
    if let Some(&scale) = epilogue.scale.get(channel) {
        let (scale, shift) = (f64::from(scale), f64::from(epilogue.shift[channel]));
        value = value * scale + shift;
        magnitude = magnitude * scale.abs() + shift.abs();
    }
    if let Some(residual) = residual {
        value += f64::from(residual);
        magnitude += f64::from(residual).abs();
    }
    Exact { value: activate(epilogue.activation, value), magnitude }
}

/// An activation in `f64`.
pub(crate) fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Clamp { low, high } => x.max(low.into()).min(high.into()),
        Activation::Leaky { slope } if x < 0.0 => x * f64::from(slope),
        Activation::Leaky { .. } => x,
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    }
}

/// The largest error of `found`, as a share of the magnitudes that were summed.
pub(crate) fn largest_error(exact: &[Exact], found: &[f32]) -> f64 {
    assert_eq!(exact.len(), found.len());
    let errors = exact.iter().zip(found).map(|(exact, &found)| {
        let error = (exact.value - f64::from(found)).abs() / (exact.magnitude + 1e-3);
        if error.is_nan() { f64::INFINITY } else { error }
    });
    errors.fold(0.0, f64::max)
}

/// The largest error of `found`, as a share of the largest magnitude: the values of a Winograd tile share their errors.
pub(crate) fn largest_error_of_all(exact: &[Exact], found: &[f32]) -> f64 {
    let magnitude = exact.iter().map(|exact| exact.magnitude).fold(1e-3, f64::max);
    let errors = exact.iter().zip(found).map(|(exact, &found)| (exact.value - f64::from(found)).abs());
    errors.fold(0.0, |most, error| if error.is_nan() { f64::INFINITY } else { most.max(error) }) / magnitude
}

/// The bits of values, for exact comparison.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Values of planes with channels in `layout`; what fills the last block is `filling`.
pub(crate) fn laid_out(values: &[f32], channels: usize, layout: Layout, filling: f32) -> Vec<f32> {
    let pixels = values.len() / channels;
    let [planes, width] = layout.as_planes(channels, 1);
    let mut out = vec![filling; planes * width * pixels];
    for (channel, plane) in values.chunks_exact(pixels).enumerate() {
        for (pixel, &value) in plane.iter().enumerate() {
            out[place(channel, pixel, pixels, layout)] = value;
        }
    }
    out
}

/// Where the value of a pixel of a channel lies.
pub(crate) fn place(channel: usize, pixel: usize, pixels: usize, layout: Layout) -> usize {
    let [_, lanes] = layout.as_planes(1, 1);
    (channel / lanes * pixels + pixel) * lanes + channel % lanes
}
