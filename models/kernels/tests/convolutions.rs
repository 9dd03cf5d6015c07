//! Convolutions against the naive one, and strips against the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use collab_kernels::{
    Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, KernelError, Map, Scratch, Strip, divide,
};
use common::{bits, config, convolve, largest_error, largest_error_of_all, values};
use proptest::prelude::*;

/// A layer with the size of its input and what is folded into it.
#[derive(Debug, Clone)]
struct Case {
    shape: ConvShape,
    algorithm: Algorithm,
    in_rows: usize,
    top: usize,
    bottom: usize,
    activation: Activation,
    bias: bool,
    scale: bool,
    residual: bool,
    seed: u64,
}

impl Case {
    fn out_rows(&self) -> usize {
        self.shape.out_rows(self.in_rows, self.top, self.bottom)
    }

    fn epilogue(&self) -> Epilogue {
        let list = |wanted, seed| {
            if wanted { values(self.seed + seed, self.shape.out_channels) } else { Vec::new() }
        };
        Epilogue {
            bias: list(self.bias, 1),
            scale: list(self.scale, 2),
            shift: list(self.scale, 3),
            activation: self.activation,
        }
    }

    fn input(&self) -> Vec<f32> {
        values(self.seed + 4, self.shape.in_channels * self.in_rows * self.shape.width)
    }

    fn weights(&self) -> Vec<f32> {
        values(self.seed + 5, self.shape.weights())
    }

    fn residual(&self) -> Option<Vec<f32>> {
        let len = self.shape.out_channels * self.out_rows() * self.shape.out_width();
        self.residual.then(|| values(self.seed + 6, len))
    }

    fn conv(&self, isa: Isa) -> Conv {
        Conv::new(self.shape.clone(), &self.weights(), self.epilogue(), self.algorithm, isa).unwrap()
    }

    fn map<'a>(&self, input: &'a [f32]) -> Map<'a> {
        Map::new(input, self.shape.in_channels, self.in_rows, self.shape.width).unwrap()
    }

    fn residual_map<'a>(&self, residual: &'a Option<Vec<f32>>) -> Option<Map<'a>> {
        let (channels, width) = (self.shape.out_channels, self.shape.out_width());
        residual.as_ref().map(|values| Map::new(values, channels, self.out_rows(), width).unwrap())
    }

    fn whole(&self, isa: Isa, scratch: &mut Scratch) -> Vec<f32> {
        let (input, residual) = (self.input(), self.residual());
        let rows = 0..self.out_rows();
        let mut output = vec![f32::NAN; self.shape.out_channels * rows.len() * self.shape.out_width()];
        let residual = self.residual_map(&residual);
        let strip = Strip { input: self.map(&input), top: self.top, bottom: self.bottom, rows, residual };
        self.conv(isa).run(&strip, &mut output, scratch).unwrap();
        output
    }

    /// The rows `first..end` from only the input rows they need, in the shares of so many threads.
    fn strip(&self, isa: Isa, first: usize, end: usize, threads: usize, scratch: &mut Scratch) -> Vec<f32> {
        let (input, residual) = (self.input(), self.residual());
        let (stride, reach) = (self.shape.stride[0], (self.shape.kernel[0] - 1) * self.shape.dilation[0]);
        let (low, high) = (first * stride, (end - 1) * stride + reach + 1);
        let from = low.saturating_sub(self.top).min(self.in_rows);
        let to = high.saturating_sub(self.top).clamp(from, self.in_rows);
        let top = self.top.saturating_sub(low).min(high - low);
        let strip = Strip {
            input: self.map(&input).rows_between(from, to),
            top,
            bottom: high - low - top - (to - from),
            rows: 0..end - first,
            residual: self.residual_map(&residual).map(|map| map.rows_between(first, end)),
        };
        let (count, width) = (end - first, self.shape.out_width());
        let mut output = vec![f32::NAN; self.shape.out_channels * count * width];
        let conv = self.conv(isa).beginning_at(first);
        let shares = conv.shares(count, threads);
        let mut parts: Vec<_> = shares.iter().map(|_| Vec::new()).collect();
        divide(output.chunks_exact_mut(count * width), width, &shares, &mut parts);
        for (share, mut planes) in shares.iter().zip(parts) {
            conv.run_share(&strip, share, &mut planes, scratch).unwrap();
        }
        output
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::None),
        Just(Activation::RELU),
        Just(Activation::RELU6),
        Just(Activation::Leaky { slope: 0.1 }),
        Just(Activation::HardSwish),
    ]
}

fn shapes(algorithm: Algorithm) -> BoxedStrategy<ConvShape> {
    let kernel = || prop_oneof![8 => 1..6usize, 1 => 6..12usize];
    let stride = || prop_oneof![8 => 1..4usize, 1 => 4..6usize];
    let dilation = || prop_oneof![8 => 1..3usize, 1 => 3..5usize];
    let pad = || prop_oneof![8 => 0..4usize, 1 => 4..9usize];
    let geometry = (
        [kernel(), kernel()],
        [stride(), stride()],
        [dilation(), dilation()],
        prop_oneof![1..20usize, 20..80usize],
        pad(),
        pad(),
    );
    let channels = match algorithm {
        Algorithm::Dense => (
            prop_oneof![Just(1usize), Just(2), Just(3)],
            prop_oneof![1..9usize, 9..150usize],
            prop_oneof![1..9usize, 9..70usize],
        )
            .boxed(),
        // Many channels make several bands of rows, and more than 64 several turns over them.
        Algorithm::WinogradRows | Algorithm::WinogradPairs => (
            prop_oneof![Just(1usize), Just(3)],
            prop_oneof![6 => 1..40usize, 1 => 40..140usize],
            prop_oneof![6 => 1..40usize, 1 => 40..90usize],
        )
            .boxed(),
        Algorithm::Depthwise => (1..20usize, Just(1), 1..3usize).boxed(),
    };
    (geometry, channels)
        .prop_map(move |((kernel, stride, dilation, width, left, right), (groups, inside, outside))| {
            let mut shape = ConvShape {
                in_channels: groups * inside,
                out_channels: groups * outside,
                groups,
                width,
                kernel,
                stride,
                dilation,
                left,
                right,
            };
            if matches!(algorithm, Algorithm::WinogradRows | Algorithm::WinogradPairs) {
                (shape.kernel, shape.stride, shape.dilation) = ([3, 3], [1, 1], [1, 1]);
            }
            shape
        })
        .prop_filter("the kernel fits the width", |shape| shape.out_width() > 0)
        .boxed()
}

fn cases(algorithm: Algorithm) -> impl Strategy<Value = Case> {
    let folded = (activations(), any::<bool>(), any::<bool>(), any::<bool>());
    let pad = || prop_oneof![8 => 0..4usize, 1 => 4..9usize];
    let rows = prop_oneof![6 => 1..14usize, 1 => 14..40usize];
    (shapes(algorithm), rows, pad(), pad(), folded, 0..1_000_000u64)
        .prop_map(move |(shape, in_rows, top, bottom, (activation, bias, scale, residual), seed)| Case {
            shape,
            algorithm,
            in_rows,
            top,
            bottom,
            activation,
            bias,
            scale,
            residual,
            seed,
        })
        .prop_filter("there are output rows", |case| case.out_rows() > 0)
}

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
