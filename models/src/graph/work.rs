//! The work of a layer, by physical term, from the operators that the engine executes.
//!
//! An amount is linear in the rows of the layer's output: so much once for every piece in which the layer is
//! computed, so much for every row. What is fused into an operator counts with it. The constants are those of
//! the kernels in `collab_kernels`: what they do in tiles and blocks is counted in tiles and blocks, as far as
//! that does not depend on the number of rows.

use std::any::Any;
use std::collections::BTreeMap;

use collab_core::network::{Kind, Term, Work};
use collab_kernels::{Activation, Algorithm, Conv, ConvShape, Pool};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Deconv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{Reduce, Softmax};

use super::cut;
use super::steps::{Source, Step};
use crate::operators::{Convolution, Own, Pooling};

/// Output channels of a panel of weights, and of the narrowest tile.
const PANEL: usize = 16;
const TILE_CHANNELS: usize = 4;
/// Pixels of the widest tile.
const TILE_PIXELS: usize = 48;
/// Depth of a block of a product, and pixels that are gathered together.
const DEPTH: usize = 256;
const GATHERED: usize = 6 * TILE_PIXELS;
/// Up to this many output channels a plain 1×1 convolution reads the map where it lies.
const IN_PLACE_CHANNELS: usize = 64;
/// Columns of a group, points, and values of a transformed band of Winograd's algorithm.
const COLUMNS: usize = 4;
const POINTS: usize = 6;
const TRANSFORMED: usize = 160 * 1024;
const MOST_TRANSFORMED: usize = 256 * 1024;
const FEW_GROUPS: usize = 96;
/// Values of a vector.
const LANES: usize = 16;

/// Amounts by term: once a piece, and for all rows.
#[derive(Default)]
struct Amounts(BTreeMap<Term, (f64, f64)>);

impl Amounts {
    fn once(&mut self, term: Term, amount: f64) {
        self.0.entry(term).or_default().0 += amount;
    }

    fn all_rows(&mut self, term: Term, amount: f64) {
        self.0.entry(term).or_default().1 += amount;
    }
}

/// The work of the layer whose steps are `members`.
pub(super) fn of(steps: &[Step], members: &[usize]) -> Vec<Work> {
    let last = &steps[members[members.len() - 1]];
    let rows = f64::from(cut(&last.shape, last.split.along).rows.max(1));
    let mut amounts = Amounts::default();
    amounts.once(Term::Call, 1.0);
    let executed: Vec<&Step> =
        members.iter().map(|&member| &steps[member]).filter(|step| !is_renaming(step)).collect();
    amounts.once(Term::Step, executed.len().saturating_sub(1) as f64);
    for step in executed {
        match step.op.downcast_ref::<Own>() {
            Some(own) => of_ours(steps, step, own, &mut amounts),
            None => of_the_engine(steps, step, &mut amounts),
        }
    }
    let entries = amounts.0.into_iter().filter(|(_, (once, all))| *once > 0.0 || *all > 0.0);
    entries.map(|(term, (call, all))| Work { term, call, row: all / rows }).collect()
}

/// A renaming of axes that moves nothing.
fn is_renaming(step: &Step) -> bool {
    step.op.downcast_ref::<AxisOp>().is_some_and(|op| !matches!(op, AxisOp::Move(..)))
}

/// An operator that our kernels compute.
fn of_ours(steps: &[Step], step: &Step, own: &Own, amounts: &mut Amounts) {
    let written = volume(&step.shape);
    let maps = step.sources.iter().filter(|source| !matches!(source, Source::Konst(_))).count();
    let operator: &dyn Any = &*own.0;
    if let Some(convolution) = operator.downcast_ref::<Convolution>() {
        return of_convolution(&convolution.conv, written, maps > 1, amounts);
    }
    if let Some(pooling) = operator.downcast_ref::<Pooling>() {
        return of_pool(&pooling.kernel, written, amounts);
    }
    if maps > 1 {
        amounts.all_rows(Term::ResidualValues, written);
    }
    match own.0.label() {
        (_, Kind::Transposed) => {
            amounts.all_rows(Term::TransposedMacs, step.macs as f64);
            amounts.all_rows(Term::TransposedValues, written);
            amounts.once(Term::WeightBytes, step.weight_bytes as f64);
        }
        (_, Kind::Dense) => amounts.all_rows(Term::DenseBytes, 4.0 * step.macs as f64),
        (_, Kind::Lrn) => amounts.all_rows(Term::LrnValues, written),
        (text, _) if text.starts_with("HardSwish") => amounts.all_rows(Term::HardValues, written),
        (_, Kind::Elementwise) => amounts.all_rows(Term::CheapValues, written),
        (_, Kind::Move) => amounts.all_rows(Term::BytesMoved, 4.0 * written),
        _ => amounts.all_rows(Term::OtherBytes, 4.0 * (written + read(steps, step))),
    }
}

