//! Convolutions against the naive one, and strips against the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod case;
#[path = "../common/mod.rs"]
mod common;
mod layouts;

use case::{Case, cases, groups_of_whole_blocks, narrow_products, whole_blocks};
use collab_kernels::{
    Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, KernelError, Scratch, Strip, divide,
};
use common::{bits, config, convolve, largest_error, largest_error_of_all};
use proptest::prelude::*;

/// Rounding errors of a sum grow with its length at most; Winograd's transforms add a constant factor.
fn bound(case: &Case) -> f64 {
    let steps = (case.shape.depth() + 8) as f64 * f64::from(f32::EPSILON);
    if matches!(case.algorithm, Algorithm::WinogradRows | Algorithm::WinogradPairs) {
        steps * 40.0
    } else {
        steps
    }
}

fn check_against_the_naive_one(case: &Case) {
    let (input, weights, residual) = (case.input(), case.weights(), case.residual());
    let padding = [case.top, case.bottom];
    let exact =
        convolve(&case.shape, &input, case.in_rows, padding, &weights, &case.epilogue(), residual.as_deref());
    let mut scratch = Scratch::new();
    for isa in Isa::available() {
        let error = match case.algorithm {
            Algorithm::WinogradRows | Algorithm::WinogradPairs => {
                largest_error_of_all(&exact, &case.whole(isa, &mut scratch))
            }
            _ => largest_error(&exact, &case.whole(isa, &mut scratch)),
        };
        assert!(error <= bound(case), "{isa:?}: {error:e} of the magnitudes, {:e} allowed", bound(case));
    }
}

