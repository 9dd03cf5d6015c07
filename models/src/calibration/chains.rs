//! What the synthetic networks consist of.

use tract_onnx::pb::ModelProto;

use crate::recipe::graph::{Conv as Window, Graph, Map, Pool};
use crate::recipe::weights::Weights;

/// One link of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) enum Link {
    /// Output channels, kernel, stride; a bias, padding that keeps the size.
    Conv(usize, usize, usize),
    /// Output channels, kernel, stride, groups.
    Grouped(usize, usize, usize, usize),
    /// Kernel, stride.
    Depthwise(usize, usize),
    /// A convolution with this kernel that keeps the channels, and the addition of what it reads.
    Residual(usize),
    /// So many channels by 1×1 and as many by 3×3, joined.
    Fire(usize),
    /// What is read and a 3×3 of it with so many channels, joined.
    Grown(usize),
    /// Batch normalisation that nothing before it can take in.
    Norm,
    /// An activation by its ONNX name.
    Act(&'static str),
    /// `x · sigmoid(x)`.
    Swish,
    /// `x · clip(x + 3, 0, 6) / 6` is what ONNX calls HardSwish; this one multiplies by a HardSigmoid.
    HardGate,
    /// Clips to 0…6.
    Relu6,
    /// A slope for negative values: one, or one a channel.
    Leaky,
    Prelu,
    /// Kernel, stride.
    Max(usize, usize),
    Average(usize, usize),
    /// Local response normalisation.
    Lrn,
    /// Squeeze and excite, by so many channels.
    Excite(usize),
    /// Channels of so many groups in turn.
    Shuffle(usize),
    /// Half of the channels.
    Half,
    /// Twice the size.
    Nearest,
    Linear,
    /// Output channels, kernel, stride.
    Transposed(usize, usize, usize),
    Pad,
    /// Global average pool and flattening.
    Global,
    Flatten,
    Dense(usize),
    Softmax,
}

