//! ResNets (He et al. 2016): ResNet-18 1.81 GMAC, ResNet-50 with the stride in its 3×3 convolutions 4.09 GMAC.

use crate::recipe::graph::{Conv, Graph, Map, Pool};
use crate::recipe::weights::Weights;
use crate::source::Onnx;

/// The residual block a network is made of.
#[derive(Clone, Copy)]
pub(super) enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1 with four times the channels at the end.
    Bottleneck,
}

/// The scale of the batch normalisation that ends a residual branch: small, so that a deep sum of branches
/// stays of the size of one.
const BRANCH_SCALE: f32 = 0.3;

pub(super) fn build(name: &str, weights: Weights, block: Block, repeats: [usize; 4]) -> Onnx {
    let (mut graph, image) = Graph::new(name, weights, 224, 224);
    let stem = Conv::same(64, 7).stride(2).without_bias();
    let mut map = graph.conv("conv1", &image, stem);
    map = graph.batch_norm("bn1", &map, 1.0);
    map = graph.relu("relu1", &map);
    map = graph.max_pool("pool1", &map, Pool { begin: 1, end: 1, ..Pool::new(3, 2) });
    for (stage, (count, width)) in (1..).zip(repeats.into_iter().zip([64, 128, 256, 512])) {
        for index in 0..count {
            let stride = if index == 0 && stage > 1 { 2 } else { 1 };
            let convs = match block {
                Block::Basic => vec![Conv::same(width, 3).stride(stride), Conv::same(width, 3)],
                Block::Bottleneck => {
                    vec![Conv::same(width, 1), Conv::same(width, 3).stride(stride), Conv::same(4 * width, 1)]
                }
            };
            map = residual(&mut graph, &format!("layer{stage}.{index}"), &map, &convs);
        }
    }
    map = graph.global_average("pool", &map);
    map = graph.flatten("flatten", &map);
    map = graph.dense("fc", &map, 1000, 1.0);
    graph.finish(&map)
}

fn residual(graph: &mut Graph, name: &str, input: &Map, convs: &[Conv]) -> Map {
    let mut branch = input.clone();
    let mut stride = 1;
    for (index, conv) in (1..).zip(convs) {
        stride *= conv.stride;
        let last = index == convs.len();
        branch = graph.conv(&format!("{name}.conv{index}"), &branch, conv.without_bias());
        branch =
            graph.batch_norm(&format!("{name}.bn{index}"), &branch, if last { BRANCH_SCALE } else { 1.0 });
        if !last {
            branch = graph.relu(&format!("{name}.relu{index}"), &branch);
        }
    }
    let mut shortcut = input.clone();
    if stride != 1 || branch.channels() != input.channels() {
        let conv = Conv::same(branch.channels(), 1).stride(stride).without_bias();
        shortcut = graph.conv(&format!("{name}.downsample"), input, conv);
        shortcut = graph.batch_norm(&format!("{name}.downsample.bn"), &shortcut, 1.0);
    }
    let sum = graph.add(&format!("{name}.add"), &branch, &shortcut);
    graph.relu(&format!("{name}.relu"), &sum)
}
