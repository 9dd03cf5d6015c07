//! What people read about a layer, and which kind of work it is.

use collab_core::network::Kind;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::TypedConcat;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;
use tract_onnx::tract_core::ops::nn::{Reduce, Softmax};
use tract_onnx_opl::lrn::Lrn;

use super::steps::{Source, Step};
use crate::operators::Own;
use crate::rows::{Along, Weight};

/// The member that a layer is named for, its text, and its kind.
pub(super) fn describe(steps: &[Step], members: &[usize]) -> (usize, String, Kind) {
    let heaviest = |weight: Weight| {
        let weigh = |&member: &usize| (steps[member].macs, std::cmp::Reverse(member));
        members.iter().copied().filter(|&member| steps[member].split.weight == weight).max_by_key(weigh)
    };
    let core =
        heaviest(Weight::Heavy).or_else(|| heaviest(Weight::Light)).unwrap_or(members[members.len() - 1]);
    let (mut text, kind) = of(&steps[core]);
    let joined = |&member: &usize| {
        let step = &steps[member];
        let reads = step.sources.iter().filter(|source| !matches!(source, Source::Konst(_))).count();
        let outside = step.sources.iter().any(|source| match source {
            Source::Step(read) => !members.contains(read),
            Source::Input => true,
            Source::Konst(_) => false,
        });
        member != core && step.split.weight == Weight::Light && reads > 1 && outside
    };
    if members.iter().any(joined) {
        text.push_str(" + add");
    }
    (core, text, kind)
}

/// The node's name as the file has it: the engine adds suffixes when it rewrites nodes.
pub(super) fn name(engine: &str) -> String {
    let mut name = engine;
    for suffix in [".einsum", ".ab", ".bias", ".conv", ".sum", ".norm", ".low", ".high"] {
        name = name.strip_suffix(suffix).filter(|rest| !rest.is_empty()).unwrap_or(name);
    }
    name.to_owned()
}

fn of(step: &Step) -> (String, Kind) {
    let op: &dyn TypedOp = step.op.as_ref();
    if let Some(own) = op.downcast_ref::<Own>() {
        return own.0.label();
    }
    if let Some(conv) = op.downcast_ref::<Conv>() {
        return convolution(conv);
    }
    if let Some(deconv) = op.downcast_ref::<Deconv>() {
        return (format!("ConvT {}", window(&deconv.pool_spec)), Kind::Transposed);
    }
    if let Some(pool) = op.downcast_ref::<MaxPool>() {
        return (format!("MaxPool {}", window(&pool.pool_spec)), Kind::Pool);
    }
    if let Some(pool) = op.downcast_ref::<SumPool>() {
        return (format!("AvgPool {}", window(&pool.pool_spec)), Kind::Pool);
    }
    if op.is::<EinSum>() {
        return product(step);
    }
    if let Some(reduce) = op.downcast_ref::<Reduce>() {
        let text = if reduce.axes.len() > 1 { "GlobalPool" } else { "Reduce" };
        return (text.to_owned(), Kind::Pool);
    }
    if let Some(lrn) = op.downcast_ref::<Lrn>() {
        return (format!("LRN {}", lrn.size), Kind::Lrn);
    }
    if op.is::<Softmax>() {
        return ("Softmax".to_owned(), Kind::Elementwise);
    }
    if op.is::<NearestUpsample>() || op.name() == "Resize" {
        return ("Resize".to_owned(), Kind::Resize);
    }
    if op.is::<TypedConcat>() {
        return ("Concat".to_owned(), Kind::Move);
    }
    if let Some(binary) = op.downcast_ref::<TypedBinOp>() {
        return (binary_text(step, binary), Kind::Elementwise);
    }
    if let Some(unary) = op.downcast_ref::<ElementWiseOp>() {
        return (unary.0.name().to_string(), Kind::Elementwise);
    }
    let kind = match (step.split.weight, step.split.obstacle.is_some()) {
        (Weight::Light, _) => Kind::Elementwise,
        (_, true) => Kind::Other,
        _ => Kind::Move,
    };
    let text = if op.is::<AxisOp>() { "Reshape".to_owned() } else { op.name().to_string() };
    (text, kind)
}

fn convolution(conv: &Conv) -> (String, Kind) {
    let spec = &conv.pool_spec;
    let window = window(spec);
    if conv.group > 1 && conv.group == spec.input_channels && conv.group == spec.output_channels {
        return (format!("Conv dw {window}"), Kind::Depthwise);
    }
    if conv.group > 1 {
        return (format!("Conv {window} g{}", conv.group), Kind::Grouped);
    }
    let pointwise = spec.kernel_shape.iter().all(|&size| size == 1);
    (format!("Conv {window}"), if pointwise { Kind::Pointwise } else { Kind::Conv })
}

/// Kernel, stride and dilation: `3×3 s2 d2`.
fn window(spec: &PoolSpec) -> String {
    let sizes = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    let mut text = sizes(&spec.kernel_shape);
    let mut add = |letter: char, values: &[usize]| match values {
        values if values.iter().all(|&value| value == 1) => {}
        [first, rest @ ..] if rest.iter().all(|value| value == first) => {
            text.push_str(&format!(" {letter}{first}"))
        }
        values => text.push_str(&format!(" {letter}{}", sizes(values))),
    };
    add('s', &spec.strides());
    add('d', &spec.dilations());
    if matches!(&spec.padding, PaddingSpec::ExplicitOnnxPool(_, _, true)) {
        text.push_str(" ceil");
    }
    text
}

fn product(step: &Step) -> (String, Kind) {
    let weights = step.sources.iter().any(|source| matches!(source, Source::Konst(_)));
    let pixels = match step.split.along {
        Along::Rows(axis) => step.shape.len() > 2 && step.shape[axis] > 1,
        _ => false,
    };
    match (weights, pixels) {
        (true, true) => ("Conv 1×1".to_owned(), Kind::Pointwise),
        (true, false) => (format!("Gemm {}", step.shape.iter().max().unwrap_or(&1)), Kind::Dense),
        (false, _) => ("MatMul".to_owned(), Kind::Other),
    }
}

fn binary_text(step: &Step, op: &TypedBinOp) -> String {
    let zero = |source: &Source| match source {
        Source::Konst(tensor) => tensor.is_all_zero().unwrap_or(false),
        _ => false,
    };
    match op.0.name() {
        "Max" if step.sources.iter().any(zero) => "ReLU".to_owned(),
        other => other.to_owned(),
    }
}
