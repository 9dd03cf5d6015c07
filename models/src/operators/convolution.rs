//! Convolutions: k×k, depthwise and grouped ones, and the products that 1×1 convolutions become.
//!
//! The algorithm is chosen by the layer's shape ([`Algorithm::choose`]), never by the number of rows. What a
//! window touches beyond the map is the strip's own padding, so every value is the same sum in the same order.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Algorithm, Conv, ConvShape, Isa, KernelError, Map, Strip};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::KernelFormat;
use tract_onnx::tract_core::ops::downsample::Downsample;
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::chain::{Found, as_map, floats};
use super::fold::{Folded, only_reader};
use super::{Operator, Own, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some output rows of one convolution.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    /// The layer, with its packed weights.
    pub(crate) conv: Conv,
    whole: Whole,
    /// Output shape of these rows.
    shape: TVec<usize>,
    /// Input rows at hand, and rows of zeros above and below them.
    input_rows: usize,
    pads: [usize; 2],
    /// Output rows to compute, of those that the above gives.
    rows: Range<usize>,
    /// Whether a second input is added.
    residual: bool,
    /// Where the plane of each channel lies in the output, if not in order (see [`shuffle`]).
    places: Arc<[usize]>,
}

/// The layer along its rows.
#[derive(Clone, Copy, Debug)]
struct Whole {
    input_rows: usize,
    rows: usize,
    pads: [usize; 2],
}

/// A convolution as the engine's graph has it.
struct Layer {
    input: OutletId,
    /// Nodes it stands for, in order; the last one yields the sums.
    members: Vec<usize>,
    shape: ConvShape,
    /// Rows of zeros above and below.
    pads: [usize; 2],
    input_rows: usize,
    /// Out channels × in channels of a group × kernel.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Knows convolutions with constant weights, also in the form of products.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let layer = match convolution(model, id)? {
        Some(layer) => Some(layer),
        None => pointwise(model, id, taken)?,
    };
    let Some(mut layer) = layer else { return Ok(None) };
    let Some(output) = floats(model, OutletId::new(id, 0))? else { return Ok(None) };
    let rows = layer.shape.out_rows(layer.input_rows, layer.pads[0], layer.pads[1]);
    let expected = [layer.shape.out_channels, rows, layer.shape.out_width()];
    if as_map(&output) != Some(expected) || rows == 0 || layer.shape.out_width() == 0 {
        return Ok(None);
    }
    // One output pixel is a dense layer, which is divided by its features and not by rows.
    if expected[1..] == [1, 1] && layer.shape.groups == 1 {
        return Ok(None);
    }
    let reach = (layer.shape.kernel[0] - 1) * layer.shape.dilation[0];
    let last = (rows - 1) * layer.shape.stride[0];
    // Where a window lies in the padding altogether, no input row can stand in for it.
    if layer.pads[0] > reach || last >= layer.input_rows + layer.pads[0] {
        return Ok(None);
    }
    let folded = Folded::after(model, id, output.len() - 3, taken)?;
    let last = folded.members.last().copied().unwrap_or(id);
    let (shuffled, places) = match folded.residual {
        None => shuffle(model, last, taken)?.unwrap_or_default(),
        Some(_) => Default::default(),
    };
    let depth = layer.shape.depth();
    for (weights, &scale) in layer.weights.chunks_exact_mut(depth).zip(&folded.scale) {
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
    }
    let epilogue = folded.epilogue(|channel| layer.bias.get(channel).copied().unwrap_or(0.0));
    let algorithm = Algorithm::choose(&layer.shape);
    let whole = Whole { input_rows: layer.input_rows, rows, pads: layer.pads };
    let operator = Convolution {
        conv: Conv::new(layer.shape, &layer.weights, epilogue, algorithm, isa)?,
        whole,
        shape: output.into(),
        input_rows: whole.input_rows,
        pads: whole.pads,
        rows: 0..whole.rows,
        residual: folded.residual.is_some(),
        places: places.into(),
    };
    let inputs = std::iter::once(layer.input).chain(folded.residual).collect();
    layer.members.extend(folded.members);
    layer.members.extend(shuffled);
    Ok(Some(Found { operator: Arc::new(operator), inputs, members: layer.members, named: id }))
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

