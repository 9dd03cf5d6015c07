//! The layers that a graph can be given, each with the shape and the scale of what it makes.

use tract_onnx::pb::AttributeProto;
use tract_onnx::pb::attribute_proto::AttributeType;

use super::{Graph, Map};

/// A convolution's settings; square kernel and symmetric padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub(crate) out: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) pad: usize,
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

impl Conv {
    /// `kernel × kernel` with as much padding as keeps the size, stride 1, a bias, one group.
    pub(crate) fn same(out: usize, kernel: usize) -> Self {
        Self { out, kernel, stride: 1, pad: kernel / 2, groups: 1, bias: true }
    }

    pub(crate) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(crate) fn pad(self, pad: usize) -> Self {
        Self { pad, ..self }
    }

    pub(crate) fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(crate) fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

/// A max pool's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Rows above and columns to the left.
    pub(crate) begin: usize,
    /// Rows below and columns to the right.
    pub(crate) end: usize,
    /// Whether a last, partial window counts.
    pub(crate) ceil: bool,
}

impl Pool {
    pub(crate) fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, begin: 0, end: 0, ceil: false }
    }

    fn size(&self, input: usize) -> usize {
        let room = input + self.begin + self.end - self.kernel;
        1 + if self.ceil { room.div_ceil(self.stride) } else { room / self.stride }
    }
}

