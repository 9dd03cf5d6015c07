//! The work of operators that the engine computes.

use collab_core::network::Term;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Deconv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{Reduce, Softmax};

use super::super::steps::Step;
use super::{Amounts, read, volume};

/// An operator that the engine computes.
pub(super) fn of(steps: &[Step], step: &Step, amounts: &mut Amounts) {
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
