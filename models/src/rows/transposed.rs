//! Transposed convolutions: an input row writes a window of output rows.
//!
//! A strip computes all that its input rows write and crops it to the rows it owns.

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Deconv, PaddingSpec, PoolSpec};

use super::window::spatial_axis;
use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// One transposed convolution, along the divided axis.
#[derive(Debug)]
struct Transposed {
    op: Deconv,
    spatial: usize,
    /// The map whose rows it reads.
    input_rows: usize,
    /// Output rows of the whole.
    rows: usize,
    /// What the whole crops before and after, on every spatial axis.
    crops: (TVec<usize>, TVec<usize>),
    given_whole: bool,
}

/// Knows transposed convolutions with constant weights.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<Deconv>()?;
    let (index, feed) = node.only_feed()?;
    if index != 0 {
        return None;
    }
    let spec = &op.pool_spec;
    let shape = spec.data_format.shape(feed.shape.as_slice()).ok()?;
    let (axis, tracked) = spatial_axis(feed, shape.h_axis(), spec.rank());
    let spatial = axis - shape.h_axis();
    let padding = spec
        .padding
        .compute_for_deconv(
            shape.hw_dims(),
            &spec.kernel_shape,
            &spec.dilations(),
            &spec.strides(),
            &op.adjustments,
        )
        .ok()?;
    let (kernel, stride) = (spec.kernel_shape[spatial] as u32, spec.stride(spatial) as u32);
    let mut map =
        RowMap::transposed(kernel, stride, spec.dilation(spatial) as u32, padding[spatial].pad_before as u32);
    // Where windows leave gaps, a gap's rows still need the input row before it to know where they are.
    map.lo = map.lo.min(padding[spatial].pad_before as i32);
    if !tracked {
        map = feed.whole();
    }
    let crops = (
        padding.iter().map(|pad| pad.pad_before).collect(),
        padding.iter().map(|pad| pad.pad_after).collect(),
    );
    let by = Transposed {
        op: op.clone(),
        spatial,
        input_rows: feed.shape[axis],
        rows: node.shape[axis],
        crops,
        given_whole: !tracked,
    };
    Some(Split {
        along: Along::Rows(axis),
        needs: node.needs(map),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(by),
    })
}

impl ByRows for Transposed {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let feeds = wiring.parts(parts)?;
        let (mut held, mut made) = (parts.first().map_or(Rows::EMPTY, Part::rows), out);
        if self.given_whole {
            held = Rows::all(self.input_rows as u32);
            made = Rows::all(self.rows as u32);
        }
        let spec = &self.op.pool_spec;
        let stride = spec.stride(self.spatial);
        let reach = (spec.kernel_shape[self.spatial] - 1) * spec.dilation(self.spatial);
        let first = made.start as usize + self.crops.0[self.spatial];
        let end = made.end as usize + self.crops.0[self.spatial];
        let written = held.start as usize * stride..(held.end as usize - 1) * stride + reach + 1;
        let (mut befores, mut afters) = self.crops.clone();
        let mut adjustments = self.op.adjustments.clone();
        befores[self.spatial] = first - written.start;
        afters[self.spatial] = written.end.saturating_sub(end);
        adjustments[self.spatial] = end.saturating_sub(written.end);
        let padding = PaddingSpec::Explicit(befores, afters);
        let pool_spec = PoolSpec { padding, ..spec.clone() };
        let op = Deconv { pool_spec, adjustments, ..self.op.clone() };
        Ok((wiring.op(Box::new(op), &feeds)?, made))
    }
}
