//! What the synthetic networks consist of.

use crate::recipe::graph::{Conv, Graph, Map, Pool};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

/// Channels of the input, its height and width, and what follows, link by link: a word of [`append`] or an ONNX
/// activation, and numbers.
pub(super) type Chain = (usize, usize, &'static str);

/// The networks. The first three have every kind of operation.
#[rustfmt::skip]
pub(super) const CHAINS: &[Chain] = &[
    (32, 40, "conv 48 3 1 | Relu | conv 64 1 1 | Relu | max 2 2 | depthwise 3 1 | relu6 | conv 100 3 2 | \
      HardSwish | residual 3 | fire 32 | lrn | average 2 2 | global | dense 256 | Relu | dense 100 \
      | softmax"),
    (24, 32, "nearest | grouped 48 3 1 2 | leaky | transposed 32 4 2 | prelu | depthwise 3 2 | swish | \
      conv 64 1 1 | norm | excite 16 | shuffle 4 | conv 48 5 1 | Sigmoid | half | linear | pad | \
      conv 16 1 1"),
    (16, 48, "norm | Relu | conv 96 1 1 | hardgate | depthwise 5 1 | HardSwish | \
      depthwise 3 1 | relu6 | depthwise 3 2 | relu6 | conv 24 1 1 | residual 1 \
      | max 3 2 | grown 32 | Tanh | lrn | conv 64 3 1 | average 3 1 | shuffle 2 | grouped 64 1 1 4 \
      | Elu | flatten | dense 64"),
    (64, 56, "conv 64 3 1 | Relu | residual 3 | conv 128 1 2 | conv 32 1 1 | Relu | conv 128 1 1 | max 3 2 \
      | depthwise 3 1 | conv 256 3 1 | residual 1"),
    (3, 112, "conv 24 3 2 | relu6 | depthwise 3 1 | relu6 | conv 16 1 1 | conv 96 1 1 | relu6 | \
      depthwise 3 2 | relu6 | conv 24 1 1 | residual 1 | conv 144 1 1 | relu6 | depthwise 5 2 | \
      relu6 | conv 40 1 1"),
    (192, 14, "conv 256 3 1 | Relu | conv 384 1 1 | relu6 | depthwise 3 1 | relu6 | conv 64 1 1 | \
      conv 512 3 2 | Relu | conv 512 1 1 | depthwise 3 1 | conv 320 1 1 | norm | global | \
      dense 1000"),
    (3, 128, "conv 32 7 2 | Relu | lrn | max 3 2 | conv 64 5 1 | Relu | lrn | max 3 2 | grouped 96 3 1 2 | \
      Relu | fire 48 | flatten | dense 512"),
    (16, 96, "conv 32 3 1 | leaky | conv 32 3 1 | leaky | conv 48 3 1 | leaky | transposed 3 4 2 | max 2 2 \
      | conv 8 3 1 | leaky"),
    (96, 28, "grown 32 | norm | Relu | conv 128 1 1 | Relu | conv 32 3 1 | norm | Relu | conv 64 1 1 | \
      average 2 2 | grown 48 | average 3 1 | grouped 112 3 1 8 | fire 64"),
    (120, 28, "depthwise 5 1 | HardSwish | excite 32 | conv 40 1 1 | conv 240 1 1 | HardSwish | \
      depthwise 3 2 | HardSwish | conv 80 1 1 | residual 1 | conv 200 1 1 | swish | depthwise 3 1 \
      | swish | excite 50 | conv 80 1 1"),
    (240, 28, "grouped 60 1 1 3 | Relu | shuffle 3 | depthwise 3 2 | norm | grouped 240 1 1 3 | Relu | \
      average 3 2 | shuffle 4 | half | depthwise 3 1 | conv 116 1 1 | Relu"),
    (512, 7, "conv 512 3 1 | Relu | conv 128 1 1 | Relu | conv 512 1 1 | depthwise 3 1 | relu6 | \
      depthwise 5 1 | conv 256 1 1 | average 3 1 | max 3 1 | flatten | dense 1024 | Relu | \
      dense 4096 | dense 1000"),
    (64, 20, "nearest | conv 32 3 1 | leaky | linear | conv 16 3 1 | leaky | transposed 24 2 2 | Sigmoid | \
      max 4 4 | pad | conv 12 1 1 | norm | linear | Tanh"),
    (128, 40, "conv 64 1 1 | leaky | conv 128 3 1 | leaky | max 2 2 | conv 256 3 1 | leaky | conv 128 1 1 | \
      leaky | conv 256 3 2 | max 2 1 | fire 128"),
    (8, 160, "depthwise 3 1 | Relu | norm | HardSwish | max 3 2 | conv 16 1 1 | conv 32 3 2 | \
      depthwise 3 1 | lrn | average 2 2 | excite 8"),
    (64, 112, "conv 64 3 1 | Relu | max 2 2 | conv 128 3 1 | Relu | norm | conv 128 1 1 | Relu | max 3 1 | \
      lrn | average 3 2"),
    (256, 28, "conv 256 3 1 | Relu | conv 64 1 1 | Relu | residual 1 | grown 64 | norm | Relu | \
      conv 512 3 2 | Relu | conv 512 3 1 | Relu"),
    (256, 56, "norm | Relu | residual 3 | grown 32 | norm | Relu | conv 256 1 1 | residual 1 | norm | \
      conv 512 1 2 | average 2 2"),
    (128, 28, "conv 128 1 1 | Relu | grouped 128 3 1 8 | Relu | conv 128 1 1 | Relu | grouped 128 3 1 16 | Relu | \
      conv 192 1 1 | Relu | grouped 192 3 2 12 | Relu | conv 320 1 1 | Relu | grouped 320 3 1 40 | Relu | \
      grouped 320 3 2 10 | Relu | conv 320 1 1"),
    (1024, 14, "conv 256 1 1 | Relu | conv 256 3 1 | Relu | conv 1024 1 1 | conv 2048 1 2 | Relu | global | \
      dense 1000"),
];

/// Builds the chain.
pub(super) fn build(&(channels, size, links): &Chain, name: &str, weights: Weights) -> Onnx {
    let (mut graph, mut map) = Graph::reading(name, weights, vec![channels, size, size]);
    for (index, link) in links.split('|').enumerate() {
        let mut words = link.split_whitespace();
        let word = words.next().unwrap_or_default();
        let numbers: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
        map = append(&mut graph, &format!("l{index}"), &map, word, &numbers);
    }
    graph.finish(&map)
}

fn append(graph: &mut Graph, name: &str, map: &Map, word: &str, numbers: &[usize]) -> Map {
    let part = |part: &str| format!("{name}.{part}");
    match (word, numbers) {
        // Output channels, kernel, stride; the padding keeps the size.
        ("conv", &[out, kernel, stride]) => graph.conv(name, map, Conv::same(out, kernel).stride(stride)),
        // As above, and groups.
        ("grouped", &[out, kernel, stride, groups]) => {
            graph.conv(name, map, Conv::same(out, kernel).stride(stride).groups(groups))
        }
        // Kernel, stride.
        ("depthwise", &[kernel, stride]) => {
            let channels = map.channels();
            graph.conv(name, map, Conv::same(channels, kernel).stride(stride).groups(channels))
        }
        // Half of the channels by 1×1, a convolution with this kernel back to all, and the addition of what is
        // read: by then that has left the nearest caches, as in a real network.
        ("residual", &[kernel]) => {
            let few = (map.channels() / 2).max(8);
            let branch = graph.conv(&part("few"), map, Conv::same(few, 1));
            let branch = graph.relu(&part("relu"), &branch);
            let branch = graph.conv(&part("conv"), &branch, Conv::same(map.channels(), kernel));
            graph.add(name, map, &branch)
        }
        // So many channels by 1×1 and as many by 3×3, joined.
        ("fire", &[out]) => {
            let small = graph.conv(&part("1x1"), map, Conv::same(out, 1));
            let large = graph.conv(&part("3x3"), map, Conv::same(out, 3));
            graph.concat(name, &[&small, &large])
        }
        // What is read, and a 3×3 with so many channels of a 1×1 of it, joined.
        ("grown", &[out]) => {
            let more = graph.conv(&part("few"), map, Conv::same(2 * out, 1));
            let more = graph.relu(&part("relu"), &more);
            let more = graph.conv(&part("conv"), &more, Conv::same(out, 3));
            graph.concat(name, &[map, &more])
        }
        ("norm", _) => graph.batch_norm(name, map, 1.0),
        ("swish", _) => {
            let gate = graph.unary("Sigmoid", &part("gate"), map, 2.0);
            graph.mul(name, map, &gate)
        }
        ("hardgate", _) => {
            let gate = graph.unary("HardSigmoid", &part("gate"), map, 2.0);
            graph.mul(name, map, &gate)
        }
        ("relu6", _) => graph.relu6(name, map),
        ("leaky", _) => graph.leaky_relu(name, map, 0.1),
        ("prelu", _) => graph.prelu(name, map),
        // Kernel, stride.
        ("max", &[kernel, stride]) => graph.max_pool(name, map, pool(kernel, stride)),
        ("average", &[kernel, stride]) => graph.average_pool(name, map, pool(kernel, stride)),
        ("lrn", _) => graph.local_norm(name, map),
        // Squeeze and excite, by so many channels.
        ("excite", &[channels]) => {
            let squeezed = graph.global_average(&part("squeeze"), map);
            let few = graph.conv(&part("few"), &squeezed, Conv::same(channels, 1));
            let few = graph.relu(&part("relu"), &few);
            let gate = graph.conv(&part("many"), &few, Conv::same(map.channels(), 1));
            let gate = graph.unary("Sigmoid", &part("gate"), &gate, 2.0);
            graph.mul(name, map, &gate)
        }
        ("shuffle", &[groups]) => graph.shuffle(name, map, groups),
        ("half", _) => graph.slice(name, map, 0, map.channels() / 2),
        ("nearest" | "linear", _) => graph.double(name, map, word),
        // Output channels, kernel, stride.
        ("transposed", &[out, kernel, stride]) => graph.transposed(name, map, out, kernel, stride),
        ("pad", _) => graph.pad(name, map),
        ("global", _) => {
            let pooled = graph.global_average(&part("pool"), map);
            graph.flatten(name, &pooled)
        }
        ("flatten", _) => graph.flatten(name, map),
        ("dense", &[out]) => graph.dense(name, map, out, 1.0),
        ("softmax", _) => graph.softmax(name, map),
        (activation, _) => graph.unary(activation, name, map, 2.0),
    }
}

/// Padded so that stride 1 keeps the size.
fn pool(kernel: usize, stride: usize) -> Pool {
    let all = if kernel > stride { kernel - 1 } else { 0 };
    Pool { begin: all / 2, end: all - all / 2, ..Pool::new(kernel, stride) }
}
