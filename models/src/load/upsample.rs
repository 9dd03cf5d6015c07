//! `Upsample`, ONNX's name for `Resize` before opset 10, which the engine does not know.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::tract_hir::internal::{InferenceOp, TractResult};

/// Builds the `Resize` of opset 10 that means the same: asymmetric coordinates, nearest rounds down.
pub(super) fn build(
    context: &ParsingContext,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let Some(resize) = context.framework.op_register.0.get("Resize") else {
        return Err(tract_onnx::tract_core::internal::anyhow!("the engine has no Resize"));
    };
    let context = ParsingContext {
        onnx_operator_set_version: 10,
        framework: context.framework,
        model: context.model,
        parent_graphs: context.parent_graphs.clone(),
        model_dir: context.model_dir,
        template: context.template.clone(),
    };
    let mut node = node.clone();
    node.op_type = "Resize".to_owned();
    node.attribute.push(AttributeProto {
        name: "nearest_mode".to_owned(),
        s: b"floor".to_vec(),
        r#type: tract_onnx::pb::attribute_proto::AttributeType::String as i32,
        ..AttributeProto::default()
    });
    resize(&context, &node)
}