/// Rows from their own input rows, in the shares of some threads, are those of the whole.
fn check_strips(case: &Case, first: usize, end: usize, threads: usize) {
    let mut scratch = Scratch::new();
    let (out_rows, width) = (case.out_rows(), case.shape.out_width());
    let (first, end) = (first % out_rows, (first % out_rows + 1 + end % out_rows).min(out_rows));
    for isa in Isa::available() {
        let whole = case.whole(isa, &mut scratch);
        let strip = case.strip(isa, first, end, threads, &mut scratch);
        for (channel, part) in strip.chunks_exact((end - first) * width).enumerate() {
            let expected = &whole[(channel * out_rows + first) * width..][..(end - first) * width];
            assert_eq!(
                bits(expected),
                bits(part),
                "{isa:?}, channel {channel}, rows {first}..{end}, {threads} threads"
            );
        }
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_dense_convolution_is_near_the_naive_one(case in cases(Algorithm::Dense)) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_winograd_convolution_is_near_the_naive_one(case in cases(Algorithm::WinogradRows)) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_winograd_convolution_by_pairs_is_near_the_naive_one(case in cases(Algorithm::WinogradPairs)) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_depthwise_convolution_is_near_the_naive_one(case in cases(Algorithm::Depthwise)) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_strip_of_a_dense_convolution_has_the_bits_of_the_whole(
        case in cases(Algorithm::Dense), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }

    #[test]
    fn groups_of_whole_blocks_are_near_the_naive_ones(case in groups_of_whole_blocks()) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_strip_of_groups_of_whole_blocks_has_the_bits_of_the_whole(
        case in groups_of_whole_blocks(), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }

    #[test]
    fn whole_blocks_are_near_the_naive_ones(case in whole_blocks()) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_strip_of_whole_blocks_has_the_bits_of_the_whole(
        case in whole_blocks(), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }

    #[test]
    fn a_product_of_a_narrow_map_is_near_the_naive_one_also_where_it_reads_zeros(case in narrow_products()) {
        check_against_the_naive_one(&case);
    }

    #[test]
    fn a_strip_of_a_product_of_a_narrow_map_has_the_bits_of_the_whole(
        case in narrow_products(), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }

    #[test]
    fn a_strip_of_a_winograd_convolution_has_the_bits_of_the_whole(
        case in cases(Algorithm::WinogradRows), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }

    #[test]
    fn a_strip_of_a_winograd_convolution_by_pairs_has_the_bits_of_the_whole(
        case in cases(Algorithm::WinogradPairs), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }

    #[test]
    fn a_strip_of_a_depthwise_convolution_has_the_bits_of_the_whole(
        case in cases(Algorithm::Depthwise), first in 0..100usize, end in 0..100usize, threads in 1..6usize,
    ) {
        check_strips(&case, first, end, threads);
    }
}

fn example(algorithm: Algorithm) -> Case {
    let shape = ConvShape {
        in_channels: 24,
        out_channels: 24,
        groups: if algorithm == Algorithm::Depthwise { 24 } else { 1 },
        width: 21,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        left: 1,
        right: 1,
    };
    Case {
        shape,
        algorithm,
        in_rows: 13,
        top: 1,
        bottom: 1,
        activation: Activation::RELU,
        bias: true,
        scale: true,
        residual: false,
        seed: 7,
    }
}

#[test]
fn rows_split_between_threads_have_the_bits_of_one_thread() {
    for algorithm in
        [Algorithm::Dense, Algorithm::WinogradRows, Algorithm::WinogradPairs, Algorithm::Depthwise]
    {
        let case = example(algorithm);
        let (input, width, rows) = (case.input(), case.shape.out_width(), case.out_rows());
        for isa in Isa::available() {
            let whole = case.whole(isa, &mut Scratch::new());
            let conv = case.conv(isa);
            let mut output = vec![f32::NAN; whole.len()];
            let (mut upper, mut lower): (Vec<_>, Vec<_>) =
                output.chunks_exact_mut(rows * width).map(|plane| plane.split_at_mut(5 * width)).unzip();
            let strip = |rows| Strip { input: case.map(&input), top: 1, bottom: 1, rows, residual: None };
            std::thread::scope(|scope| {
                scope.spawn(|| conv.run_planes(&strip(0..5), &mut upper, &mut Scratch::new()).unwrap());
                scope.spawn(|| conv.run_planes(&strip(5..rows), &mut lower, &mut Scratch::new()).unwrap());
            });
            assert_eq!(bits(&whole), bits(&output), "{algorithm:?} {isa:?}");
        }
    }
}

#[test]
fn channels_split_between_threads_have_the_bits_of_one_thread() {
    for (algorithm, groups) in [
        (Algorithm::Dense, 1),
        (Algorithm::Dense, 2),
        (Algorithm::WinogradRows, 1),
        (Algorithm::WinogradRows, 2),
        (Algorithm::WinogradPairs, 1),
        (Algorithm::WinogradPairs, 2),
        (Algorithm::Depthwise, 24),
    ] {
        let mut case = example(algorithm);
        (case.shape.groups, case.shape.out_channels, case.residual) = (groups, 72, true);
        let (input, residual) = (case.input(), case.residual());
        let plane = case.shape.out_width() * case.out_rows();
        for isa in Isa::available() {
            let whole = case.whole(isa, &mut Scratch::new());
            let conv = case.conv(isa);
            let mut output = vec![f32::NAN; whole.len()];
            let shares = conv.shares(case.out_rows(), 3);
            let middle = (36 / conv.channel_step()).max(1) * conv.channel_step();
            assert!(shares.len() == 3 && middle < 72, "{shares:?} {middle}");
            let strip = Strip {
                input: case.map(&input),
                top: 1,
                bottom: 1,
                rows: 0..case.out_rows(),
                residual: case.residual_map(&residual),
            };
            let mut planes: Vec<&mut [f32]> = output.chunks_exact_mut(plane).collect();
            let (first, second) = planes.split_at_mut(middle);
            let run = |channels, planes: &mut [&mut [f32]]| {
                conv.run_channels(&strip, channels, planes, &mut Scratch::new()).unwrap();
            };
            std::thread::scope(|scope| {
                scope.spawn(|| run(0..middle, first));
                run(middle..72, second);
            });
            assert_eq!(bits(&whole), bits(&output), "{algorithm:?} {isa:?}");
            let mut output = vec![f32::NAN; whole.len()];
            let width = case.shape.out_width();
            let mut parts: Vec<_> = shares.iter().map(|_| Vec::new()).collect();
            divide(output.chunks_exact_mut(case.out_rows() * width), width, &shares, &mut parts);
            for (share, mut planes) in shares.iter().zip(parts) {
                conv.run_share(&strip, share, &mut planes, &mut Scratch::new()).unwrap();
            }
            assert_eq!(bits(&whole), bits(&output), "{algorithm:?} {isa:?} {shares:?}");
        }
    }
}

#[test]
fn threads_divide_a_strip_between_pairs_of_rows_of_the_whole() {
    let conv = example(Algorithm::WinogradPairs).conv(Isa::Plain).beginning_at(5);
    let shares = conv.shares(12, 3);
    let rows: Vec<_> = shares.into_iter().map(|share| share.rows).collect();
    // Row 0 is row 5 of the whole, the second of its pair.
    assert_eq!(rows, [0..5, 5..9, 9..12]);
}

#[test]
fn a_shifted_strip_is_told_from_the_whole() {
    let case = Case { activation: Activation::None, ..example(Algorithm::Dense) };
    let mut scratch = Scratch::new();
    let width = case.shape.out_width();
    let whole = case.whole(Isa::Plain, &mut scratch);
    let strip = case.strip(Isa::Plain, 3, 6, 1, &mut scratch);
    assert_eq!(bits(&whole[3 * width..6 * width]), bits(&strip[..3 * width]));
    assert_ne!(bits(&whole[2 * width..5 * width]), bits(&strip[..3 * width]));
}

#[test]
fn scratch_memory_stops_growing_after_the_first_run() {
    for algorithm in
        [Algorithm::Dense, Algorithm::WinogradRows, Algorithm::WinogradPairs, Algorithm::Depthwise]
    {
        let (case, mut scratch) = (example(algorithm), Scratch::new());
        case.whole(Isa::best(), &mut scratch);
        let bytes = scratch.bytes();
        assert!(bytes > 0);
        case.whole(Isa::best(), &mut scratch);
        assert_eq!(bytes, scratch.bytes());
    }
}

#[test]
fn wrong_sizes_are_refused_with_what_was_expected() {
    let case = example(Algorithm::Dense);
    let refused = Conv::new(case.shape.clone(), &[0.0; 3], Epilogue::none(), Algorithm::Dense, Isa::Plain);
    assert_eq!(
        refused.unwrap_err(),
        KernelError::Length { what: "weights", expected: case.shape.weights(), found: 3 }
    );
    let shape = ConvShape { stride: [2, 1], ..case.shape.clone() };
    let refused = Conv::new(shape, &case.weights(), Epilogue::none(), Algorithm::WinogradRows, Isa::Plain);
    assert!(matches!(refused.unwrap_err(), KernelError::Algorithm { algorithm: "Winograd", .. }));
    let input = case.input();
    let strip = Strip { input: case.map(&input), top: 1, bottom: 1, rows: 0..14, residual: None };
    let mut output = vec![0.0; 24 * 14 * 21];
    let refused = case.conv(Isa::Plain).run(&strip, &mut output, &mut Scratch::new());
    assert_eq!(refused.unwrap_err(), KernelError::Rows { first: 0, end: 14, rows: 13 });
}
