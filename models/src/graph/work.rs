//! The work of a layer, by physical term, from the operators that the engine executes.
//!
//! An amount is linear in the rows of the layer's output: so much once for every piece in which the layer is
//! computed, so much for every row. Everything that was fused into the layer counts. What a kernel does
//! to the border of a map is shared out among its rows.

use std::collections::BTreeMap;

use collab_core::network::{Term, Work};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{Reduce, Softmax};
use tract_onnx_opl::lrn::Lrn;

use super::cut;
use super::steps::{Source, Step};
use crate::rows::Weight;
use crate::rows::dense::Dense;

/// Channels that a matrix kernel computes together.
const PANEL: usize = 16;

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
    let mut product = None;
    let mut alone = 0;
    for &member in members {
        let step = &steps[member];
        if step.split.weight == Weight::Light && product.is_some_and(|product| fuses(steps, step, product)) {
            // What the product's output passes through on its way to memory.
            product = Some(member);
            fused(steps, step, members, &mut amounts);
            continue;
        }
        if is_renaming(step) {
            continue;
        }
        alone += 1;
        product = is_product(step).then_some(member);
        executed(steps, step, &mut amounts);
    }
    if alone > 1 {
        amounts.once(Term::Step, f64::from(alone - 1));
    }
    let entries = amounts.0.into_iter().filter(|(_, (once, all))| *once > 0.0 || *all > 0.0);
    entries.map(|(term, (call, all))| Work { term, call, row: all / rows }).collect()
}

/// Whether the engine runs it as a product of packed weights, whose tiles later operators can be fused into.
fn is_product(step: &Step) -> bool {
    let op: &dyn TypedOp = step.op.as_ref();
    op.downcast_ref::<Conv>().is_some_and(|conv| !is_depthwise(conv)) || op.is::<EinSum>()
}

fn is_depthwise(conv: &Conv) -> bool {
    conv.group > 1
        && conv.group == conv.pool_spec.input_channels
        && conv.group == conv.pool_spec.output_channels
}

/// A renaming of axes that moves nothing.
fn is_renaming(step: &Step) -> bool {
    let op: &dyn TypedOp = step.op.as_ref();
    op.downcast_ref::<AxisOp>().is_some_and(|op| !matches!(op, AxisOp::Move(..)))
}

/// Whether `step` is fused into the product that ends with `product`.
fn fuses(steps: &[Step], step: &Step, product: usize) -> bool {
    let reads = matches!(step.sources.first(), Some(Source::Step(read)) if *read == product)
        || matches!(step.sources.get(1), Some(Source::Step(read)) if *read == product);
    let op: &dyn TypedOp = step.op.as_ref();
    let known = op.is::<TypedBinOp>()
        || op.downcast_ref::<ElementWiseOp>().is_some_and(|unary| unary.0.name() == "LeakyRelu");
    reads && known && step.shape == steps[product].shape
}

fn fused(steps: &[Step], step: &Step, members: &[usize], amounts: &mut Amounts) {
    let values = volume(&step.shape);
    let joined = step.sources.iter().any(|source| match source {
        Source::Step(read) => !members.contains(read) && steps[*read].shape == step.shape,
        Source::Input => true,
        Source::Konst(_) => false,
    });
    amounts.all_rows(if joined { Term::ResidualValues } else { Term::FusedValues }, values);
}