fn of_convolution(conv: &Conv, written: f64, residual: bool, amounts: &mut Amounts) {
    let shape = conv.shape();
    let rows = written / (shape.out_channels * shape.out_width()) as f64;
    match conv.algorithm() {
        Algorithm::Depthwise => return of_depthwise(shape, rows, residual, amounts),
        Algorithm::Winograd => of_winograd(shape, rows, amounts),
        Algorithm::Dense => of_product(shape, rows, amounts),
    }
    amounts.all_rows(Term::OutputValues, written);
    if residual {
        amounts.all_rows(Term::ResidualValues, written);
    }
    if conv.activation() == Activation::HardSwish {
        amounts.all_rows(Term::HardValues, written);
    }
}

/// A convolution as a product of packed weights with gathered pixels, block by block of its depth.
fn of_product(shape: &ConvShape, rows: f64, amounts: &mut Amounts) {
    let (groups, taps) = (shape.groups, shape.taps());
    let (inputs, outputs) = (shape.in_channels / groups, shape.out_channels / groups);
    let pixels = rows * shape.out_width() as f64;
    let depth = (groups * inputs * taps) as f64;
    let macs = match (groups, taps) {
        (1, 1) => Term::PointwiseMacs,
        (1, _) => Term::DirectMacs,
        _ => Term::GroupedMacs,
    };
    amounts.all_rows(macs, outputs.next_multiple_of(TILE_CHANNELS) as f64 * depth * pixels);
    amounts.all_rows(Term::PanelReads, outputs.div_ceil(PANEL) as f64 * depth * pixels);
    let plain = taps == 1 && shape.stride == [1, 1] && shape.out_width() == shape.width;
    if !plain || outputs > IN_PLACE_CHANNELS {
        let gathered = match (plain, shape.stride[1]) {
            (true, _) => Term::Packed,
            (_, 1) => Term::Gathered,
            _ => Term::GatheredStrided,
        };
        amounts.all_rows(gathered, depth * pixels);
        let stretch = shape.out_width().min(TILE_PIXELS) as f64;
        amounts.all_rows(Term::GatherRuns, depth * pixels / stretch);
    }
    let most = (DEPTH / taps).max(1);
    let step = inputs.div_ceil(inputs.div_ceil(most));
    let blocks = inputs.div_ceil(step);
    amounts.all_rows(Term::SumReloads, (blocks - 1) as f64 * (groups * outputs) as f64 * pixels);
    weights_read(4.0 * shape.weights() as f64, pixels / GATHERED as f64, amounts);
}

/// Weights pass by once for every so many pixels; half a time more on average than these fill.
fn weights_read(bytes: f64, times: f64, amounts: &mut Amounts) {
    amounts.once(Term::WeightBytes, 0.5 * bytes);
    amounts.all_rows(Term::WeightBytes, times * bytes);
}

fn of_winograd(shape: &ConvShape, rows: f64, amounts: &mut Amounts) {
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let groups = shape.out_width().div_ceil(COLUMNS);
    let row = POINTS * inputs * groups;
    let fits = |values: usize| (values / row).saturating_sub(2).max(1);
    let band = fits(TRANSFORMED).max(fits(MOST_TRANSFORMED).min(FEW_GROUPS.div_ceil(groups)));
    let products = (row * 3) as f64 * rows;
    amounts.all_rows(Term::WinogradMacs, outputs.next_multiple_of(TILE_CHANNELS) as f64 * products);
    amounts.all_rows(Term::PanelReads, outputs.div_ceil(PANEL) as f64 * products);
    // Each band of rows reads two more.
    amounts.once(Term::WinogradValues, 2.0 * row as f64);
    amounts.all_rows(Term::WinogradValues, row as f64 * rows * (1.0 + 2.0 / band as f64));
    amounts.all_rows(Term::WinogradSums, (POINTS * outputs * groups) as f64 * rows);
    weights_read(4.0 * (2 * shape.weights()) as f64, rows / band as f64, amounts);
}