impl Graph {
    pub(crate) fn conv(&mut self, name: &str, input: &Map, conv: Conv) -> Map {
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
    pub(crate) fn batch_norm(&mut self, name: &str, input: &Map, scale: f32) -> Map {
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

    /// An operator of one input that keeps its shape; `gain` as of [`Map::gain`].
    pub(crate) fn unary(&mut self, op: &str, name: &str, input: &Map, gain: f64) -> Map {
        self.node(op, name, vec![input.name.clone()], vec![], input.shape.clone(), gain)
    }

    /// Negative values are multiplied by a slope of their channel.
    pub(crate) fn prelu(&mut self, name: &str, input: &Map) -> Map {
        let channels = input.channels();
        let slopes = self.weights.uniform(channels, 0.05, 0.3);
        let slopes = self.constant(format!("{name}.slope"), &[channels, 1, 1], slopes);
        self.node("PRelu", name, vec![input.name.clone(), slopes], vec![], input.shape.clone(), 2.0)
    }

    pub(crate) fn relu(&mut self, name: &str, input: &Map) -> Map {
        self.node("Relu", name, vec![input.name.clone()], vec![], input.shape.clone(), 2.0)
    }

    /// Clips to 0…6.
    pub(crate) fn relu6(&mut self, name: &str, input: &Map) -> Map {
        let mut inputs = vec![input.name.clone()];
        for (bound, value) in [("zero", 0.0_f32), ("six", 6.0)] {
            if !self.proto.initializer.iter().any(|tensor| tensor.name == bound) {
                self.constant(bound.to_owned(), &[], [value].into_iter());
            }
            inputs.push(bound.to_owned());
        }
        self.node("Clip", name, inputs, vec![], input.shape.clone(), 2.0)
    }

    /// Negative values are multiplied by `slope`.
    pub(crate) fn leaky_relu(&mut self, name: &str, input: &Map, slope: f32) -> Map {
        let gain = 2.0 / (1.0 + f64::from(slope) * f64::from(slope));
        let inputs = vec![input.name.clone()];
        self.node("LeakyRelu", name, inputs, vec![float("alpha", slope)], input.shape.clone(), gain)
    }

    /// Local response normalisation over five channels with the constants of AlexNet.
    pub(crate) fn local_norm(&mut self, name: &str, input: &Map) -> Map {
        let attributes =
            vec![integer("size", 5), float("alpha", 1e-4), float("beta", 0.75), float("bias", 1.0)];
        self.node("LRN", name, vec![input.name.clone()], attributes, input.shape.clone(), input.gain)
    }

    pub(crate) fn max_pool(&mut self, name: &str, input: &Map, pool: Pool) -> Map {
        let attributes = vec![
            integers("kernel_shape", &[pool.kernel; 2]),
            integers("strides", &[pool.stride; 2]),
            integers("pads", &[pool.begin, pool.begin, pool.end, pool.end]),
            integer("ceil_mode", usize::from(pool.ceil)),
        ];
        let shape = vec![input.channels(), pool.size(input.shape[1]), pool.size(input.shape[2])];
        self.node("MaxPool", name, vec![input.name.clone()], attributes, shape, input.gain)
    }

    pub(crate) fn average_pool(&mut self, name: &str, input: &Map, pool: Pool) -> Map {
        let attributes = vec![
            integers("kernel_shape", &[pool.kernel; 2]),
            integers("strides", &[pool.stride; 2]),
            integers("pads", &[pool.begin, pool.begin, pool.end, pool.end]),
        ];
        let shape = vec![input.channels(), pool.size(input.shape[1]), pool.size(input.shape[2])];
        self.node("AveragePool", name, vec![input.name.clone()], attributes, shape, input.gain)
    }

    /// A transposed convolution whose padding makes the output `stride` times as wide and high as the input.
    pub(crate) fn transposed(
        &mut self,
        name: &str,
        input: &Map,
        out: usize,
        kernel: usize,
        stride: usize,
    ) -> Map {
        let fan_in = (input.channels() * kernel * kernel / (stride * stride)).max(1);
        let count = input.channels() * out * kernel * kernel;
        let weight = self.weights.scaled(count, fan_in, input.gain);
        let shape = [input.channels(), out, kernel, kernel];
        let weight = self.constant(format!("{name}.weight"), &shape, weight);
        let inputs = vec![input.name.clone(), weight, self.bias(name, out)];
        let pad = (kernel - stride) / 2;
        let attributes = vec![
            integers("kernel_shape", &[kernel; 2]),
            integers("strides", &[stride; 2]),
            integers("pads", &[pad, pad, kernel - stride - pad, kernel - stride - pad]),
        ];
        let shape = vec![out, input.shape[1] * stride, input.shape[2] * stride];
        self.node("ConvTranspose", name, inputs, attributes, shape, 1.0)
    }

    /// Twice as wide and high, by `mode`: `nearest` or `linear`.
    pub(crate) fn double(&mut self, name: &str, input: &Map, mode: &str) -> Map {
        let scales = self.constant(format!("{name}.scales"), &[4], [1.0, 1.0, 2.0, 2.0].into_iter());
        let inputs = vec![input.name.clone(), String::new(), scales];
        let place = if mode == "nearest" { "asymmetric" } else { "half_pixel" };
        let mut attributes = vec![text("mode", mode), text("coordinate_transformation_mode", place)];
        if mode == "nearest" {
            attributes.push(text("nearest_mode", "floor"));
        }
        let shape = vec![input.channels(), 2 * input.shape[1], 2 * input.shape[2]];
        self.node("Resize", name, inputs, attributes, shape, input.gain)
    }

    /// Two rows and columns of zeros on every side.
    pub(crate) fn pad(&mut self, name: &str, input: &Map) -> Map {
        let pads = self.numbers(format!("{name}.pads"), &[0, 0, 2, 2, 0, 0, 2, 2]);
        let shape = vec![input.channels(), input.shape[1] + 4, input.shape[2] + 4];
        self.node("Pad", name, vec![input.name.clone(), pads], vec![], shape, input.gain)
    }

    /// Channels `from..to`.
    pub(crate) fn slice(&mut self, name: &str, input: &Map, from: usize, to: usize) -> Map {
        let mut inputs = vec![input.name.clone()];
        for (part, value) in [("from", from), ("to", to), ("axes", 1)] {
            inputs.push(self.numbers(format!("{name}.{part}"), &[value as i64]));
        }
        let shape = vec![to - from, input.shape[1], input.shape[2]];
        self.node("Slice", name, inputs, vec![], shape, input.gain)
    }

    /// Channels of `groups` groups in turn, as ShuffleNet does it.
    pub(crate) fn shuffle(&mut self, name: &str, input: &Map, groups: usize) -> Map {
        let [channels, height, width] = [0, 1, 2].map(|axis| input.shape[axis]);
        let split = [1, groups, channels / groups, height, width].map(|size| size as i64);
        let split = self.numbers(format!("{name}.split.shape"), &split);
        let whole =
            self.numbers(format!("{name}.shape"), &[1, channels, height, width].map(|size| size as i64));
        let parted = vec![groups, channels / groups, height, width];
        let map = self.node(
            "Reshape",
            &format!("{name}.split"),
            vec![input.name.clone(), split],
            vec![],
            parted,
            input.gain,
        );
        let turned = vec![channels / groups, groups, height, width];
        let order = vec![integers("perm", &[0, 2, 1, 3, 4])];
        let map = self.node("Transpose", &format!("{name}.turn"), vec![map.name], order, turned, input.gain);
        self.node("Reshape", name, vec![map.name, whole], vec![], input.shape.clone(), input.gain)
    }

    /// A value of every channel, or of every element, times every element.
    pub(crate) fn mul(&mut self, name: &str, left: &Map, right: &Map) -> Map {
        let inputs = vec![left.name.clone(), right.name.clone()];
        self.node("Mul", name, inputs, vec![], left.shape.clone(), 3.0 * left.gain)
    }

    pub(crate) fn add(&mut self, name: &str, left: &Map, right: &Map) -> Map {
        let inputs = vec![left.name.clone(), right.name.clone()];
        self.node("Add", name, inputs, vec![], left.shape.clone(), left.gain)
    }

    /// Joins channels.
    pub(crate) fn concat(&mut self, name: &str, parts: &[&Map]) -> Map {
        let mut shape = parts[0].shape.clone();
        shape[0] = parts.iter().map(|part| part.channels()).sum();
        let inputs = parts.iter().map(|part| part.name.clone()).collect();
        self.node("Concat", name, inputs, vec![integer("axis", 1)], shape, parts[0].gain)
    }

    pub(crate) fn global_average(&mut self, name: &str, input: &Map) -> Map {
        let shape = vec![input.channels(), 1, 1];
        self.node("GlobalAveragePool", name, vec![input.name.clone()], vec![], shape, input.gain)
    }

    pub(crate) fn flatten(&mut self, name: &str, input: &Map) -> Map {
        let shape = vec![input.shape.iter().product()];
        self.node("Flatten", name, vec![input.name.clone()], vec![integer("axis", 1)], shape, input.gain)
    }

    /// A dense layer; its output's variance is about `spread` times its input's.
    pub(crate) fn dense(&mut self, name: &str, input: &Map, out: usize, spread: f64) -> Map {
        let fan_in = input.shape[0];
        let weight = self.weights.scaled(out * fan_in, fan_in, spread * input.gain);
        let inputs = vec![
            input.name.clone(),
            self.constant(format!("{name}.weight"), &[out, fan_in], weight),
            self.bias(name, out),
        ];
        self.node("Gemm", name, inputs, vec![integer("transB", 1)], vec![out], 1.0)
    }

    pub(crate) fn softmax(&mut self, name: &str, input: &Map) -> Map {
        self.node("Softmax", name, vec![input.name.clone()], vec![], input.shape.clone(), 1.0)
    }

    /// The end that networks for ImageNet once had: three dense layers, numbered from 6.
    pub(crate) fn classifier(&mut self, input: &Map) -> Map {
        let mut map = self.flatten("flatten", input);
        for layer in [6, 7] {
            map = self.dense(&format!("fc{layer}"), &map, 4096, 1.0);
            map = self.relu(&format!("relu{layer}"), &map);
        }
        map = self.dense("fc8", &map, 1000, 1.0);
        self.softmax("prob", &map)
    }

    fn bias(&mut self, name: &str, out: usize) -> String {
        let values = self.weights.uniform(out, -0.1, 0.1);
        self.constant(format!("{name}.bias"), &[out], values)
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

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: value.as_bytes().to_vec(), ..attribute(name, AttributeType::String) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..attribute(name, AttributeType::Float) }
}
