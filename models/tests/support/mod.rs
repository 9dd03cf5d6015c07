//! Small ONNX networks with seeded random weights, built value by value.

#![allow(dead_code)]

use collab_core::id::Digest;
use collab_core::network::{Cut, Split};
use collab_core::rows::Rows;
use collab_models::{LayerTimes, LoadOptions, Map, Model, Spares};
use proptest::prelude::ProptestConfig;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// `cases` cases, or as many as `PROPTEST_CASES` says.
pub fn config(cases: u32) -> ProptestConfig {
    let told = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { told.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..told }
}

/// A network under construction.
pub struct Builder {
    graph: GraphProto,
    opset: i64,
    random: ChaCha8Rng,
    count: usize,
}

impl Builder {
    /// A network that reads `input` of shape `shape`.
    pub fn new(seed: u64, shape: &[i64]) -> Self {
        let input = value("input", shape);
        let graph = GraphProto { name: "test".to_owned(), input: vec![input], ..Default::default() };
        Self { graph, opset: 13, random: ChaCha8Rng::seed_from_u64(seed), count: 0 }
    }

    pub fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}{}", self.count)
    }

    /// Weights around zero, scaled so that sums of `fan` of them times values stay near one.
    pub fn weights(&mut self, dims: &[i64], fan: i64) -> String {
        let name = self.name("w");
        let scale = (3.0 / fan.max(1) as f32).sqrt();
        let count: i64 = dims.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| (self.random.random::<f32>() * 2.0 - 1.0) * scale).collect();
        self.floats(&name, dims, &values)
    }

    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Default::default()
        });
        name.to_owned()
    }

    pub fn integers(&mut self, values: &[i64]) -> String {
        let name = self.name("i");
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..Default::default()
        });
        name
    }

    /// Adds a node and returns the name of its output.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.name(&op.to_lowercase());
        self.graph.node.push(NodeProto {
            op_type: op.to_owned(),
            name: format!("{op}_{}", self.count),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..Default::default()
        });
        output
    }

    /// A square convolution; `pads` are top, left, bottom, right.
    pub fn conv(
        &mut self,
        x: &str,
        channels: (i64, i64),
        kernel: i64,
        stride: i64,
        pads: [i64; 4],
    ) -> String {
        self.conv_full(x, channels, [kernel, kernel], [stride, stride], [1, 1], pads, 1)
    }

    #[allow(clippy::too_many_arguments)]
    pub fn conv_full(
        &mut self,
        x: &str,
        (from, to): (i64, i64),
        kernel: [i64; 2],
        strides: [i64; 2],
        dilations: [i64; 2],
        pads: [i64; 4],
        group: i64,
    ) -> String {
        let fan = from / group * kernel[0] * kernel[1];
        let w = self.weights(&[to, from / group, kernel[0], kernel[1]], fan);
        let b = self.weights(&[to], 10);
        let attributes = vec![
            ints("kernel_shape", &kernel),
            ints("strides", &strides),
            ints("dilations", &dilations),
            ints("pads", &pads),
            int("group", group),
        ];
        self.node("Conv", &[x, &w, &b], attributes)
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &[x], vec![])
    }

    pub fn gemm(&mut self, x: &str, from: i64, to: i64) -> String {
        let w = self.weights(&[to, from], from);
        let b = self.weights(&[to], 10);
        self.node("Gemm", &[x, &w, &b], vec![int("transB", 1)])
    }

    pub fn random(&mut self) -> &mut impl Rng {
        &mut self.random
    }

    /// The finished network with these outputs.
    pub fn proto(mut self, outputs: &[&str]) -> ModelProto {
        self.graph.output =
            outputs.iter().map(|name| ValueInfoProto { name: (*name).to_owned(), ..untyped() }).collect();
        ModelProto {
            ir_version: 7,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: self.opset }],
            graph: Some(self.graph),
            ..Default::default()
        }
    }

    pub fn model(self, outputs: &[&str]) -> Model {
        loaded(self.proto(outputs))
    }
}

/// The network of a finished description.
pub fn loaded(proto: ModelProto) -> Model {
    Model::from_onnx(proto, Digest([0; 32]), &LoadOptions::default()).expect("the test network loads")
}

