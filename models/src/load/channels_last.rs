//! Pictures whose channels come last, as TensorFlow's exporters leave them.
//!
//! Such a network begins by moving its channels to the front. It is given pictures that have them there already, and a
//! move back, which the engine cancels against the network's own.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use super::proto::set_dims;

/// From batch × channels × rows × columns to channels last, and back.
const LAST: [i64; 4] = [0, 2, 3, 1];
const FIRST: [i64; 4] = [0, 3, 1, 2];

/// Puts the channels of the one input, which has this `shape`, first if they are last. Returns the input's new shape.
pub(super) fn to_front(graph: &mut GraphProto, shape: Vec<usize>) -> Vec<usize> {
    let [batch, rows, width, channels] = *shape else { return shape };
    let moves = |node: &NodeProto| {
        node.op_type == "Transpose" && node.attribute.iter().any(|attribute| attribute.ints == FIRST)
    };
    // One, three or four values for each point of something that is larger, which the network moves to the front itself.
    if !matches!(channels, 1 | 3 | 4) || rows.min(width) <= 4 || !graph.node.iter().any(moves) {
        return shape;
    }
    let Some(input) = graph.input.first_mut() else { return shape };
    let moved = input.name.clone();
    input.name.push_str(".channels_first");
    let shape = vec![batch, channels, rows, width];
    set_dims(input, &shape);
    let perm = AttributeProto {
        name: "perm".to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: LAST.to_vec(),
        ..AttributeProto::default()
    };
    let node = NodeProto {
        name: format!("{moved}.channels_last"),
        op_type: "Transpose".to_owned(),
        input: vec![input.name.clone()],
        output: vec![moved],
        attribute: vec![perm],
        ..NodeProto::default()
    };
    graph.node.insert(0, node);
    shape
}
