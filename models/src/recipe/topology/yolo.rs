//! The first 16 layers of YOLOv2 (Redmon and Farhadi 2017) at 608×608, the part that DeepThings (Zhao et al.
//! 2018) distributes: 12 convolutions with LeakyReLU, batch normalisation folded in, and 4 max pools. 13.0 GMAC.

use crate::recipe::graph::{Conv, Graph, Pool};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

/// Channels and kernel of each convolution, `None` for a max pool; numbered from 0 as in Darknet.
const LAYERS: [Option<(usize, usize)>; 16] = [
    Some((32, 3)),
    None,
    Some((64, 3)),
    None,
    Some((128, 3)),
    Some((64, 1)),
    Some((128, 3)),
    None,
    Some((256, 3)),
    Some((128, 1)),
    Some((256, 3)),
    None,
    Some((512, 3)),
    Some((256, 1)),
    Some((512, 3)),
    Some((256, 1)),
];

pub(super) fn build(name: &str, weights: Weights) -> Onnx {
    let (mut graph, mut map) = Graph::new(name, weights, 608, 608);
    for (index, layer) in LAYERS.into_iter().enumerate() {
        map = match layer {
            Some((out, kernel)) => {
                let conv = graph.conv(&format!("conv{index}"), &map, Conv::same(out, kernel));
                graph.leaky_relu(&format!("leaky{index}"), &conv, 0.1)
            }
            None => graph.max_pool(&format!("pool{index}"), &map, Pool::new(2, 2)),
        };
    }
    graph.finish(&map)
}