fn of_depthwise(shape: &ConvShape, rows: f64, residual: bool, amounts: &mut Amounts) {
    let width = shape.out_width();
    let wide = shape.dilation == [1, 1] && width >= LANES;
    let squares = matches!(shape.kernel, [3, 3] | [5, 5]) && matches!(shape.stride, [1, 1] | [2, 2]);
    let (term, computed) = match (wide && squares, shape.stride) {
        (true, [1, 1]) => (Term::DepthwiseMacs, width.next_multiple_of(LANES)),
        (true, _) => (Term::DepthwiseStridedMacs, width.next_multiple_of(LANES)),
        _ => (Term::DepthwiseNarrowMacs, width + (shape.kernel[1] - 1) / shape.stride[1]),
    };
    let (channels, written) = (shape.in_channels as f64, (shape.out_channels * width) as f64 * rows);
    amounts.all_rows(term, (shape.out_channels * shape.taps() * computed) as f64 * rows);
    let input_rows = shape.stride[0] as f64 * rows;
    amounts.all_rows(Term::DepthwiseCopied, channels * shape.width as f64 * input_rows);
    amounts.all_rows(Term::DepthwiseRows, channels * input_rows);
    amounts.once(Term::DepthwiseRows, channels * (shape.kernel[0] - 1) as f64);
    amounts.all_rows(Term::DepthwiseValues, written);
    if residual {
        amounts.all_rows(Term::ResidualValues, written);
    }
}

/// A pool combines rows first, then columns.
fn of_pool(pool: &Pool, written: f64, amounts: &mut Amounts) {
    let rows = written / pool.out_width.max(1) as f64;
    amounts.all_rows(Term::PoolTaps, rows * (pool.width * pool.kernel[0]) as f64);
    let columns = if pool.stride[1] > 1 { Term::PoolStridedTaps } else { Term::PoolTaps };
    amounts.all_rows(columns, written * pool.kernel[1] as f64);
    amounts.all_rows(Term::PoolRows, rows);
}

/// An operator that the engine computes.
fn of_the_engine(steps: &[Step], step: &Step, amounts: &mut Amounts) {
    let op: &dyn TypedOp = step.op.as_ref();
    let (written, read) = (volume(&step.shape), read(steps, step));
    if op.is::<Deconv>() {
        amounts.all_rows(Term::TransposedMacs, step.macs as f64);
        return amounts.all_rows(Term::TransposedValues, written);
    }
    if let Some(spec) = window(op) {
        return amounts
            .all_rows(Term::PoolStridedTaps, written * spec.kernel_shape.iter().product::<usize>() as f64);
    }
    if op.is::<Reduce>() {
        amounts.all_rows(Term::ReducedRows, written);
        return amounts.all_rows(Term::Reduced, read);
    }
    if op.is::<Softmax>() {
        return amounts.all_rows(Term::ExpValues, written);
    }
    if op.name() == "Resize" {
        return amounts.all_rows(Term::ResizedValues, written);
    }
    if let Some(binary) = op.downcast_ref::<TypedBinOp>() {
        let term = if binary.0.name() == "Pow" { Term::ExpValues } else { Term::CheapValues };
        return amounts.all_rows(term, written);
    }
    if let Some(unary) = op.downcast_ref::<ElementWiseOp>() {
        return amounts.all_rows(unary_term(&unary.0.name()), written);
    }
    if op.is::<Pad>() {
        // It fills the map first and then copies into it.
        return amounts.all_rows(Term::BytesMoved, 4.0 * (written + read));
    }
    if op.is::<TypedConcat>() || op.is::<Slice>() || op.is::<AxisOp>() {
        return amounts.all_rows(Term::BytesMoved, 4.0 * written);
    }
    amounts.all_rows(Term::OtherMacs, step.macs as f64);
    amounts.all_rows(Term::OtherBytes, 4.0 * (written + read));
}

