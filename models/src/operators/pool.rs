//! Maximum and average pools.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Isa, KernelError, Layout, Map, Pool as Kernel, PoolKind, Scratch, Strip};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, PaddingSpec, PoolSpec, SumPool};

use super::banded::{Banded, Reach};
use super::chain::{Found, as_map, floats};
use super::convolution::window;
use super::{Computed, Lies, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some output rows of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) kernel: Kernel,
    channels: usize,
    /// Stated padding rows of the whole.
    map_pads: [usize; 2],
    /// Windows of the last rows may reach beyond the padding.
    ceil: bool,
    shape: TVec<usize>,
    input_rows: usize,
    pads: [usize; 2],
    lies: Lies,
    isa: Isa,
}

/// Knows the engine's pools over two dimensions.
pub(super) fn find(model: &TypedModel, id: usize, _taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let (kind, spec) = if let Some(pool) = node.op_as::<MaxPool>() {
        (PoolKind::Max, &pool.pool_spec)
    } else if let Some(pool) = node.op_as::<SumPool>().filter(|pool| pool.normalize) {
        (
            if pool.count_include_pad { PoolKind::AverageWithPadding } else { PoolKind::Average },
            &pool.pool_spec,
        )
    } else {
        return Ok(None);
    };
    let (from, to) = (floats(model, node.inputs[0])?, floats(model, OutletId::new(id, 0))?);
    let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
    let (Some([channels, map_rows, width]), Some([_, rows, out_width])) = (as_map(&from), as_map(&to)) else {
        return Ok(None);
    };
    if node.outputs.len() != 1
        || node.inputs.len() != 1
        || spec.data_format.c_is_last()
        || spec.kernel_shape.len() != 2
    {
        return Ok(None);
    }
    let [row_pads, column_pads] = [0, 1].map(|axis| padding(spec, axis, [map_rows, width][axis]));
    let kernel = Kernel {
        kind,
        width,
        out_width,
        kernel: [spec.kernel_shape[0], spec.kernel_shape[1]],
        stride: [spec.stride(0), spec.stride(1)],
        dilation: [spec.dilation(0), spec.dilation(1)],
        left: column_pads[0],
        right: column_pads[1],
    };
    let reach = (kernel.kernel[0] - 1) * kernel.dilation[0];
    let last = (rows.max(1) - 1) * kernel.stride[0];
    if rows == 0 || row_pads[0] > reach || last >= map_rows + row_pads[0] {
        return Ok(None);
    }
    let operator = Pool {
        kernel,
        channels,
        map_pads: row_pads,
        ceil: matches!(spec.padding, PaddingSpec::ExplicitOnnxPool(_, _, true)),
        shape: to.into(),
        input_rows: map_rows,
        pads: row_pads,
        lies: Lies::default(),
        isa,
    };
    let inputs = tvec!(node.inputs[0]);
    Ok(Some(Found { operator: Arc::new(operator), inputs, members: vec![id] }))
}

/// Padding before and after on one axis; with rounding up what is stated, not what the last window reaches.
fn padding(spec: &PoolSpec, axis: usize, size: usize) -> [usize; 2] {
    if let PaddingSpec::ExplicitOnnxPool(before, after, _) = &spec.padding {
        return [before[axis], after[axis]];
    }
    let sizes: Vec<usize> = (0..2).map(|_| size).collect();
    let padding = &spec.computed_padding(&sizes)[axis];
    [padding.pad_before, padding.pad_after]
}

impl Operator for Pool {
    fn name(&self) -> &'static str {
        "Pool"
    }

    fn label(&self) -> (String, Kind) {
        let Kernel { kind, kernel, stride, dilation, .. } = self.kernel;
        let name = if kind == PoolKind::Max { "MaxPool" } else { "AvgPool" };
        let ceil = if self.ceil { " ceil" } else { "" };
        (format!("{name} {}{ceil}", window(kernel, stride, dilation)), Kind::Pool)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let rows = self.shape[self.shape.len() - 2];
        let [planes, width] = self.lies.input.as_planes(self.channels, self.kernel.width);
        let input = Map::new(inputs[0], planes, self.input_rows, width)?;
        let [top, bottom] = self.pads;
        let [planes, _] = self.lies.output.as_planes(self.channels, 1);
        workspace.by_rows(output, [planes, rows], 0, |rows, planes, hand| {
            let strip = Strip { input, top, bottom, rows, residual: None };
            let (ends, scratch) = (self.lies.ends(), &mut hand.scratch);
            self.kernel.run_laid_out(self.isa, &strip, ends, self.channels, planes, scratch)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let axis = self.shape.len() - 2;
        let [kernel, stride, dilation] =
            [self.kernel.kernel[0], self.kernel.stride[0], self.kernel.dilation[0]].map(|size| size as u32);
        // A pool of something that is not divided by rows stays in one piece.
        (node.feeds[0].along == Along::Rows(axis)).then(|| Split {
            along: Along::Rows(axis),
            needs: node.needs(RowMap::window(kernel, stride, dilation, self.map_pads[0] as u32)),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }

    fn suits(&self, lies: &Lies) -> bool {
        let ends = lies.ends() == [Layout::Planes; 2] || lies.input == Layout::Blocks;
        ends && lies.added == Layout::Planes
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        let takes = self.kernel.takes(self.isa, lies.ends());
        takes.then(|| Arc::new(Self { lies, ..self.clone() }) as Arc<dyn Operator>)
    }

    fn lies(&self) -> Lies {
        self.lies
    }

    fn banded(self: Arc<Self>) -> Option<Arc<dyn Banded>> {
        Some(self)
    }
}

impl Banded for Pool {
    fn reach(&self) -> Reach {
        let Kernel { kernel, stride, dilation, width, .. } = self.kernel;
        Reach {
            input: [self.channels, self.input_rows, width],
            span: (kernel[0] - 1) * dilation[0],
            stride: stride[0],
            pads: self.pads,
            odd: 0,
        }
    }

    fn run_band(
        &self,
        strip: &Strip<'_>,
        layouts: [Layout; 2],
        _channels: Range<usize>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.kernel.run_laid_out(self.isa, strip, layouts, self.channels, output, scratch)
    }
}

impl ByRows for Pool {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let Part::Held { wire, rows: held } = parts[0] else { bail!("a pool reads a map") };
        let Kernel { kernel, stride, dilation, .. } = &self.kernel;
        let first = out.start as usize * stride[0];
        let end = (out.end as usize - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1;
        let after = end.saturating_sub(held.end as usize + self.map_pads[0]);
        let mut strip = self.clone();
        strip.input_rows = held.len() as usize;
        // What a window of a ceiling pool reaches beyond the stated padding counts as nothing.
        let below = after.min(self.map_pads[1]);
        strip.pads = [(held.start as usize + self.map_pads[0]).saturating_sub(first), below];
        let axis = self.shape.len() - 2;
        strip.shape[axis] = out.len() as usize;
        Ok((wiring.own(strip, &[wire])?, out))
    }
}
