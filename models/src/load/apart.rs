//! How the engine is given large constants without copying them: it first takes them for inputs.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto::{self, Value};
use tract_onnx::pb::{ModelProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;

/// Makes inputs, behind those there are, of the initialisers whose values are `large`.
pub(super) fn declare(model: &mut ModelProto, large: &HashMap<String, Tensor>) {
    let Some(graph) = &mut model.graph else { return };
    let apart = graph.initializer.extract_if(.., |constant| large.contains_key(&constant.name));
    graph.input.extend(apart.map(described));
}

fn described(constant: TensorProto) -> ValueInfoProto {
    let dim = |size| Dimension { value: Some(dimension::Value::DimValue(size)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: constant.dims.into_iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let kind = TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: constant.name, r#type: Some(kind), ..ValueInfoProto::default() }
}

/// Makes constants of those inputs.
pub(super) fn settle(model: &mut InferenceModel, large: HashMap<String, Tensor>) -> TractResult<()> {
    for (name, tensor) in large {
        let id = model.node_id_by_name(&name)?;
        let tensor = tensor.into_arc_tensor();
        let node = model.node_mut(id);
        node.outputs[0].fact = TypedFact::try_from(tensor.clone())?.into();
        node.op = Box::new(Const::new(tensor)?);
        model.inputs.retain(|input| input.node != id);
    }
    Ok(())
}
