//! Convolutions and pools: an output row reads a window of input rows.
//!
//! A strip gets the rows that its windows touch; what a window touches beyond the map becomes the strip's own
//! padding. So every window sums the same values in the same order as in the whole.

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};

use super::{Along, ByRows, Feed, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// The windows of one operator along the divided axis.
#[derive(Clone, Debug)]
struct Window {
    op: Op,
    /// The divided axis among the spatial ones.
    spatial: usize,
    /// The map whose rows it reads.
    input_rows: usize,
    /// Rows by which the first window begins before the map, and by which the last may end behind it.
    pads: (usize, usize),
    /// The padding of every spatial axis of the whole.
    all_pads: (TVec<usize>, TVec<usize>),
    /// Whether the strip is given all input rows whatever it needs.
    given_whole: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Conv(Conv),
    Max(MaxPool),
    Sum(SumPool),
}

impl Op {
    fn spec(&self) -> &PoolSpec {
        match self {
            Self::Conv(conv) => &conv.pool_spec,
            Self::Max(pool) => &pool.pool_spec,
            Self::Sum(pool) => &pool.pool_spec,
        }
    }

    fn with_padding(&self, padding: PaddingSpec) -> Box<dyn TypedOp> {
        let spec = PoolSpec { padding, ..self.spec().clone() };
        match self {
            Self::Conv(conv) => Box::new(Conv { pool_spec: spec, ..conv.clone() }),
            Self::Max(pool) => Box::new(MaxPool { pool_spec: spec, ..pool.clone() }),
            Self::Sum(pool) => Box::new(SumPool { pool_spec: spec, ..pool.clone() }),
        }
    }
}

/// Knows convolutions with constant weights, max pools and average pools.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = if let Some(conv) = node.op.downcast_ref::<Conv>() {
        Op::Conv(conv.clone())
    } else if let Some(pool) = node.op.downcast_ref::<MaxPool>() {
        Op::Max(pool.clone())
    } else {
        Op::Sum(node.op.downcast_ref::<SumPool>()?.clone())
    };
    let (index, feed) = node.only_feed()?;
    if index != 0 || matches!(&op, Op::Conv(conv) if conv.q_params.is_some()) {
        return None;
    }
    let spec = op.spec();
    let shape = spec.data_format.shape(feed.shape.as_slice()).ok()?;
    let along = spatial_axis(feed, shape.h_axis(), spec.rank());
    let spatial = along.0 - shape.h_axis();
    if node.shape[along.0] == 1
        && let Some(split) = dense(node, &op, feed)
    {
        return Some(split);
    }
    let padding = spec.computed_padding(shape.hw_dims());
    let pads = (padding[spatial].pad_before, padding[spatial].pad_after);
    let (kernel, stride) = (spec.kernel_shape[spatial], spec.stride(spatial));
    let dilation = spec.dilation(spatial);
    let input_rows = feed.shape[along.0];
    let reach = (kernel - 1) * dilation;
    let last = (node.shape[along.0] - 1) * stride;
    // Where a window lies in the padding altogether, no input row can stand in for it.
    if pads.0 > reach || last >= input_rows + pads.0 {
        return None;
    }
    let map = match along.1 {
        true => RowMap::window(kernel as u32, stride as u32, dilation as u32, pads.0 as u32),
        false => feed.whole(),
    };
    let all_pads = (
        padding.iter().map(|pad| pad.pad_before).collect(),
        padding.iter().map(|pad| pad.pad_after).collect(),
    );
    let window = Window { op, spatial, input_rows, pads, all_pads, given_whole: !along.1 };
    Some(Split {
        along: Along::Rows(along.0),
        needs: node.needs(map),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(window),
    })
}

/// The spatial axis to divide, and whether it is the one along which `feed` is divided already.
pub(super) fn spatial_axis(feed: &Feed, first: usize, count: usize) -> (usize, bool) {
    match feed.along {
        Along::Rows(axis) if (first..first + count).contains(&axis) => (axis, true),
        _ => (first, false),
    }
}

impl ByRows for Window {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let spec = self.op.spec();
        let reach = (spec.kernel_shape[self.spatial] - 1) * spec.dilation(self.spatial);
        let stride = spec.stride(self.spatial);
        let feeds = wiring.parts(parts)?;
        let (mut held, mut made) = (parts.first().map_or(Rows::EMPTY, Part::rows), out);
        if self.given_whole {
            held = Rows::all(self.input_rows as u32);
            made = Rows::all(self.output_rows(reach, stride));
        }
        let first = made.start as usize * stride;
        let end = (made.end as usize - 1) * stride + reach + 1;
        let before = (held.start as usize + self.pads.0).saturating_sub(first);
        let after = end.saturating_sub(held.end as usize + self.pads.0);
        let (mut befores, mut afters) = self.all_pads.clone();
        befores[self.spatial] = before;
        let padding = match &spec.padding {
            PaddingSpec::ExplicitOnnxPool(all_before, all_after, ceil) => {
                let (mut all_before, mut all_after) = (all_before.clone(), all_after.clone());
                all_before[self.spatial] = before;
                // What a window of a ceiling pool reaches beyond the stated padding counts as nothing.
                all_after[self.spatial] = after.min(self.pads.1);
                PaddingSpec::ExplicitOnnxPool(all_before, all_after, *ceil)
            }
            _ => {
                afters[self.spatial] = after;
                PaddingSpec::Explicit(befores, afters)
            }
        };
        Ok((wiring.op(self.op.with_padding(padding), &feeds)?, made))
    }
}

impl Window {
    fn output_rows(&self, reach: usize, stride: usize) -> u32 {
        let padded = self.input_rows + self.pads.0 + self.pads.1;
        ((padded - reach - 1) / stride + 1) as u32
    }
}

/// A convolution that leaves one row is a dense layer: its channels are divided instead.
#[derive(Debug)]
struct DenseConv {
    conv: Conv,
    channels: usize,
}

fn dense(node: &Node, op: &Op, feed: &Feed) -> Option<Split> {
    let Op::Conv(conv) = op else { return None };
    let axis = conv.pool_spec.data_format.shape(node.shape).ok()?.c_axis();
    let channels = conv.pool_spec.output_channels;
    let divisible = conv.group == 1 && conv.kernel_fmt == KernelFormat::OIHW && channels > 1;
    let one_pixel = node.shape.iter().enumerate().all(|(index, &size)| index == axis || size == 1);
    (divisible && one_pixel).then(|| Split {
        along: Along::Features(axis),
        needs: node.needs(feed.whole()),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(DenseConv { conv: conv.clone(), channels }),
    })
}

impl ByRows for DenseConv {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let mut feeds = TVec::new();
        for part in parts {
            feeds.push(match part {
                Part::Konst(tensor) if tensor.rank() > 0 => {
                    wiring.konst_part(tensor, 0, out, self.channels)?
                }
                part => wiring.part(part)?,
            });
        }
        let spec = PoolSpec { output_channels: out.len() as usize, ..self.conv.pool_spec.clone() };
        Ok((wiring.op(Box::new(Conv { pool_spec: spec, ..self.conv.clone() }), &feeds)?, out))
    }
}
