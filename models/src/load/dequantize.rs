//! Constants that a file stores as 8-bit integers with a scale become 32-bit floats once, at load.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::error::LoadError;
use crate::source;

/// Replaces every `DequantizeLinear` whose inputs are constants by the constant it yields; the values of those that are large go to
/// `large`. What was read for that only goes.
pub(super) fn fold(graph: &mut GraphProto, large: &mut HashMap<String, Tensor>) -> Result<(), LoadError> {
    let constants = constants(graph);
    let mut made = Vec::new();
    for node in &graph.node {
        let constant = folded(node, &constants)?;
        made.push(constant.map(|constant| source::apart(constant, large)));
    }
    if made.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut folds = made.iter().map(Option::is_some);
    let gone = graph.node.extract_if(.., |_| folds.next() == Some(true));
    let gone: HashSet<String> = gone.flat_map(|node| node.input).collect();
    graph.initializer.extend(made.into_iter().flatten());
    let read: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    graph.initializer.retain(|constant| !gone.contains(&constant.name) || read.contains(&constant.name));
    Ok(())
}

fn constants(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    let stated = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let nodes = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        let value = node.attribute.iter().find(|attribute| attribute.name == "value")?.t.as_ref()?;
        Some((node.output.first()?.as_str(), value))
    });
    stated.chain(nodes).collect()
}

/// The constant that `node` yields, if it dequantises constants.
fn folded(
    node: &NodeProto,
    constants: &HashMap<&str, &TensorProto>,
) -> Result<Option<TensorProto>, LoadError> {
    if node.op_type != "DequantizeLinear" {
        return Ok(None);
    }
    let constant = |index: usize| node.input.get(index).and_then(|name| constants.get(name.as_str()));
    let (Some(values), Some(scale)) = (constant(0), constant(1)) else { return Ok(None) };
    let has_zero = node.input.get(2).is_some_and(|name| !name.is_empty());
    let zero = match constant(2) {
        Some(tensor) => integers(tensor),
        None if has_zero => None,
        None => Some(vec![0]),
    };
    let (Some(quantised), Some(scales), Some(zeros)) = (integers(values), floats(scale), zero) else {
        return Ok(None);
    };
    let axis = node.attribute.iter().find(|attribute| attribute.name == "axis").map_or(1, |axis| axis.i);
    let absurd = || LoadError::Absurd { tensor: node.name.clone(), shape: values.dims.clone() };
    let rank = values.dims.len() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    let (channels, inner) = match scales.len() {
        1 => (1, quantised.len().max(1)),
        count => {
            let dims = values.dims.get(usize::try_from(axis).map_err(|_| absurd())?..).ok_or_else(absurd)?;
            let Some((&channels, rest)) = dims.split_first() else { return Err(absurd()) };
            if channels as usize != count {
                return Err(absurd());
            }
            (count, rest.iter().product::<i64>().max(1) as usize)
        }
    };
    if zeros.len() != 1 && zeros.len() != channels {
        return Err(absurd());
    }
    let value = |(index, &quantised): (usize, &i32)| {
        let channel = index / inner % channels;
        quantised.wrapping_sub(zeros[channel % zeros.len()]) as f32 * scales[channel]
    };
    let raw = quantised.iter().enumerate().flat_map(|item| value(item).to_le_bytes()).collect();
    let name = node.output.first().cloned().unwrap_or_default();
    let data_type = DataType::Float as i32;
    Ok(Some(TensorProto { name, data_type, dims: values.dims.clone(), raw_data: raw, ..Default::default() }))
}

fn integers(tensor: &TensorProto) -> Option<Vec<i32>> {
    if !tensor.int32_data.is_empty() {
        return Some(tensor.int32_data.clone());
    }
    let raw = &tensor.raw_data;
    match DataType::try_from(tensor.data_type).ok()? {
        DataType::Int8 => Some(raw.iter().map(|&byte| i32::from(byte as i8)).collect()),
        DataType::Uint8 => Some(raw.iter().map(|&byte| i32::from(byte)).collect()),
        DataType::Int32 => {
            Some(raw.as_chunks::<4>().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect())
        }
        _ => None,
    }
}

fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_type != DataType::Float as i32 {
        return None;
    }
    if !tensor.float_data.is_empty() {
        return Some(tensor.float_data.clone());
    }
    Some(tensor.raw_data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}
