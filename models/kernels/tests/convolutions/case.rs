//! One convolution layer with everything that surrounds it, and strategies that draw such layers.

use super::common::values;
use collab_kernels::{Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, Map, Scratch, Strip, divide};
use proptest::prelude::*;

/// A layer with the size of its input and what is folded into it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) shape: ConvShape,
    pub(crate) algorithm: Algorithm,
    pub(crate) in_rows: usize,
    pub(crate) top: usize,
    pub(crate) bottom: usize,
    pub(crate) activation: Activation,
    pub(crate) bias: bool,
    pub(crate) scale: bool,
    pub(crate) residual: bool,
    pub(crate) seed: u64,
}

impl Case {
    pub(crate) fn out_rows(&self) -> usize {
        self.shape.out_rows(self.in_rows, self.top, self.bottom)
    }

    pub(crate) fn epilogue(&self) -> Epilogue {
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

    pub(crate) fn input(&self) -> Vec<f32> {
        values(self.seed + 4, self.shape.in_channels * self.in_rows * self.shape.width)
    }

    pub(crate) fn weights(&self) -> Vec<f32> {
        values(self.seed + 5, self.shape.weights())
    }

    pub(crate) fn residual(&self) -> Option<Vec<f32>> {
        let len = self.shape.out_channels * self.out_rows() * self.shape.out_width();
        self.residual.then(|| values(self.seed + 6, len))
    }

    pub(crate) fn conv(&self, isa: Isa) -> Conv {
        Conv::new(self.shape.clone(), &self.weights(), self.epilogue(), self.algorithm, isa).unwrap()
    }

    pub(crate) fn map<'a>(&self, input: &'a [f32]) -> Map<'a> {
        Map::new(input, self.shape.in_channels, self.in_rows, self.shape.width).unwrap()
    }

    pub(crate) fn residual_map<'a>(&self, residual: &'a Option<Vec<f32>>) -> Option<Map<'a>> {
        let (channels, width) = (self.shape.out_channels, self.shape.out_width());
        residual.as_ref().map(|values| Map::new(values, channels, self.out_rows(), width).unwrap())
    }

    pub(crate) fn whole(&self, isa: Isa, scratch: &mut Scratch) -> Vec<f32> {
        let (input, residual) = (self.input(), self.residual());
        let rows = 0..self.out_rows();
        let mut output = vec![f32::NAN; self.shape.out_channels * rows.len() * self.shape.out_width()];
        let residual = self.residual_map(&residual);
        let strip = Strip { input: self.map(&input), top: self.top, bottom: self.bottom, rows, residual };
        self.conv(isa).run(&strip, &mut output, scratch).unwrap();
        output
    }

    /// The rows `first..end` from only the input rows they need, in the shares of so many threads.
    pub(crate) fn strip(
        &self,
        isa: Isa,
        first: usize,
        end: usize,
        threads: usize,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
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
        Just(Activation::Silu),
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

/// Layers of every geometry that `algorithm` computes.
pub(crate) fn cases(algorithm: Algorithm) -> impl Strategy<Value = Case> {
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

/// Dense layers that read and write whole blocks of 16 channels, without groups.
pub(crate) fn whole_blocks() -> impl Strategy<Value = Case> {
    (cases(Algorithm::Dense), 1..6usize, 1..7usize).prop_map(|(mut case, inside, outside)| {
        let shape = &mut case.shape;
        (shape.in_channels, shape.out_channels, shape.groups) = (16 * inside, 16 * outside, 1);
        case
    })
}

/// 1×1 layers of narrow maps, between rows of zeros or not.
pub(crate) fn narrow_products() -> impl Strategy<Value = Case> {
    (cases(Algorithm::Dense), 1..90usize, 1..150usize, 1..16usize, 0..3usize, 0..3usize).prop_map(
        |(mut case, inside, outside, width, top, bottom)| {
            let shape = &mut case.shape;
            (shape.in_channels, shape.out_channels, shape.groups) = (inside, outside, 1);
            (shape.kernel, shape.stride, shape.dilation) = ([1, 1], [1, 1], [1, 1]);
            (shape.width, shape.left, shape.right) = (width, 0, 0);
            (case.top, case.bottom) = (top, bottom);
            case
        },
    )
}

/// Dense layers in groups, each of which reads and writes whole blocks of 16 channels.
pub(crate) fn groups_of_whole_blocks() -> impl Strategy<Value = Case> {
    (cases(Algorithm::Dense), 2..5usize, 1..4usize, 1..6usize).prop_map(
        |(mut case, groups, inside, outside)| {
            let shape = &mut case.shape;
            (shape.in_channels, shape.out_channels, shape.groups) =
                (16 * groups * inside, 16 * groups * outside, groups);
            case
        },
    )
}

/// Layers of one of Winograd's algorithms, in groups of whole blocks or without groups.
pub(crate) fn winograd_of_whole_blocks(algorithm: Algorithm) -> impl Strategy<Value = Case> {
    (cases(algorithm), 1..3usize, 1..5usize, 1..12usize).prop_map(|(mut case, groups, inside, outside)| {
        let shape = &mut case.shape;
        (shape.in_channels, shape.out_channels, shape.groups) =
            (16 * groups * inside, 16 * groups * outside, groups);
        case
    })
}
