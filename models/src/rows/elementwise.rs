//! Operators that keep the divided axis: arithmetic per element, normalisation across channels, softmax,
//! slices and pads along other axes.

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, Slice};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::downsample::Downsample;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::identity::Identity;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::nn::{Reduce, RmsNorm, Softmax};
use tract_onnx_opl::lrn::Lrn;

use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// An operator that does to some rows what it does to all.
#[derive(Debug)]
struct SameRows {
    op: Box<dyn TypedOp>,
    axis: usize,
    rows: usize,
    /// For each feed, whether its size along the axis is the output's; otherwise it is broadcast.
    full: Vec<bool>,
}

/// Knows what keeps rows apart and in place.
pub(super) fn split(node: &Node) -> Option<Split> {
    let along = main_axis(node)?;
    let axis = along.axis()?;
    let light = keeps(node.op, axis)?;
    let rank = node.shape.len();
    if node.feeds.iter().any(|feed| feed.shape.len() != rank) {
        return None;
    }
    let rows = node.shape[axis];
    let full: Vec<bool> = node.feeds.iter().map(|feed| feed.shape[axis] == rows).collect();
    let needs = node.feeds.iter().zip(&full).map(|(feed, &full)| {
        if full && feed.along.axis() == Some(axis) { RowMap::SAME } else { feed.whole() }
    });
    Some(Split {
        along,
        needs: needs.collect(),
        weight: if light { Weight::Light } else { Weight::Heavy },
        obstacle: None,
        by: Arc::new(SameRows {
            op: tract_onnx::tract_core::dyn_clone::clone_box(node.op),
            axis,
            rows,
            full,
        }),
    })
}

/// The output's divided axis: that of a feed with as many rows, rows of maps before features.
fn main_axis(node: &Node) -> Option<Along> {
    let fits = |along: &Along| along.axis().is_some_and(|axis| axis < node.shape.len());
    let feeds = node.feeds.iter().filter(|feed| feed.konst.is_none());
    let alongs: Vec<(Along, bool)> = feeds
        .filter(|feed| fits(&feed.along))
        .map(|feed| {
            (feed.along, feed.rows() > 1 && Some(feed.rows()) == feed.along.axis().map(|a| node.shape[a]))
        })
        .collect();
    let find = |rows: bool, full: bool| {
        alongs.iter().find(|(along, fits)| matches!(along, Along::Rows(_)) == rows && *fits == full)
    };
    [(true, true), (false, true), (true, false), (false, false)]
        .into_iter()
        .find_map(|(rows, full)| find(rows, full))
        .map(|(along, _)| *along)
}

/// Whether `op` keeps rows along `axis` apart and in place, and if so, whether its work is light.
fn keeps(op: &dyn TypedOp, axis: usize) -> Option<bool> {
    if op.is::<TypedBinOp>() || op.is::<ElementWiseOp>() || op.is::<Cast>() || op.is::<Identity>() {
        return Some(true);
    }
    if op.is::<Iff>() {
        return Some(true);
    }
    if op.is::<Lrn>() {
        return (axis != 1).then_some(false);
    }
    if let Some(softmax) = op.downcast_ref::<Softmax>() {
        return (!softmax.axes.contains(&axis)).then_some(false);
    }
    if let Some(norm) = op.downcast_ref::<RmsNorm>() {
        return (norm.axis != axis).then_some(false);
    }
    if let Some(reduce) = op.downcast_ref::<Reduce>() {
        return (!reduce.axes.contains(&axis)).then_some(false);
    }
    if let Some(slice) = op.downcast_ref::<Slice>() {
        return (slice.axis != axis).then_some(false);
    }
    if let Some(pad) = op.downcast_ref::<Pad>() {
        return (pad.pads.get(axis) == Some(&(0, 0))).then_some(false);
    }
    if let Some(downsample) = op.downcast_ref::<Downsample>() {
        return (downsample.axis != axis).then_some(false);
    }
    None
}

impl ByRows for SameRows {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let mut feeds = TVec::new();
        for (part, &full) in parts.iter().zip(&self.full) {
            feeds.push(match part {
                Part::Konst(tensor) if full => wiring.konst_part(tensor, self.axis, out, self.rows)?,
                Part::Konst(tensor) => wiring.konst(tensor)?,
                Part::Held { wire, .. } if full => wiring.narrow(*wire, self.axis, out)?,
                Part::Held { wire, .. } => *wire,
            });
        }
        Ok((wiring.op(self.op.clone(), &feeds)?, out))
    }
}