/// Input channels, height, width, and what follows.
pub(super) type Chain = (usize, usize, usize, &'static [Link]);

use Link::*;

/// The networks. The first four have every kind of operation.
pub(super) const CHAINS: &[Chain] = &[
    (
        32,
        40,
        40,
        &[
            Conv(48, 3, 1),
            Act("Relu"),
            Conv(64, 1, 1),
            Act("Relu"),
            Max(2, 2),
            Depthwise(3, 1),
            Relu6,
            Conv(96, 3, 2),
            Act("HardSwish"),
            Residual(3),
            Fire(32),
            Lrn,
            Average(2, 2),
            Global,
            Dense(256),
            Act("Relu"),
            Dense(100),
            Softmax,
        ],
    ),
    (
        24,
        32,
        32,
        &[
            Nearest,
            Grouped(48, 3, 1, 2),
            Leaky,
            Transposed(32, 4, 2),
            Prelu,
            Depthwise(3, 2),
            Swish,
            Conv(64, 1, 2),
            Norm,
            Excite(16),
            Shuffle(4),
            Conv(48, 5, 1),
            Act("Sigmoid"),
            Half,
            Linear,
            Pad,
            Conv(16, 1, 1),
        ],
    ),
    (
        16,
        48,
        48,
        &[
            Norm,
            Act("Relu"),
            Conv(96, 1, 1),
            HardGate,
            Depthwise(5, 1),
            Act("HardSwish"),
            Conv(24, 1, 1),
            Residual(1),
            Max(3, 2),
            Grown(32),
            Act("Tanh"),
            Lrn,
            Conv(64, 3, 1),
            Average(3, 1),
            Shuffle(2),
            Grouped(64, 1, 1, 4),
            Act("Elu"),
            Flatten,
            Dense(64),
        ],
    ),
    (
        64,
        56,
        56,
        &[
            Conv(64, 3, 1),
            Act("Relu"),
            Residual(3),
            Conv(128, 1, 2),
            Conv(32, 1, 1),
            Act("Relu"),
            Conv(128, 1, 1),
            Max(3, 2),
            Conv(256, 3, 1),
            Residual(1),
        ],
    ),
    (
        3,
        112,
        112,
        &[
            Conv(24, 3, 2),
            Relu6,
            Depthwise(3, 1),
            Relu6,
            Conv(16, 1, 1),
            Conv(96, 1, 1),
            Relu6,
            Depthwise(3, 2),
            Relu6,
            Conv(24, 1, 1),
            Residual(1),
            Conv(144, 1, 1),
            Relu6,
            Depthwise(5, 2),
            Relu6,
            Conv(40, 1, 1),
        ],
    ),
    (
        192,
        14,
        14,
        &[
            Conv(256, 3, 1),
            Act("Relu"),
            Conv(384, 1, 1),
            Relu6,
            Depthwise(3, 1),
            Relu6,
            Conv(64, 1, 1),
            Conv(512, 3, 2),
            Act("Relu"),
            Conv(512, 1, 1),
            Depthwise(3, 1),
            Conv(320, 1, 1),
            Norm,
            Global,
            Dense(1000),
        ],
    ),
    (
        3,
        128,
        128,
        &[
            Conv(32, 7, 2),
            Act("Relu"),
            Lrn,
            Max(3, 2),
            Conv(64, 5, 1),
            Act("Relu"),
            Lrn,
            Max(3, 2),
            Grouped(96, 3, 1, 2),
            Act("Relu"),
            Fire(48),
            Flatten,
            Dense(512),
        ],
    ),
    (
        16,
        96,
        96,
        &[
            Conv(32, 3, 1),
            Leaky,
            Conv(32, 3, 1),
            Leaky,
            Conv(48, 3, 1),
            Leaky,
            Transposed(3, 4, 2),
            Max(2, 2),
            Conv(8, 3, 1),
            Leaky,
        ],
    ),
    (
        96,
        28,
        28,
        &[
            Grown(32),
            Norm,
            Act("Relu"),
            Conv(128, 1, 1),
            Act("Relu"),
            Conv(32, 3, 1),
            Norm,
            Act("Relu"),
            Conv(64, 1, 1),
            Average(2, 2),
            Grown(48),
            Average(3, 1),
            Grouped(112, 3, 1, 8),
            Fire(64),
        ],
    ),
    (
        120,
        28,
        28,
        &[
            Depthwise(5, 1),
            Act("HardSwish"),
            Excite(32),
            Conv(40, 1, 1),
            Conv(240, 1, 1),
            Act("HardSwish"),
            Depthwise(3, 2),
            Act("HardSwish"),
            Conv(80, 1, 1),
            Residual(1),
            Conv(200, 1, 1),
            Swish,
            Depthwise(3, 1),
            Swish,
            Excite(50),
            Conv(80, 1, 1),
        ],
    ),
    (
        240,
        28,
        28,
        &[
            Grouped(60, 1, 1, 3),
            Act("Relu"),
            Shuffle(3),
            Depthwise(3, 2),
            Norm,
            Grouped(240, 1, 1, 3),
            Act("Relu"),
            Average(3, 2),
            Shuffle(4),
            Half,
            Depthwise(3, 1),
            Conv(116, 1, 1),
            Act("Relu"),
        ],
    ),
    (
        512,
        7,
        7,
        &[
            Conv(512, 3, 1),
            Act("Relu"),
            Conv(128, 1, 1),
            Act("Relu"),
            Conv(512, 1, 1),
            Depthwise(3, 1),
            Relu6,
            Depthwise(5, 1),
            Conv(256, 1, 1),
            Average(3, 1),
            Max(3, 1),
            Flatten,
            Dense(1024),
            Act("Relu"),
            Dense(1024),
            Dense(10),
        ],
    ),
    (
        64,
        20,
        20,
        &[
            Nearest,
            Conv(32, 3, 1),
            Leaky,
            Linear,
            Conv(16, 3, 1),
            Leaky,
            Transposed(24, 2, 2),
            Act("Sigmoid"),
            Max(4, 4),
            Pad,
            Conv(12, 1, 1),
            Norm,
            Linear,
            Act("Tanh"),
        ],
    ),
    (
        128,
        40,
        40,
        &[
            Conv(64, 1, 1),
            Leaky,
            Conv(128, 3, 1),
            Leaky,
            Max(2, 2),
            Conv(256, 3, 1),
            Leaky,
            Conv(128, 1, 1),
            Leaky,
            Conv(256, 3, 2),
            Max(2, 1),
            Fire(128),
        ],
    ),
    (
        8,
        160,
        160,
        &[
            Depthwise(3, 1),
            Act("Relu"),
            Norm,
            Act("HardSwish"),
            Max(3, 2),
            Conv(16, 1, 1),
            Conv(32, 3, 2),
            Depthwise(3, 1),
            Lrn,
            Average(2, 2),
            Excite(8),
        ],
    ),
];

/// Builds the chain.
pub(super) fn build(&(channels, height, width, links): &Chain, name: &str, weights: Weights) -> ModelProto {
    let (mut graph, mut map) = Graph::reading(name, weights, vec![channels, height, width]);
    for (index, link) in links.iter().enumerate() {
        map = append(&mut graph, &format!("l{index}"), &map, *link);
    }
    graph.finish(&map)
}

fn append(graph: &mut Graph, name: &str, map: &Map, link: Link) -> Map {
    let part = |part: &str| format!("{name}.{part}");
    match link {
        Conv(out, kernel, stride) => graph.conv(name, map, Window::same(out, kernel).stride(stride)),
        Grouped(out, kernel, stride, groups) => {
            graph.conv(name, map, Window::same(out, kernel).stride(stride).groups(groups))
        }
        Depthwise(kernel, stride) => {
            let channels = map.channels();
            graph.conv(name, map, Window::same(channels, kernel).stride(stride).groups(channels))
        }
        Residual(kernel) => {
            let branch = graph.conv(&part("conv"), map, Window::same(map.channels(), kernel));
            graph.add(name, map, &branch)
        }
        Fire(out) => {
            let small = graph.conv(&part("1x1"), map, Window::same(out, 1));
            let large = graph.conv(&part("3x3"), map, Window::same(out, 3));
            graph.concat(name, &[&small, &large])
        }
        Grown(out) => {
            let more = graph.conv(&part("conv"), map, Window::same(out, 3));
            graph.concat(name, &[map, &more])
        }
        // A pool in front keeps the normalisation from being folded into a convolution.
        Norm => graph.batch_norm(name, map, 1.0),
        Act(op) => graph.unary(op, name, map, 2.0),
        Swish => {
            let gate = graph.unary("Sigmoid", &part("gate"), map, 2.0);
            graph.mul(name, map, &gate)
        }
        HardGate => {
            let gate = graph.unary("HardSigmoid", &part("gate"), map, 2.0);
            graph.mul(name, map, &gate)
        }
        Relu6 => graph.relu6(name, map),
        Leaky => graph.leaky_relu(name, map, 0.1),
        Prelu => graph.prelu(name, map),
        Max(kernel, stride) => graph.max_pool(name, map, pool(kernel, stride)),
        Average(kernel, stride) => graph.average_pool(name, map, pool(kernel, stride)),
        Lrn => graph.local_norm(name, map),
        Excite(channels) => {
            let squeezed = graph.global_average(&part("squeeze"), map);
            let few = graph.conv(&part("few"), &squeezed, Window::same(channels, 1));
            let few = graph.relu(&part("relu"), &few);
            let gate = graph.conv(&part("many"), &few, Window::same(map.channels(), 1));
            let gate = graph.unary("Sigmoid", &part("gate"), &gate, 2.0);
            graph.mul(name, map, &gate)
        }
        Shuffle(groups) => graph.shuffle(name, map, groups),
        Half => graph.slice(name, map, 0, map.channels() / 2),
        Nearest => graph.double(name, map, "nearest"),
        Linear => graph.double(name, map, "linear"),
        Transposed(out, kernel, stride) => graph.transposed(name, map, out, kernel, stride),
        Pad => graph.pad(name, map),
        Global => {
            let pooled = graph.global_average(&part("pool"), map);
            graph.flatten(name, &pooled)
        }
        Flatten => graph.flatten(name, map),
        Dense(out) => graph.dense(name, map, out, 1.0),
        Softmax => graph.softmax(name, map),
    }
}

/// Padded so that stride 1 keeps the size.
fn pool(kernel: usize, stride: usize) -> Pool {
    let all = if kernel > stride { kernel - 1 } else { 0 };
    Pool { begin: all / 2, end: all - all / 2, ..Pool::new(kernel, stride) }
}
