//! Convolutions as the engine's graph has them: its own operator, or a product with the strides before it.

use collab_kernels::ConvShape;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::KernelFormat;
use tract_onnx::tract_core::ops::downsample::Downsample;

use crate::operators::chain::{as_map, constant_weights, floats};

/// A convolution as the engine's graph has it.
pub(super) struct Layer {
    pub(super) input: OutletId,
    /// Nodes it stands for, in order; the last one yields the sums.
    pub(super) members: Vec<usize>,
    pub(super) shape: ConvShape,
    /// Rows of zeros above and below.
    pub(super) pads: [usize; 2],
    pub(super) input_rows: usize,
    /// Out channels × in channels of a group × kernel.
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Layer {
    /// The convolution that node `id` yields, if it is one with constant weights.
    pub(super) fn at(model: &TypedModel, id: usize, taken: &[bool]) -> TractResult<Option<Self>> {
        Ok(match convolution(model, id)? {
            Some(layer) => Some(layer),
            None => pointwise(model, id, taken)?,
        })
    }
}

/// The engine's own operator.
fn convolution(model: &TypedModel, id: usize) -> TractResult<Option<Layer>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<tract_onnx::tract_core::ops::cnn::Conv>() else { return Ok(None) };
    let spec = &op.pool_spec;
    let [data, kernel, bias] = *node.inputs else { return Ok(None) };
    let Some([channels, input_rows, width]) = floats(model, data)?.as_deref().and_then(as_map) else {
        return Ok(None);
    };
    let plain = op.q_params.is_none()
        && op.kernel_fmt == KernelFormat::OIHW
        && !spec.data_format.c_is_last()
        && spec.kernel_shape.len() == 2
        && channels == spec.input_channels;
    let (Some(kernel), Some(bias)) = (&model.outlet_fact(kernel)?.konst, &model.outlet_fact(bias)?.konst)
    else {
        return Ok(None);
    };
    if !plain || kernel.datum_type() != f32::datum_type() || bias.datum_type() != f32::datum_type() {
        return Ok(None);
    }
    let padding = spec.computed_padding(&[input_rows, width]);
    let shape = ConvShape {
        in_channels: channels,
        out_channels: spec.output_channels,
        groups: op.group,
        width,
        kernel: [spec.kernel_shape[0], spec.kernel_shape[1]],
        stride: [spec.stride(0), spec.stride(1)],
        dilation: [spec.dilation(0), spec.dilation(1)],
        left: padding[1].pad_before,
        right: padding[1].pad_after,
    };
    let bias = bias.try_as_plain_ram()?.as_slice::<f32>()?;
    let bias = if bias.len() == 1 { vec![bias[0]; shape.out_channels] } else { bias.to_vec() };
    Ok(Some(Layer {
        input: data,
        members: vec![id],
        shape,
        pads: [padding[0].pad_before, padding[0].pad_after],
        input_rows,
        weights: kernel.try_as_plain_ram()?.as_slice::<f32>()?.to_vec(),
        bias,
    }))
}

/// A product of a map's channels with constant weights, and the strides before it. The channels may be several axes: the
/// engine sums over groups and their channels where they were shuffled before.
fn pointwise(model: &TypedModel, id: usize, taken: &[bool]) -> TractResult<Option<Layer>> {
    let node = model.node(id);
    let Some((op, slot, weights)) = constant_weights(model, id)? else { return Ok(None) };
    let mut input = node.inputs[1 - slot];
    let (Some(from), Some(to)) = (floats(model, input)?, floats(model, OutletId::new(id, 0))?) else {
        return Ok(None);
    };
    let (Some(channels), Some([out_channels, _, _])) = (planes(&from), as_map(&to)) else {
        return Ok(None);
    };
    if weights.len() != channels * out_channels {
        return Ok(None);
    }
    // Counted from the end, axes of a map are width, rows, channels, whether there is a batch of one or not.
    let mut out_axis = None;
    let mut in_axes = Vec::new();
    for axis in op.axes.iter_all_axes() {
        let place = |places: &[usize], rank: usize| places.first().map(|&place| rank - place);
        let data = place(&axis.inputs[1 - slot], from.len());
        let weight = axis.inputs[slot].first().copied();
        let output = place(&axis.outputs[0], to.len());
        let size = weight.map_or(1, |place| weights.shape()[place]);
        match (data, weight, output) {
            (Some(1), None, Some(1)) | (Some(2), None, Some(2)) => {}
            (Some(channel @ 3..), Some(place), None) => in_axes.push((channel, place)),
            (None, Some(place), Some(3)) => out_axis = Some(place),
            // Batches of one, on any side.
            (None | Some(4..), _, None | Some(4)) if size == 1 => {}
            _ => return Ok(None),
        }
    }
    // The outermost first, as they lie in memory.
    in_axes.sort_unstable_by(|a, b| b.cmp(a));
    let sizes = in_axes.iter().map(|&(_, place)| weights.shape()[place]);
    let (Some(out_axis), true) = (out_axis, sizes.product::<usize>() == channels) else { return Ok(None) };
    let mut order = vec![out_axis];
    order.extend(in_axes.iter().map(|&(_, place)| place));
    order.extend((0..weights.rank()).filter(|place| !order.contains(place)).collect::<Vec<_>>());
    let weights = weights.as_ref().clone().permute_axes(&order)?;
    let mut members = vec![id];
    let mut stride = [1, 1];
    while let Some((axis, step)) = stride_before(model, input, taken)? {
        if stride[axis] != 1 {
            break;
        }
        stride[axis] = step;
        members.insert(0, input.node);
        input = model.node(input.node).inputs[0];
    }
    let Some(&[.., input_rows, width]) = floats(model, input)?.as_deref() else { return Ok(None) };
    let shape = ConvShape {
        in_channels: channels,
        out_channels,
        groups: 1,
        width,
        kernel: [1, 1],
        stride,
        dilation: [1, 1],
        left: 0,
        right: 0,
    };
    let weights = weights.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
    Ok(Some(Layer { input, members, shape, pads: [0, 0], input_rows, weights, bias: Vec::new() }))
}

/// The rows × columns that lie one behind the other in a map of this shape, if it is one.
fn planes(shape: &[usize]) -> Option<usize> {
    shape.len().checked_sub(2).filter(|&axes| axes > 0).map(|axes| shape[..axes].iter().product())
}

/// The step that a stride makes over rows (0) or columns (1), if it yields `outlet` for one reader alone.
fn stride_before(
    model: &TypedModel,
    outlet: OutletId,
    taken: &[bool],
) -> TractResult<Option<(usize, usize)>> {
    let node = model.node(outlet.node);
    let Some(op) = node.op_as::<Downsample>() else { return Ok(None) };
    let alone = node.outputs[0].successors.len() == 1 && !model.outputs.contains(&outlet);
    if !alone || taken[outlet.node] || op.modulo != 0 || op.stride < 1 {
        return Ok(None);
    }
    let rank = node.outputs[0].fact.shape.rank();
    Ok(match rank - op.axis {
        2 => Some((0, op.stride as usize)),
        1 => Some((1, op.stride as usize)),
        _ => None,
    })
}
