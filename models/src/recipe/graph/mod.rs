//! Writes ONNX graphs node by node, following shapes and the scale of activations.

mod layers;

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use tract_onnx::prelude::*;

pub(crate) use layers::{Conv, Pool};

use super::weights::Weights;
use crate::source::{LARGE, Onnx, fill};

/// The ONNX operator set of what is generated.
const OPSET: i64 = 13;

/// A tensor of the graph under construction.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    name: String,
    /// Without the batch: `[channels, height, width]` or `[features]`.
    shape: Vec<usize>,
    /// The reciprocal of its second moment, were the value before its activation of unit variance. Weights
    /// that read it are scaled by it, so that neither vanish nor explode what they compute.
    gain: f64,
}

impl Map {
    pub(crate) fn channels(&self) -> usize {
        self.shape[0]
    }
}

/// An ONNX graph under construction. Every node is named like the tensor it makes.
pub(crate) struct Graph {
    weights: Weights,
    proto: GraphProto,
    /// Values of large constants, by name.
    large: HashMap<String, Tensor>,
}

impl Graph {
    /// A graph named `name` that reads a picture `image` of `[3, height, width]`.
    pub(crate) fn new(name: &str, weights: Weights, height: usize, width: usize) -> (Self, Map) {
        Self::reading(name, weights, vec![3, height, width])
    }

    /// A graph named `name` that reads `image`, of this shape without the batch.
    pub(crate) fn reading(name: &str, weights: Weights, shape: Vec<usize>) -> (Self, Map) {
        let image = Map { name: "image".to_owned(), shape, gain: 1.0 };
        let proto =
            GraphProto { name: name.to_owned(), input: vec![described(&image)], ..Default::default() };
        (Self { weights, proto, large: HashMap::new() }, image)
    }

    /// The finished model, whose output is `output`.
    pub(crate) fn finish(mut self, output: &Map) -> Onnx {
        self.proto.output = vec![described(output)];
        let model = ModelProto {
            ir_version: 7,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "collab".to_owned(),
            graph: Some(self.proto),
            ..Default::default()
        };
        Onnx { model, large: self.large }
    }

    fn constant(
        &mut self,
        name: String,
        shape: &[usize],
        values: impl ExactSizeIterator<Item = f32>,
    ) -> String {
        let mut raw_data = Vec::new();
        match Tensor::zero::<f32>(shape) {
            Ok(mut tensor) if 4 * values.len() >= LARGE && tensor.len() == values.len() => {
                // A tensor of floats that is not shared can be filled.
                let _ = fill(&mut tensor, values);
                self.large.insert(name.clone(), tensor);
            }
            _ => raw_data.extend(values.flat_map(f32::to_le_bytes)),
        }
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: DataType::Float as i32,
            name: name.clone(),
            raw_data,
            ..Default::default()
        });
        name
    }

    fn numbers(&mut self, name: String, values: &[i64]) -> String {
        self.proto.initializer.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            name: name.clone(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Default::default()
        });
        name
    }

    fn node(
        &mut self,
        op: &str,
        name: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
        shape: Vec<usize>,
        gain: f64,
    ) -> Map {
        self.proto.node.push(NodeProto {
            input,
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
        Map { name: name.to_owned(), shape, gain }
    }
}

fn described(map: &Map) -> ValueInfoProto {
    let dim = std::iter::once(&1)
        .chain(&map.shape)
        .map(|&size| Dimension { value: Some(dimension::Value::DimValue(size as i64)), ..Default::default() })
        .collect();
    let tensor =
        type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: map.name.clone(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}