/// A product of a map's channels with constant weights, and the strides before it.
fn pointwise(model: &TypedModel, id: usize, taken: &[bool]) -> TractResult<Option<Layer>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<EinSum>().filter(|op| op.q_params.is_none()) else { return Ok(None) };
    let [left, right] = *node.inputs else { return Ok(None) };
    let konst = |outlet| model.outlet_fact(outlet).map(|fact| fact.konst.clone());
    let (slot, weights) = match (konst(left)?, konst(right)?) {
        (Some(weights), None) => (0, weights),
        (None, Some(weights)) => (1, weights),
        _ => return Ok(None),
    };
    let mut input = node.inputs[1 - slot];
    let (Some(from), Some(to)) = (floats(model, input)?, floats(model, OutletId::new(id, 0))?) else {
        return Ok(None);
    };
    let (Some([channels, _, _]), Some([out_channels, _, _])) = (as_map(&from), as_map(&to)) else {
        return Ok(None);
    };
    if weights.datum_type() != f32::datum_type() || weights.len() != channels * out_channels {
        return Ok(None);
    }
    // Counted from the end, axes of a map are width, rows, channels, whether there is a batch of one or not.
    let mut weight_axes = [None; 2];
    for axis in op.axes.iter_all_axes() {
        let place = |places: &[usize], rank: usize| places.first().map(|&place| rank - place);
        let data = place(&axis.inputs[1 - slot], from.len());
        let weight = axis.inputs[slot].first().copied();
        let output = place(&axis.outputs[0], to.len());
        let size = weight.map_or(1, |place| weights.shape()[place]);
        match (data, weight, output) {
            (Some(1), None, Some(1)) | (Some(2), None, Some(2)) => {}
            (Some(3), Some(place), None) => weight_axes[1] = Some(place),
            (None, Some(place), Some(3)) => weight_axes[0] = Some(place),
            // Batches of one, on any side.
            (None | Some(4), _, None | Some(4)) if size == 1 => {}
            _ => return Ok(None),
        }
    }
    let [Some(out_axis), Some(in_axis)] = weight_axes else { return Ok(None) };
    let others = (0..weights.rank()).filter(|place| ![out_axis, in_axis].contains(place));
    let order: Vec<usize> = [out_axis, in_axis].into_iter().chain(others).collect();
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
    let Some([_, input_rows, width]) = floats(model, input)?.as_deref().and_then(as_map) else {
        return Ok(None);
    };
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

