//! AlexNet (Krizhevsky et al. 2012) as in Caffe's bvlc_alexnet for 224×224: grouped convolutions, LRN before
//! pooling, one max pool padded only below and to the right. 0.66 GMAC.

use crate::recipe::graph::{Conv, Graph, Pool};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

pub(super) fn build(name: &str, weights: Weights) -> Onnx {
    let (mut graph, mut map) = Graph::new(name, weights, 224, 224);
    let first = Conv::same(96, 11).stride(4).pad(0);
    for (layer, conv) in [(1, first), (2, Conv::same(256, 5).groups(2))] {
        map = graph.conv(&format!("conv{layer}"), &map, conv);
        map = graph.relu(&format!("relu{layer}"), &map);
        map = graph.local_norm(&format!("norm{layer}"), &map);
        map = graph.max_pool(&format!("pool{layer}"), &map, Pool::new(3, 2));
    }
    let convs = [Conv::same(384, 3), Conv::same(384, 3).groups(2), Conv::same(256, 3).groups(2)];
    for (layer, conv) in (3..).zip(convs) {
        map = graph.conv(&format!("conv{layer}"), &map, conv);
        map = graph.relu(&format!("relu{layer}"), &map);
    }
    map = graph.max_pool("pool5", &map, Pool { end: 1, ..Pool::new(3, 2) });
    map = graph.classifier(&map);
    graph.finish(&map)
}
