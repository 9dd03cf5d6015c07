//! Constants that a file stores as 8-bit integers with a scale become 32-bit floats once, at load.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::error::LoadError;

/// Replaces every `DequantizeLinear` whose inputs are constants by the constant it yields.
pub(super) fn fold(graph: &mut GraphProto) -> Result<(), LoadError> {
    let constants = constants(graph);
    let made: Vec<Option<TensorProto>> =
        graph.node.iter().map(|node| folded(node, &constants)).collect::<Result<_, _>>()?;
    let mut folds = made.iter().map(Option::is_some);
    graph.node.retain(|_| folds.next() == Some(false));
    graph.initializer.extend(made.into_iter().flatten());
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