fn window(op: &dyn TypedOp) -> Option<&PoolSpec> {
    let max = op.downcast_ref::<MaxPool>().map(|pool| &pool.pool_spec);
    max.or_else(|| op.downcast_ref::<SumPool>().map(|pool| &pool.pool_spec))
}

/// The price class of arithmetic on each element by itself.
fn unary_term(name: &str) -> Term {
    match name {
        "HardSwish" => Term::HardValues,
        "LeakyRelu" | "Abs" | "Neg" | "Square" | "Sqrt" | "Recip" | "Rsqrt" | "Ceil" | "Floor" | "Round" => {
            Term::CheapValues
        }
        _ => Term::ExpValues,
    }
}

/// Values that a step reads and that are no constants.
fn read(steps: &[Step], step: &Step) -> f64 {
    let read = step.sources.iter().filter_map(|source| match source {
        Source::Step(from) => Some(volume(&steps[*from].shape)),
        _ => None,
    });
    read.sum()
}

fn volume(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration;

    fn amount(work: &[Work], term: Term, rows: u32) -> f64 {
        work.iter().filter(|work| work.term == term).map(|work| work.amount(rows)).sum()
    }

    /// The work of the first layer named `name` of a synthetic network.
    fn of_layer(network: usize, name: &str) -> (Vec<Work>, u32, u64) {
        let model = calibration::network(network).unwrap().unwrap();
        let network = model.network();
        let index = network.layers.iter().position(|layer| layer.name == name).unwrap();
        let layer = &network.layers[index];
        (network.work(index), layer.output.rows, layer.row_macs * u64::from(layer.output.rows))
    }

    #[test]
    fn a_3x3_is_counted_in_winograds_domain() {
        // 32 channels of 40×40 to 48: ten groups of four columns, six products for each of three rows of a kernel.
        let (work, rows, macs) = of_layer(0, "l0");
        let products = amount(&work, Term::WinogradMacs, rows);
        assert_eq!(products, (6 * 32 * 3 * 10 * 40 * 48) as f64);
        assert_eq!(2.0 * products, macs as f64, "half as many as by definition");
        assert_eq!(amount(&work, Term::OutputValues, rows), (48 * 40 * 40) as f64);
        assert_eq!(amount(&work, Term::DirectMacs, rows), 0.0);
    }

    #[test]
    fn a_1x1_is_counted_in_tiles_and_its_weights_pass_by_for_every_block_of_pixels() {
        // 48 channels to 64 over 40×40, read in place.
        let (work, rows, macs) = of_layer(0, "l2");
        assert_eq!(amount(&work, Term::PointwiseMacs, rows), macs as f64);
        assert_eq!(amount(&work, Term::PanelReads, rows), (4 * 48 * 40 * 40) as f64);
        assert_eq!(amount(&work, Term::Packed, rows), 0.0);
        let few = amount(&work, Term::WeightBytes, 1);
        assert!(few >= 0.5 * (4 * 48 * 64) as f64, "{few}");
    }

    #[test]
    fn a_residual_counts_with_the_convolution_that_adds_it() {
        let (work, rows, _) = of_layer(0, "l9");
        assert_eq!(amount(&work, Term::ResidualValues, rows), amount(&work, Term::OutputValues, rows));
    }

    #[test]
    fn a_dense_layer_reads_the_weights_of_its_features() {
        let (work, rows, macs) = of_layer(0, "l14");
        assert_eq!(amount(&work, Term::DenseBytes, rows), 4.0 * macs as f64);
        assert_eq!(amount(&work, Term::DenseBytes, rows / 2), 2.0 * macs as f64);
    }

    #[test]
    fn no_amount_is_negative_and_more_rows_are_never_less_work() {
        for index in 0..calibration::count() {
            let model = calibration::network(index).unwrap().unwrap();
            for layer in 0..model.network().layers.len() {
                let work = model.network().work(layer);
                assert!(
                    work.iter().all(|work| work.call >= 0.0 && work.row >= 0.0),
                    "{index} {layer}: {work:?}"
                );
                assert_eq!(amount(&work, Term::Call, 3), 1.0);
            }
        }
    }
}
