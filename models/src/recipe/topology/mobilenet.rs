//! MobileNetV2 (Sandler et al. 2018), width 1.0: inverted residuals with linear bottlenecks, 0.30 GMAC.

use crate::recipe::graph::{Conv, Graph, Map};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

/// Expansion, output channels, repeats and stride of the first repeat; table 2 of the paper.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// The scale of the batch normalisation of a bottleneck that is added to its input.
const BRANCH_SCALE: f32 = 0.5;

pub(super) fn build(name: &str, weights: Weights) -> Onnx {
    let (mut graph, image) = Graph::new(name, weights, 224, 224);
    let mut map = activated(&mut graph, "stem", &image, Conv::same(32, 3).stride(2));
    for (stage, (expansion, out, repeats, stride)) in (1..).zip(STAGES) {
        for index in 0..repeats {
            let stride = if index == 0 { stride } else { 1 };
            map = bottleneck(&mut graph, &format!("stage{stage}.{index}"), &map, expansion, out, stride);
        }
    }
    map = activated(&mut graph, "head", &map, Conv::same(1280, 1));
    map = graph.global_average("pool", &map);
    map = graph.flatten("flatten", &map);
    map = graph.dense("fc", &map, 1000, 1.0);
    graph.finish(&map)
}

fn bottleneck(
    graph: &mut Graph,
    name: &str,
    input: &Map,
    expansion: usize,
    out: usize,
    stride: usize,
) -> Map {
    let mut map = input.clone();
    let wide = expansion * input.channels();
    if expansion > 1 {
        map = activated(graph, &format!("{name}.expand"), &map, Conv::same(wide, 1));
    }
    map =
        activated(graph, &format!("{name}.depthwise"), &map, Conv::same(wide, 3).stride(stride).groups(wide));
    map = graph.conv(&format!("{name}.project"), &map, Conv::same(out, 1).without_bias());
    let added = stride == 1 && out == input.channels();
    map = graph.batch_norm(&format!("{name}.project.bn"), &map, if added { BRANCH_SCALE } else { 1.0 });
    if added { graph.add(&format!("{name}.add"), input, &map) } else { map }
}

fn activated(graph: &mut Graph, name: &str, input: &Map, conv: Conv) -> Map {
    let map = graph.conv(name, input, conv.without_bias());
    let map = graph.batch_norm(&format!("{name}.bn"), &map, 1.0);
    graph.relu6(&format!("{name}.relu6"), &map)
}
