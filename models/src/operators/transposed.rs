//! Transposed convolutions: an input row writes a window of output rows.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Isa, Map, Transposed as Kernel, TransposedShape, TransposedStrip};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Deconv, KernelFormat};

use super::chain::{Found, as_map, floats};
use super::convolution::window;
use super::fold::Folded;
use super::{Computed, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some output rows of one transposed convolution.
#[derive(Clone, Debug)]
pub(crate) struct Transposed {
    pub(crate) kernel: Kernel,
    /// Rows cut off above the full output.
    crop: usize,
    shape: TVec<usize>,
    input_rows: usize,
    /// Output rows to compute, numbered from where the first input row at hand begins.
    rows: Range<usize>,
    residual: bool,
}

/// Knows transposed convolutions with constant weights and no dilation.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<Deconv>() else { return Ok(None) };
    let spec = &op.pool_spec;
    let [data, kernel, bias] = *node.inputs else { return Ok(None) };
    let (from, to) = (floats(model, data)?, floats(model, OutletId::new(id, 0))?);
    let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
    let (Some([channels, input_rows, width]), Some([out_channels, rows, out_width])) =
        (as_map(&from), as_map(&to))
    else {
        return Ok(None);
    };
    let plain = op.kernel_format == KernelFormat::OIHW
        && !spec.data_format.c_is_last()
        && spec.kernel_shape.len() == 2
        && spec.dilations().iter().all(|&dilation| dilation == 1);
    let (Some(kernel), Some(bias)) = (&model.outlet_fact(kernel)?.konst, &model.outlet_fact(bias)?.konst)
    else {
        return Ok(None);
    };
    if !plain || kernel.datum_type() != f32::datum_type() || bias.datum_type() != f32::datum_type() {
        return Ok(None);
    }
    let padding = spec.padding.compute_for_deconv(
        &[input_rows, width],
        &spec.kernel_shape,
        &spec.dilations(),
        &spec.strides(),
        &op.adjustments,
    )?;
    let shape = TransposedShape {
        in_channels: channels,
        out_channels,
        groups: op.group,
        width,
        kernel: [spec.kernel_shape[0], spec.kernel_shape[1]],
        stride: [spec.stride(0), spec.stride(1)],
        left: padding[1].pad_before,
        out_width,
    };
    let folded = Folded::after(model, id, to.len() - 3, taken)?;
    let bias = bias.try_as_plain_ram()?.as_slice::<f32>()?;
    let epilogue = folded.epilogue(|channel| bias[if bias.len() == 1 { 0 } else { channel }]);
    let weights = weights(&shape, kernel.try_as_plain_ram()?.as_slice::<f32>()?, &folded.scale);
    let crop = padding[0].pad_before;
    let operator = Transposed {
        kernel: Kernel::new(shape, &weights, epilogue, isa)?,
        crop,
        shape: to.into(),
        input_rows,
        rows: crop..crop + rows,
        residual: folded.residual.is_some(),
    };
    let inputs = std::iter::once(data).chain(folded.residual).collect();
    let members = std::iter::once(id).chain(folded.members).collect();
    Ok(Some(Found { operator: Arc::new(operator), inputs, members }))
}

/// Scaled weights, from out channels × in channels of a group × kernel to in channels × out channels of a group ×
/// kernel.
fn weights(shape: &TransposedShape, weights: &[f32], scale: &[f64]) -> Vec<f32> {
    let taps = shape.kernel[0] * shape.kernel[1];
    let (inside, outside) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let mut turned = Vec::with_capacity(weights.len());
    for from in 0..shape.in_channels {
        for to in 0..outside {
            let channel = from / inside * outside + to;
            let kernel = &weights[(channel * inside + from % inside) * taps..][..taps];
            turned.extend(kernel.iter().map(|&weight| (f64::from(weight) * scale[channel]) as f32));
        }
    }
    turned
}

impl Operator for Transposed {
    fn name(&self) -> &'static str {
        "Transposed"
    }

    fn label(&self) -> (String, Kind) {
        let shape = self.kernel.shape();
        let add = if self.residual { " + add" } else { "" };
        (format!("ConvT {}{add}", window(shape.kernel, shape.stride, [1, 1])), Kind::Transposed)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn macs(&self) -> u64 {
        let shape = self.kernel.shape();
        let taps = (shape.kernel[0] * shape.kernel[1]) as u64;
        let pixels = (self.input_rows * shape.width) as u64;
        pixels * (shape.in_channels * shape.out_channels / shape.groups) as u64 * taps
    }

    fn weights(&self) -> u64 {
        let shape = self.kernel.shape();
        let values =
            shape.in_channels * shape.out_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
        (values + shape.out_channels) as u64
    }

    fn kept(&self) -> u64 {
        self.kernel.weight_bytes() as u64
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let shape = self.kernel.shape();
        let residual = match self.residual {
            true => Some(Map::new(inputs[1], shape.out_channels, self.rows.len(), shape.out_width)?),
            false => None,
        };
        let input = Map::new(inputs[0], shape.in_channels, self.input_rows, shape.width)?;
        let size = [shape.out_channels, self.rows.len()];
        workspace.by_rows(output, size, self.macs(), |part, planes, hand| {
            let residual = residual.map(|map| map.rows_between(part.start, part.end));
            let rows = self.rows.start + part.start..self.rows.start + part.end;
            self.kernel.run_planes(&TransposedStrip { input, rows, residual }, planes, &mut hand.scratch)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let shape = self.kernel.shape();
        let axis = self.shape.len() - 2;
        let feed = &node.feeds[0];
        if feed.along != Along::Rows(feed.shape.len() - 2) {
            return None;
        }
        let mut map = RowMap::transposed(shape.kernel[0] as u32, shape.stride[0] as u32, 1, self.crop as u32);
        // Where windows leave gaps, a gap's rows still need the input row before it to know where they are.
        map.lo = map.lo.min(self.crop as i32);
        let mut needs = vec![map];
        needs.extend(node.feeds.get(1).map(super::residual_need));
        Some(Split {
            along: Along::Rows(axis),
            needs,
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }
}

impl ByRows for Transposed {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let Part::Held { wire, rows: held } = parts[0] else { bail!("a transposed convolution reads a map") };
        let axis = self.shape.len() - 2;
        let mut feeds = tvec!(wire);
        if let Some(residual) = parts.get(1) {
            let wire = wiring.part(residual)?;
            feeds.push(wiring.narrow(wire, axis, out)?);
        }
        let begins = held.start as usize * self.kernel.shape().stride[0];
        let mut strip = self.clone();
        strip.input_rows = held.len() as usize;
        strip.rows = out.start as usize + self.crop - begins..out.end as usize + self.crop - begins;
        strip.shape[axis] = out.len() as usize;
        Ok((wiring.own(strip, &feeds)?, out))
    }
}