/// A shuffle of the channels that node `last` yields, as its only readers do it: split in groups, the two axes
/// swapped, merged again. Its nodes, and where each channel goes.
fn shuffle(model: &TypedModel, last: usize, taken: &[bool]) -> TractResult<Option<(Vec<usize>, Vec<usize>)>> {
    let mut members = vec![last];
    let mut ops = Vec::new();
    for _ in 0..3 {
        let next = only_reader(model, members[members.len() - 1]).filter(|next| !taken[next.node]);
        let Some(next) = next else { return Ok(None) };
        let Some(op) = model.node(next.node).op_as::<AxisOp>() else { return Ok(None) };
        members.push(next.node);
        ops.push(op);
    }
    let [AxisOp::Reshape(at, _, split), AxisOp::Move(from, to), AxisOp::Reshape(back, _, merged)] = &ops[..]
    else {
        return Ok(None);
    };
    let swapped = [(*at, at + 1), (at + 1, *at)].contains(&(*from, *to));
    let channels = model.node(last).outputs[0].fact.shape.rank().checked_sub(3);
    let ([groups, each], [all]) = (&split[..], &merged[..]) else { return Ok(None) };
    if !swapped || at != back || Some(*at) != channels {
        return Ok(None);
    }
    let (groups, each, all) = (groups.to_usize()?, each.to_usize()?, all.to_usize()?);
    if groups * each != all {
        return Ok(None);
    }
    members.remove(0);
    Ok(Some((members, (0..all).map(|channel| channel % each * groups + channel / each).collect())))
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

impl Operator for Convolution {
    fn name(&self) -> &'static str {
        "Convolution"
    }

    fn label(&self) -> (String, Kind) {
        let shape = self.conv.shape();
        let mut text = window(shape.kernel, shape.stride, shape.dilation);
        let kind = match shape {
            _ if shape.groups > 1 && shape.groups == shape.in_channels => Kind::Depthwise,
            _ if shape.groups > 1 => Kind::Grouped,
            _ if shape.kernel == [1, 1] => Kind::Pointwise,
            _ => Kind::Conv,
        };
        text = match kind {
            Kind::Depthwise => format!("Conv dw {text}"),
            Kind::Grouped => format!("Conv {text} g{}", shape.groups),
            _ => format!("Conv {text}"),
        };
        if self.residual {
            text.push_str(" + add");
        }
        (text, kind)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn macs(&self) -> u64 {
        (self.conv.shape().macs_per_row() * self.rows.len()) as u64
    }

    fn weights(&self) -> u64 {
        let shape = self.conv.shape();
        (shape.weights() + shape.out_channels) as u64
    }

    fn kept(&self) -> (u64, u64) {
        (0, self.conv.weight_bytes() as u64)
    }

    fn run(
        &self,
        inputs: &[&[f32]],
        output: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<(), KernelError> {
        let shape = self.conv.shape();
        let count = self.rows.len();
        let residual = match self.residual {
            true => Some(Map::new(inputs[1], shape.out_channels, count, shape.out_width())?),
            false => None,
        };
        let input = Map::new(inputs[0], shape.in_channels, self.input_rows, shape.width)?;
        let [top, bottom] = self.pads;
        let strip = Strip { input, top, bottom, rows: self.rows.clone(), residual };
        let shares = |threads| self.conv.shares(count, threads);
        let (size, macs) = ([shape.out_channels, count], self.macs());
        workspace.by_shares(output, size, &self.places, macs, shares, |share, planes, scratch| {
            self.conv.run_share(&strip, share, planes, scratch)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let (shape, feed) = (self.conv.shape(), &node.feeds[0]);
        let tracked = feed.along == Along::Rows(feed.shape.len() - 2);
        let map = match tracked {
            true => {
                let [kernel, stride, dilation] =
                    [shape.kernel[0], shape.stride[0], shape.dilation[0]].map(|size| size as u32);
                RowMap::window(kernel, stride, dilation, self.whole.pads[0] as u32)
            }
            false => feed.whole(),
        };
        let mut needs = vec![map];
        needs.extend(node.feeds.get(1).map(super::residual_need));
        Some(Split {
            along: Along::Rows(self.shape.len() - 2),
            needs,
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(Divided { all: self.clone(), tracked }),
        })
    }
}

/// A convolution divided by rows.
#[derive(Debug)]
struct Divided {
    all: Convolution,
    /// Whether strips are given the input rows that they need; otherwise all of them.
    tracked: bool,
}

impl ByRows for Divided {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let (shape, whole) = (self.all.conv.shape(), self.all.whole);
        let mut feeds = tvec!(wiring.part(&parts[0])?);
        if let Some(residual) = parts.get(1) {
            let wire = wiring.part(residual)?;
            feeds.push(wiring.narrow(wire, self.all.shape.len() - 2, out)?);
        }
        let mut strip = self.all.clone();
        strip.rows = out.start as usize..out.end as usize;
        if let (true, Part::Held { rows: held, .. }) = (self.tracked, &parts[0]) {
            let first = out.start as usize * shape.stride[0];
            let reach = (shape.kernel[0] - 1) * shape.dilation[0];
            let end = (out.end as usize - 1) * shape.stride[0] + reach + 1;
            let top = (held.start as usize + whole.pads[0]).saturating_sub(first);
            strip.pads = [top, end.saturating_sub(held.end as usize + whole.pads[0])];
            strip.input_rows = held.len() as usize;
            strip.rows = 0..out.len() as usize;
        }
        let axis = strip.shape.len() - 2;
        strip.shape[axis] = out.len() as usize;
        Ok((wiring.op(Box::new(Own::new(strip)), &feeds)?, out))
    }
}

/// Kernel, stride and dilation of a window: `3×3 s2 d2`.
pub(super) fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> String {
    let mut text = format!("{}×{}", kernel[0], kernel[1]);
    for (letter, sizes) in [('s', stride), ('d', dilation)] {
        match sizes {
            [1, 1] => {}
            [rows, columns] if rows == columns => text.push_str(&format!(" {letter}{rows}")),
            [rows, columns] => text.push_str(&format!(" {letter}{rows}×{columns}")),
        }
    }
    text
}