fn executed(steps: &[Step], step: &Step, amounts: &mut Amounts) {
    let op: &dyn TypedOp = step.op.as_ref();
    if let Some(conv) = op.downcast_ref::<Conv>() {
        return match is_depthwise(conv) {
            true => depthwise(step, &conv.pool_spec, amounts),
            false => convolution(step, conv, amounts),
        };
    }
    if let Some(deconv) = op.downcast_ref::<Deconv>() {
        let spec = &deconv.pool_spec;
        amounts.all_rows(Term::TransposedMacs, step.macs as f64);
        // Every product is added to its place in the output.
        amounts.all_rows(Term::ScatteredValues, step.macs as f64 / spec.input_channels.max(1) as f64);
        amounts.all_rows(Term::OutputValues, volume(&step.shape));
        return amounts.once(Term::WeightBytes, step.weight_bytes as f64);
    }
    if op.is::<EinSum>() {
        return product(steps, step, amounts);
    }
    if op.is::<Dense>() {
        return amounts.all_rows(Term::DenseBytes, 4.0 * step.macs as f64);
    }
    let (written, read) = (volume(&step.shape), read(steps, step));
    if let Some(pool) = op.downcast_ref::<MaxPool>() {
        amounts.all_rows(Term::PoolTaps, written * taps(&pool.pool_spec));
        return amounts.all_rows(Term::PooledValues, written);
    }
    if let Some(pool) = op.downcast_ref::<SumPool>() {
        amounts.all_rows(Term::AverageTaps, written * taps(&pool.pool_spec));
        return amounts.all_rows(Term::PooledValues, written);
    }
    if op.is::<Reduce>() {
        return amounts.all_rows(Term::Reduced, read);
    }
    if op.is::<Lrn>() {
        return amounts.all_rows(Term::LrnValues, written);
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
    if op.is::<TypedConcat>() || op.is::<Slice>() || op.is::<Pad>() || op.is::<AxisOp>() {
        return amounts.all_rows(Term::BytesMoved, 4.0 * written);
    }
    if step.macs > 0 {
        amounts.all_rows(Term::OtherMacs, step.macs as f64);
    }
    amounts.all_rows(Term::OtherBytes, 4.0 * (written + read));
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

fn convolution(step: &Step, conv: &Conv, amounts: &mut Amounts) {
    let spec = &conv.pool_spec;
    let groups = conv.group.max(1);
    let channels = spec.output_channels / groups;
    let depth = (spec.input_channels / groups * spec.kernel_shape.iter().product::<usize>()) as f64;
    let pixels = volume(&step.shape) / spec.output_channels.max(1) as f64;
    let pointwise = spec.kernel_shape.iter().all(|&size| size == 1);
    let macs = match (groups > 1, pointwise) {
        (true, _) => Term::GroupedMacs,
        (false, true) => Term::PointwiseMacs,
        (false, false) => Term::DirectMacs,
    };
    for _ in 0..groups {
        tiles(channels, depth, pixels, macs, amounts);
        amounts.all_rows(Term::Gathered, depth * pixels);
    }
    amounts.all_rows(Term::OutputValues, volume(&step.shape));
    amounts.once(Term::WeightBytes, step.weight_bytes as f64);
}

/// What a matrix kernel does: padded multiply-accumulates, and panels of pixels read again for every panel of
/// channels.
fn tiles(channels: usize, depth: f64, pixels: f64, macs: Term, amounts: &mut Amounts) {
    let padded = channels.next_multiple_of(PANEL);
    amounts.all_rows(macs, padded as f64 * depth * pixels);
    amounts.all_rows(Term::PanelReads, (padded / PANEL) as f64 * depth * pixels);
}

/// A product: with constant weights it is a 1×1 convolution.
fn product(steps: &[Step], step: &Step, amounts: &mut Amounts) {
    let weights = step.sources.iter().find_map(|source| match source {
        Source::Konst(tensor) => Some(tensor.len() as f64),
        _ => None,
    });
    let (macs, written) = (step.macs as f64, volume(&step.shape));
    let Some(weights) = weights.filter(|weights| *weights > 0.0 && macs > 0.0) else {
        amounts.all_rows(Term::OtherMacs, macs);
        return amounts.all_rows(Term::OtherBytes, 4.0 * (written + read(steps, step)));
    };
    let pixels = macs / weights;
    let channels = written / pixels;
    tiles(channels.round() as usize, weights / channels, pixels, Term::PointwiseMacs, amounts);
    amounts.all_rows(Term::Packed, weights / channels * pixels);
    amounts.all_rows(Term::OutputValues, written);
    amounts.once(Term::WeightBytes, step.weight_bytes as f64);
}

fn depthwise(step: &Step, spec: &PoolSpec, amounts: &mut Amounts) {
    let macs = volume(&step.shape) * taps(spec);
    let strided = (0..spec.rank()).any(|axis| spec.stride(axis) > 1);
    let inner = inner_share(step, spec);
    let term = if strided { Term::DepthwiseStridedMacs } else { Term::DepthwiseMacs };
    amounts.all_rows(term, macs * inner);
    amounts.all_rows(Term::DepthwiseBorderMacs, macs * (1.0 - inner));
    amounts.all_rows(Term::DepthwiseValues, volume(&step.shape));
}

/// The share of outputs whose window lies within the map, of a square one as wide as the output.
fn inner_share(step: &Step, spec: &PoolSpec) -> f64 {
    let axes = step.shape.len().saturating_sub(spec.rank())..step.shape.len();
    let sizes = axes.map(|axis| step.shape[axis].max(1)).zip(0..spec.rank());
    let share = sizes.map(|(size, axis)| {
        let reach = (spec.kernel_shape[axis] - 1) * spec.dilation(axis);
        let border = reach.div_ceil(spec.stride(axis)).min(size);
        1.0 - border as f64 / size as f64
    });
    share.product()
}

fn taps(spec: &PoolSpec) -> f64 {
    spec.kernel_shape.iter().product::<usize>() as f64
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
