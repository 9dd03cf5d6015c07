//! Writes ONNX graphs node by node, following shapes and the scale of activations.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

use super::weights::Weights;

/// The ONNX operator set of what is generated.
const OPSET: i64 = 13;

/// A tensor of the graph under construction.
#[derive(Clone, Debug)]
pub(super) struct Map {
    name: String,
    /// Without the batch: `[channels, height, width]` or `[features]`.
    shape: Vec<usize>,
    /// The reciprocal of its second moment, were the value before its activation of unit variance. Weights
    /// that read it are scaled by it, so that neither vanish nor explode what they compute.
    gain: f64,
}

impl Map {
    pub(super) fn channels(&self) -> usize {
        self.shape[0]
    }
}

/// A convolution's settings; square kernel and symmetric padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    pub(super) out: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) pad: usize,
    pub(super) groups: usize,
    pub(super) bias: bool,
}

impl Conv {
    /// `kernel × kernel` with as much padding as keeps the size, stride 1, a bias, one group.
    pub(super) fn same(out: usize, kernel: usize) -> Self {
        Self { out, kernel, stride: 1, pad: kernel / 2, groups: 1, bias: true }
    }

    pub(super) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(super) fn pad(self, pad: usize) -> Self {
        Self { pad, ..self }
    }

    pub(super) fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(super) fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

/// A max pool's settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    /// Rows above and columns to the left.
    pub(super) begin: usize,
    /// Rows below and columns to the right.
    pub(super) end: usize,
    /// Whether a last, partial window counts.
    pub(super) ceil: bool,
}

impl Pool {
    pub(super) fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, begin: 0, end: 0, ceil: false }
    }

    fn size(&self, input: usize) -> usize {
        let room = input + self.begin + self.end - self.kernel;
        1 + if self.ceil { room.div_ceil(self.stride) } else { room / self.stride }
    }
}

/// An ONNX graph under construction. Every node is named like the tensor it makes.
pub(super) struct Graph {
    weights: Weights,
    proto: GraphProto,
}

impl Graph {
    /// A graph named `name` that reads a picture `image` of `[3, height, width]`.
    pub(super) fn new(name: &str, weights: Weights, height: usize, width: usize) -> (Self, Map) {
        let image = Map { name: "image".to_owned(), shape: vec![3, height, width], gain: 1.0 };
        let proto =
            GraphProto { name: name.to_owned(), input: vec![described(&image)], ..Default::default() };
        (Self { weights, proto }, image)
    }

    /// The finished model, whose output is `output`.
    pub(super) fn finish(mut self, output: &Map) -> ModelProto {
        self.proto.output = vec![described(output)];
        ModelProto {
            ir_version: 7,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "collab".to_owned(),
            graph: Some(self.proto),
            ..Default::default()
        }
    }

    pub(super) fn conv(&mut self, name: &str, input: &Map, conv: Conv) -> Map {
        let Conv { out, kernel, stride, pad, groups, bias } = conv;
        let of_group = input.channels() / groups;
        let fan_in = of_group * kernel * kernel;
        let weight = self.weights.scaled(out * fan_in, fan_in, input.gain);
        let mut inputs = vec![
            input.name.clone(),
            self.constant(format!("{name}.weight"), &[out, of_group, kernel, kernel], weight),
        ];
        if bias {
            inputs.push(self.bias(name, out));
        }
        let size = |input: usize| (input + 2 * pad - kernel) / stride + 1;
        let attributes = vec![
            integers("kernel_shape", &[kernel; 2]),
            integers("strides", &[stride; 2]),
            integers("pads", &[pad; 4]),
            integer("group", groups),
        ];
        let shape = vec![out, size(input.shape[1]), size(input.shape[2])];
        self.node("Conv", name, inputs, attributes, shape, 1.0)
    }

    /// Batch normalisation with stored statistics near mean 0 and variance 1 and a scale near `scale`.
    pub(super) fn batch_norm(&mut self, name: &str, input: &Map, scale: f32) -> Map {
        let channels = input.channels();
        let mut inputs = vec![input.name.clone()];
        for (part, low, high) in [
            ("scale", 0.8 * scale, 1.2 * scale),
            ("bias", -0.1, 0.1),
            ("mean", -0.1, 0.1),
            ("var", 0.8, 1.25),
        ] {
            let values = self.weights.uniform(channels, low, high);
            inputs.push(self.constant(format!("{name}.{part}"), &[channels], values));
        }
        let attributes = vec![float("epsilon", 1e-5)];
        self.node("BatchNormalization", name, inputs, attributes, input.shape.clone(), input.gain)
    }

