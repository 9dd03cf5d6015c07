//! SqueezeNet 1.0 (Iandola et al. 2016) as in torchvision: 7×7 first convolution without padding, fire modules,
//! max pools that count a last partial window, no dense layer. 0.82 GMAC.

use crate::recipe::graph::{Conv, Graph, Map, Pool};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

/// Squeeze and expand channels of each fire module, and whether a pool follows.
const FIRES: [(usize, usize, bool); 8] = [
    (16, 64, false),
    (16, 64, false),
    (32, 128, true),
    (32, 128, false),
    (48, 192, false),
    (48, 192, false),
    (64, 256, true),
    (64, 256, false),
];

pub(super) fn build(name: &str, weights: Weights) -> Onnx {
    let (mut graph, image) = Graph::new(name, weights, 224, 224);
    let pool = Pool { ceil: true, ..Pool::new(3, 2) };
    let mut map = activated(&mut graph, "conv1", &image, Conv::same(96, 7).stride(2).pad(0));
    map = graph.max_pool("pool1", &map, pool);
    for (index, (squeeze, expand, pooled)) in (2..).zip(FIRES) {
        map = fire(&mut graph, &format!("fire{index}"), &map, squeeze, expand);
        if pooled {
            map = graph.max_pool(&format!("pool{index}"), &map, pool);
        }
    }
    map = activated(&mut graph, "conv10", &map, Conv::same(1000, 1));
    map = graph.global_average("pool10", &map);
    map = graph.flatten("flatten", &map);
    graph.finish(&map)
}

fn fire(graph: &mut Graph, name: &str, input: &Map, squeeze: usize, expand: usize) -> Map {
    let squeezed = activated(graph, &format!("{name}.squeeze"), input, Conv::same(squeeze, 1));
    let narrow = activated(graph, &format!("{name}.expand1x1"), &squeezed, Conv::same(expand, 1));
    let wide = activated(graph, &format!("{name}.expand3x3"), &squeezed, Conv::same(expand, 3));
    graph.concat(&format!("{name}.concat"), &[&narrow, &wide])
}

fn activated(graph: &mut Graph, name: &str, input: &Map, conv: Conv) -> Map {
    let map = graph.conv(name, input, conv);
    graph.relu(&format!("{name}.relu"), &map)
}
