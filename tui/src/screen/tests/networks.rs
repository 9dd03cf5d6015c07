//! The networks that the sessions of tests run.

use collab_core::network::samples::chain;
use collab_core::network::{Cut, Edge, Kind, Layer, Network, Split, Unit};
use collab_core::rows::RowMap;

/// Seven convolutions that enlarge a picture.
pub(super) fn enlarging() -> Network {
    let mut network = chain(142, 7);
    network.name = "upconv7".to_owned();
    for (index, layer) in network.layers.iter_mut().enumerate() {
        layer.name = format!("conv{}", index + 1);
        layer.op = "Conv 3×3".to_owned();
        layer.row_macs *= [1, 2, 4, 8, 16, 16, 12][index];
        layer.weight_bytes *= 8;
    }
    let last = network.layers.last_mut().unwrap();
    (last.name, last.op, last.kind) = ("deconv7".into(), "ConvTranspose 4×4 s2".into(), Kind::Transposed);
    network
}

/// Forty layers that name what is seen, with a tail that one worker computes.
pub(super) fn naming() -> Network {
    let mut network = chain(112, 36);
    network.name = "efficientnet_lite0".to_owned();
    let kinds = [
        (Kind::Pointwise, "Conv 1×1", 9),
        (Kind::Depthwise, "Conv dw 3×3", 1),
        (Kind::Pointwise, "Conv 1×1", 7),
        (Kind::Elementwise, "Add", 0),
    ];
    for (index, layer) in network.layers.iter_mut().enumerate() {
        let (kind, op, work) = kinds[index % kinds.len()];
        (layer.kind, layer.op) = (kind, op.to_owned());
        layer.name = format!("blocks.{}.{}", index / 4, ["expand", "depthwise", "project", "add"][index % 4]);
        layer.row_macs = layer.row_macs * work / 2;
    }
    let cut = Cut { outer: 1, rows: 1000, inner: 1 };
    for (name, op, kind) in
        [("pool", "GlobalAveragePool", Kind::Pool), ("classifier", "Gemm 1000", Kind::Dense)]
    {
        let index = network.layers.len() as u32;
        let output = if kind == Kind::Dense { cut } else { Cut { outer: 8, rows: 1, inner: 1 } };
        network.layers.push(Layer {
            name: name.to_owned(),
            op: op.to_owned(),
            kind,
            inputs: vec![Edge {
                from: Some(index - 1),
                map: RowMap::whole(network.cut(index as usize).rows),
            }],
            output,
            row_macs: 1280,
            weight_bytes: if kind == Kind::Dense { 5_124_000 } else { 0 },
            kept_bytes: if kind == Kind::Dense { 5_124_000 } else { 0 },
            work: Vec::new(),
        });
        let reason = "every output value needs every row".to_owned();
        network.units.push(Unit { layers: (index, index + 1), output, split: Split::Whole(reason) });
    }
    network
}