    pub(super) fn relu(&mut self, name: &str, input: &Map) -> Map {
        self.node("Relu", name, vec![input.name.clone()], vec![], input.shape.clone(), 2.0)
    }

    /// Clips to 0…6.
    pub(super) fn relu6(&mut self, name: &str, input: &Map) -> Map {
        let mut inputs = vec![input.name.clone()];
        for (bound, value) in [("zero", 0.0_f32), ("six", 6.0)] {
            if !self.proto.initializer.iter().any(|tensor| tensor.name == bound) {
                self.constant(bound.to_owned(), &[], value.to_le_bytes().to_vec());
            }
            inputs.push(bound.to_owned());
        }
        self.node("Clip", name, inputs, vec![], input.shape.clone(), 2.0)
    }

    /// Negative values are multiplied by `slope`.
    pub(super) fn leaky_relu(&mut self, name: &str, input: &Map, slope: f32) -> Map {
        let gain = 2.0 / (1.0 + f64::from(slope) * f64::from(slope));
        let inputs = vec![input.name.clone()];
        self.node("LeakyRelu", name, inputs, vec![float("alpha", slope)], input.shape.clone(), gain)
    }

    /// Local response normalisation over five channels with the constants of AlexNet.
    pub(super) fn local_norm(&mut self, name: &str, input: &Map) -> Map {
        let attributes =
            vec![integer("size", 5), float("alpha", 1e-4), float("beta", 0.75), float("bias", 1.0)];
        self.node("LRN", name, vec![input.name.clone()], attributes, input.shape.clone(), input.gain)
    }

    pub(super) fn max_pool(&mut self, name: &str, input: &Map, pool: Pool) -> Map {
        let attributes = vec![
            integers("kernel_shape", &[pool.kernel; 2]),
            integers("strides", &[pool.stride; 2]),
            integers("pads", &[pool.begin, pool.begin, pool.end, pool.end]),
            integer("ceil_mode", usize::from(pool.ceil)),
        ];
        let shape = vec![input.channels(), pool.size(input.shape[1]), pool.size(input.shape[2])];
        self.node("MaxPool", name, vec![input.name.clone()], attributes, shape, input.gain)
    }

    pub(super) fn add(&mut self, name: &str, left: &Map, right: &Map) -> Map {
        let inputs = vec![left.name.clone(), right.name.clone()];
        self.node("Add", name, inputs, vec![], left.shape.clone(), left.gain)
    }

    /// Joins channels.
    pub(super) fn concat(&mut self, name: &str, parts: &[&Map]) -> Map {
        let mut shape = parts[0].shape.clone();
        shape[0] = parts.iter().map(|part| part.channels()).sum();
        let inputs = parts.iter().map(|part| part.name.clone()).collect();
        self.node("Concat", name, inputs, vec![integer("axis", 1)], shape, parts[0].gain)
    }

    pub(super) fn global_average(&mut self, name: &str, input: &Map) -> Map {
        let shape = vec![input.channels(), 1, 1];
        self.node("GlobalAveragePool", name, vec![input.name.clone()], vec![], shape, input.gain)
    }

    pub(super) fn flatten(&mut self, name: &str, input: &Map) -> Map {
        let shape = vec![input.shape.iter().product()];
        self.node("Flatten", name, vec![input.name.clone()], vec![integer("axis", 1)], shape, input.gain)
    }

    /// A dense layer; its output's variance is about `spread` times its input's.
    pub(super) fn dense(&mut self, name: &str, input: &Map, out: usize, spread: f64) -> Map {
        let fan_in = input.shape[0];
        let weight = self.weights.scaled(out * fan_in, fan_in, spread * input.gain);
        let inputs = vec![
            input.name.clone(),
            self.constant(format!("{name}.weight"), &[out, fan_in], weight),
            self.bias(name, out),
        ];
        self.node("Gemm", name, inputs, vec![integer("transB", 1)], vec![out], 1.0)
    }

    pub(super) fn softmax(&mut self, name: &str, input: &Map) -> Map {
        self.node("Softmax", name, vec![input.name.clone()], vec![], input.shape.clone(), 1.0)
    }

    fn bias(&mut self, name: &str, out: usize) -> String {
        let values = self.weights.uniform(out, -0.1, 0.1);
        self.constant(format!("{name}.bias"), &[out], values)
    }

    fn constant(&mut self, name: String, shape: &[usize], raw_data: Vec<u8>) -> String {
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: DataType::Float as i32,
            name: name.clone(),
            raw_data,
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

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..Default::default() }
}

fn integer(name: &str, value: usize) -> AttributeProto {
    AttributeProto { i: value as i64, ..attribute(name, AttributeType::Int) }
}

fn integers(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { ints, ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..attribute(name, AttributeType::Float) }
}
