//! What is put right in a model before the engine sees it.
//!
//! Names become unique, the batch becomes one, channels of pictures come first, dequantised constants become constants, declared shapes of
//! inner tensors are dropped. Files that ask for more than one input, open sizes or other files are refused.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dim;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::Tensor;

use super::error::LoadError;
use super::{channels_last, dequantize};
use crate::source::Onnx;

/// The most values a tensor may hold: 4 GiB of floats, more than the devices in mind have.
const MOST_VALUES: i64 = 1 << 30;

/// Puts `onnx` right in place and says which shape its one input has.
pub(super) fn repair(onnx: &mut Onnx, wanted: Option<&[usize]>) -> Result<Vec<usize>, LoadError> {
    let Onnx { model: proto, large } = onnx;
    let Some(graph) = proto.graph.as_mut() else {
        return Err(LoadError::Empty { nodes: 0, outputs: 0 });
    };
    if graph.node.is_empty() || graph.output.is_empty() {
        return Err(LoadError::Empty { nodes: graph.node.len(), outputs: graph.output.len() });
    }
    check_initializers(graph, large)?;
    proto.ir_version = proto.ir_version.max(4);
    graph.value_info.clear();
    drop_initialized_inputs(graph);
    let shape = fix_input(graph, wanted)?;
    let shape = channels_last::to_front(graph, shape);
    give_names(graph);
    dequantize::fold(graph, large)?;
    Ok(shape)
}

/// Refuses weights in other files and weights whose values do not fit their shape.
fn check_initializers(graph: &GraphProto, large: &HashMap<String, Tensor>) -> Result<(), LoadError> {
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    for tensor in graph.initializer.iter().chain(attributes.filter_map(|attribute| attribute.t.as_ref())) {
        let external = tensor.data_location == Some(DataLocation::External as i32);
        if external || !tensor.external_data.is_empty() {
            return Err(LoadError::ExternalData { tensor: tensor.name.clone() });
        }
        let absurd = || LoadError::Absurd { tensor: tensor.name.clone(), shape: tensor.dims.clone() };
        let values = volume(&tensor.dims).ok_or_else(absurd)?;
        let apart = large.get(&tensor.name).map(|tensor| tensor.len() as i64);
        if apart.or_else(|| values_given(tensor)).is_some_and(|given| given != values) {
            return Err(absurd());
        }
    }
    Ok(())
}

fn volume(dims: &[i64]) -> Option<i64> {
    let volume =
        dims.iter().try_fold(1i64, |volume, &dim| if dim < 0 { None } else { volume.checked_mul(dim) })?;
    (volume <= MOST_VALUES).then_some(volume)
}

/// How many values a tensor carries, for the types whose size is plain.
fn values_given(tensor: &TensorProto) -> Option<i64> {
    let size = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
        _ => return None,
    };
    let listed = tensor.float_data.len()
        + tensor.int32_data.len()
        + tensor.int64_data.len()
        + tensor.double_data.len()
        + tensor.uint64_data.len();
    Some(if listed > 0 { listed as i64 } else { tensor.raw_data.len() as i64 / size })
}

/// Old files list every weight as an input too; what has a value is none.
fn drop_initialized_inputs(graph: &mut GraphProto) {
    let known: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph.input.retain(|input| !known.contains(input.name.as_str()));
}

/// Finds the one input, fixes its batch to one and its sizes to `wanted`, and returns its shape.
fn fix_input(graph: &mut GraphProto, wanted: Option<&[usize]>) -> Result<Vec<usize>, LoadError> {
    let [input] = graph.input.as_mut_slice() else {
        let inputs = graph.input.iter().map(|input| input.name.clone()).collect();
        return Err(LoadError::SeveralInputs { inputs });
    };
    let dims = dims(input);
    let shape = shape_text(&dims);
    if dims.len() != 4 {
        return Err(LoadError::NotAMap { input: input.name.clone(), shape });
    }
    let Some(Type::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Err(LoadError::NotAMap { input: input.name.clone(), shape });
    };
    if tensor.elem_type != DataType::Float as i32 {
        let found = DataType::try_from(tensor.elem_type).map_or("unknown values", |kind| kind.as_str_name());
        return Err(LoadError::NotFloat { input: input.name.clone(), found: found.to_lowercase() });
    }
    let fixed = sizes(&dims, wanted).map_err(|wrong| match wrong {
        Some(given) => LoadError::WrongSize { input: input.name.clone(), expected: shape.clone(), given },
        None => LoadError::OpenSize { input: input.name.clone(), shape: shape.clone() },
    })?;
    let signed: Vec<i64> = fixed.iter().map(|&size| size as i64).collect();
    if volume(&signed).is_none_or(|volume| volume == 0) {
        return Err(LoadError::Absurd { tensor: input.name.clone(), shape: signed });
    }
    set_dims(input, &fixed);
    Ok(fixed)
}

/// States the shape of an input.
pub(super) fn set_dims(input: &mut ValueInfoProto, shape: &[usize]) {
    let dim = |&size: &usize| Dimension { value: Some(Dim::DimValue(size as i64)), ..Dimension::default() };
    if let Some(Type::TensorType(tensor)) = input.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
        tensor.shape.get_or_insert_default().dim = shape.iter().map(dim).collect();
    }
}

/// The input's sizes, `None` where they are open.
fn dims(input: &ValueInfoProto) -> Vec<Option<i64>> {
    let Some(Type::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Vec::new();
    };
    let size = |dim: &Dimension| match &dim.value {
        Some(Dim::DimValue(size)) if *size > 0 => Some(*size),
        _ => None,
    };
    tensor.shape.iter().flat_map(|shape| &shape.dim).map(size).collect()
}

fn shape_text(dims: &[Option<i64>]) -> String {
    let text = |dim: &Option<i64>| dim.map_or("?".to_owned(), |size| size.to_string());
    dims.iter().map(text).collect::<Vec<_>>().join("×")
}

/// Batch one, and every open size from `wanted`. Fails with what was wanted if that contradicts, with
/// nothing if a size stays open.
fn sizes(dims: &[Option<i64>], wanted: Option<&[usize]>) -> Result<Vec<usize>, Option<Vec<usize>>> {
    let Some(wanted) = wanted else {
        let rest = dims[1..].iter().map(|dim| dim.map(|size| size as usize));
        return std::iter::once(Some(1)).chain(rest).collect::<Option<_>>().ok_or(None);
    };
    let fits = |(dim, &size): (&Option<i64>, &usize)| dim.is_none_or(|dim| dim == size as i64) && size > 0;
    let same = wanted.len() == dims.len() && wanted[0] == 1 && dims[1..].iter().zip(&wanted[1..]).all(fits);
    if same { Ok(wanted.to_vec()) } else { Err(Some(wanted.to_vec())) }
}

/// Gives every node a name of its own.
fn give_names(graph: &mut GraphProto) {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (index, node) in graph.node.iter_mut().enumerate() {
        if node.name.is_empty() {
            node.name = format!("{}_{index}", node.op_type);
        }
        let uses = taken.entry(node.name.clone()).or_default();
        *uses += 1;
        if *uses > 1 {
            node.name = format!("{}_{index}_{uses}", node.name);
        }
    }
}

/// Names the first operator that the engine lacks.
pub(super) fn check_operators(
    graph: &GraphProto,
    known: impl Fn(&NodeProto) -> bool,
) -> Result<(), LoadError> {
    match graph.node.iter().find(|node| !known(node)) {
        Some(node) => Err(LoadError::Operator { op: node.op_type.clone(), node: node.name.clone() }),
        None => Ok(()),
    }
}
