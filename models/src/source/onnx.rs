//! A network as ONNX describes it, its large constants apart: each is in memory once, as the engine will read it.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};
use tract_onnx::prelude::*;

/// Bytes from which on a constant is large. No scale, shape or slope is, only weights are.
pub(crate) const LARGE: usize = 1 << 20;

/// A model of the ONNX format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Onnx {
    /// All of it; the values of the large initialisers are left out.
    pub(crate) model: ModelProto,
    /// Those values, by name.
    pub(crate) large: HashMap<String, Tensor>,
}

impl From<ModelProto> for Onnx {
    /// Takes the large constants out, one after the other.
    fn from(mut model: ModelProto) -> Self {
        let mut large = HashMap::new();
        for constant in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
            *constant = apart(std::mem::take(constant), &mut large);
        }
        Self { model, large }
    }
}

/// A constant whose values, if they are large, went to `large`.
pub(crate) fn apart(mut constant: TensorProto, large: &mut HashMap<String, Tensor>) -> TensorProto {
    let Some(mut tensor) = room(&constant, constant.raw_data.len()) else { return constant };
    let values = constant.raw_data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    if fill(&mut tensor, values).is_ok() {
        constant.raw_data = Vec::new();
        large.insert(constant.name.clone(), tensor);
    }
    constant
}

impl Onnx {
    /// The model with all its values, as other programs expect it.
    pub fn whole(mut self) -> ModelProto {
        for constant in self.model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
            if let Some(tensor) = self.large.remove(&constant.name) {
                constant.raw_data = floats(&tensor).iter().flat_map(|value| value.to_le_bytes()).collect();
            }
        }
        self.model
    }

    /// Its graph.
    pub(crate) fn graph(&self) -> Option<&GraphProto> {
        self.model.graph.as_ref()
    }
}

/// A tensor for the `bytes` raw bytes of a constant, if they are large, floats, and as many as its shape says.
pub(super) fn room(constant: &TensorProto, bytes: usize) -> Option<Tensor> {
    let shape: Vec<usize> =
        constant.dims.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    let fits = constant.data_type == DataType::Float as i32 && count.checked_mul(4) == Some(bytes);
    if bytes < LARGE || !fits {
        return None;
    }
    Tensor::zero::<f32>(&shape).ok()
}

/// Writes `values` into a tensor of 32-bit floats.
pub(crate) fn fill(tensor: &mut Tensor, values: impl Iterator<Item = f32>) -> TractResult<()> {
    let mut view = tensor.try_as_plain_ram_mut()?;
    view.as_slice_mut::<f32>()?.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
    Ok(())
}

/// What a tensor of 32-bit floats holds.
pub(crate) fn floats(tensor: &Tensor) -> &[f32] {
    // Only floats in plain memory are ever made here.
    tensor.try_as_plain_ram().and_then(|view| view.as_slice::<f32>()).unwrap_or_default()
}