fn untyped() -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto { r#type: Some(TypeProto { value, ..Default::default() }), ..Default::default() }
}

/// A float tensor of this shape; sizes below one are open.
pub fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(match size {
            1.. => dimension::Value::DimValue(size),
            _ => dimension::Value::DimParam(format!("open{size}")),
        }),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let kind = AttributeType::Ints as i32;
    AttributeProto { name: name.to_owned(), r#type: kind, ints: values.to_vec(), ..Default::default() }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..Default::default()
    }
}

pub fn text(name: &str, value: &str) -> AttributeProto {
    let kind = AttributeType::String as i32;
    AttributeProto { name: name.to_owned(), r#type: kind, s: value.as_bytes().to_vec(), ..Default::default() }
}

/// A clock that stands still: these tests do not look at times.
pub fn no_clock() -> impl FnMut() -> Duration {
    || Duration::ZERO
}

/// The network's input, filled with seeded noise.
pub fn noise(model: &Model, seed: u64) -> Map {
    let cut = model.network().input.cut;
    let mut map = Map::zeros(cut, Rows::all(cut.rows));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for value in map.values_mut() {
        *value = random.random::<f32>() * 2.0 - 1.0;
    }
    map
}

/// A copy of rows `rows` of `map`.
pub fn part(map: &Map, rows: Rows) -> Map {
    let mut part = Map::zeros(map.cut(), rows);
    copy_rows(map, &mut part);
    part
}

/// Copies the rows that `part` holds from `map`, which holds them too.
fn copy_rows(map: &Map, part: &mut Map) {
    let mut bytes = Vec::new();
    map.read(part.rows(), &mut bytes).expect("the rows are there");
    part.write(part.rows(), &bytes).expect("the bytes fit");
}

/// The whole network's answer.
pub fn answer(model: &Model, input: &Map) -> Map {
    let mut times = LayerTimes::new(model.network());
    let mut whole = model.whole().expect("the whole network can be prepared");
    whole.run(part(input, input.rows()), &mut no_clock(), &mut times).expect("the whole network runs")
}

/// The answer of the network cut into blocks at `cuts` and each block divided at random into at most
/// `strips` strips, in memory that other maps left full of what is no number.
pub fn divided(model: &Model, input: &Map, cuts: &[usize], strips: u32, random: &mut impl Rng) -> Map {
    let network = model.network();
    let mut times = LayerTimes::new(network);
    let spares = Spares::default();
    let spoilt = |cut: Cut, rows: Rows| spares.map(cut, rows).values_mut().fill(f32::NAN);
    let mut map = part(input, input.rows());
    let mut start = 0;
    for &end in cuts.iter().chain([&network.units.len()]) {
        if end <= start {
            continue;
        }
        let cut = network.cut(end);
        let mut output = Map::zeros(cut, Rows::all(cut.rows));
        let whole = network.units[start..end].iter().any(|unit| matches!(unit.split, Split::Whole(_)));
        let mut bounds: Vec<u32> = vec![0, cut.rows];
        if !whole {
            bounds.extend((1..strips).map(|_| random.random_range(0..=cut.rows)));
        }
        bounds.sort_unstable();
        for pair in bounds.windows(2).filter(|pair| pair[0] < pair[1]) {
            let rows = Rows::new(pair[0], pair[1]);
            let mut strip = model.strip(start..end, rows).expect("a strip can be prepared");
            let mut given = spares.map(map.cut(), strip.input_rows());
            copy_rows(&map, &mut given);
            spoilt(cut, rows);
            let made = strip.run(given, &mut no_clock(), &mut times).expect("a strip runs");
            assert_eq!(made.rows(), rows);
            let mut bytes = Vec::new();
            made.read(rows, &mut bytes).expect("the rows are there");
            output.write(rows, &bytes).expect("the bytes fit");
        }
        map = output;
        start = end;
    }
    map
}

/// How many values differ in any bit.
pub fn differing(a: &Map, b: &Map) -> usize {
    assert_eq!(a.values().len(), b.values().len());
    a.values().iter().zip(b.values()).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
}
