//! The one list of passes that every graph goes through before it is cut.

use std::sync::Arc;

use collab_kernels::Isa;
use tract_onnx::Onnx as Parser;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::TypedConcat;
use tract_onnx::tract_core::optim::{Optimizer, TypedPass};

use super::axes::MoveAxes;
use super::error::LoadError;
use super::{apart, proto, upsample};
use crate::operators;
use crate::rows::resample;
use crate::source::Onnx;

/// Parses, types and simplifies `network`, whose input has shape `shape`, into a graph with one output, whose
/// operators of our own run on `isa`.
pub(super) fn prepare(network: Onnx, shape: &[usize], isa: Isa) -> Result<TypedModel, LoadError> {
    let mut onnx: Parser = tract_onnx::onnx().with_ignore_value_info(true);
    onnx.op_register.insert("Upsample", upsample::build);
    if let Some(graph) = network.graph() {
        proto::check_operators(graph, |node| onnx.op_register.0.contains_key(&node.op_type))?;
    }
    typed(&onnx, network, shape, isa).map_err(|error| LoadError::engine(&error))
}

fn typed(parser: &Parser, network: Onnx, shape: &[usize], isa: Isa) -> TractResult<TypedModel> {
    let fact = f32::fact(shape).into();
    let Onnx { model: mut proto, large } = network;
    apart::declare(&mut proto, &large);
    let mut model = parser.model_for_proto_model(&proto)?;
    drop(proto);
    apart::settle(&mut model, large)?;
    let mut model = model.with_input_fact(0, fact)?.into_typed()?;
    join_outputs(&mut model)?;
    simplify(&mut model)?;
    // A rewrite chooses by what the layer is and never by its number of rows, or strips would differ from the whole.
    resample::rewrite(&mut model)?;
    operators::rewrite(&mut model, isa)?;
    model.compact()?;
    Ok(model)
}

/// Declutters, except that concatenations stay: dissolving one into the product that follows loses a cut
/// and changes the order of summation. Axes move alike on every machine.
fn simplify(model: &mut TypedModel) -> TractResult<()> {
    let mut passes = Optimizer::declutter();
    let name = |pass: &dyn TypedPass| format!("{pass:?}");
    passes.passes.retain(|pass| !name(&**pass).starts_with("ConcatThenEinsum"));
    let moves = passes.passes.iter_mut().find(|pass| name(&***pass) == "ChangeAxes");
    *moves.context("the engine has no pass that moves axes")? = Box::<MoveAxes>::default();
    passes.optimize(model)
}

/// Several outputs become one: each flattened, one behind the other, in the order the file lists them.
fn join_outputs(model: &mut TypedModel) -> TractResult<()> {
    let outputs = model.output_outlets()?.to_vec();
    if outputs.len() == 1 {
        return Ok(());
    }
    let mut flat = TVec::new();
    for (index, &outlet) in outputs.iter().enumerate() {
        let fact = model.outlet_fact(outlet)?;
        let from = fact.shape.to_tvec();
        let to = tvec!(fact.shape.volume());
        let cast = tract_onnx::tract_core::ops::cast::cast(f32::datum_type());
        let wire = model.wire_node(format!("outputs.{index}.cast"), cast, &[outlet])?;
        let reshape = AxisOp::Reshape(0, from, to);
        flat.push(model.wire_node(format!("outputs.{index}.flat"), reshape, &wire)?[0]);
    }
    let joined = model.wire_node("outputs", TypedConcat::new(0), &flat)?;
    model.select_output_outlets(&joined)
}

/// The same values with the strides that follow from the shape. Folded batch norms leave others behind,
/// and the engine then takes slow paths, ten times as long per element.
pub(crate) fn with_natural_strides(tensor: &Arc<Tensor>) -> TractResult<Arc<Tensor>> {
    if !tensor.is_plain() || tensor.strides() == &*Tensor::natural_strides(tensor.shape()) {
        return Ok(tensor.clone());
    }
    let flat = tensor.as_ref().clone().into_shape(&[tensor.len()])?;
    Ok(flat.into_shape(tensor.shape())?.into_arc_tensor())
}
