//! VGG-16, configuration D of Simonyan and Zisserman, 2015: 15.47 GMAC.

use crate::recipe::graph::{Conv, Graph, Pool};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

pub(super) fn build(name: &str, weights: Weights) -> Onnx {
    let (mut graph, mut map) = Graph::new(name, weights, 224, 224);
    for (stage, (convs, channels)) in (1..).zip([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]) {
        for index in 1..=convs {
            map = graph.conv(&format!("conv{stage}_{index}"), &map, Conv::same(channels, 3));
            map = graph.relu(&format!("relu{stage}_{index}"), &map);
        }
        map = graph.max_pool(&format!("pool{stage}"), &map, Pool::new(2, 2));
    }
    map = graph.classifier(&map);
    graph.finish(&map)
}
