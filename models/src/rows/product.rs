//! Products: 1×1 convolutions, dense layers, matrix products.
//!
//! A product along an axis that survives is row by row. A product with constant weights that leaves no
//! rows is a dense layer, divided by the features it yields: a strip multiplies with a slice of the weights.

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// A product, divided along one axis of its output.
#[derive(Debug)]
struct Product {
    op: EinSum,
    /// Size of the divided axis.
    size: usize,
    /// Where each feed has that axis.
    axes: Vec<Option<usize>>,
}

/// Knows products of two.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<EinSum>()?;
    if op.q_params.is_some() || node.feeds.len() != 2 {
        return None;
    }
    let rows = by_rows(node, op);
    let divisible =
        rows.as_ref().is_some_and(|split| split.along.axis().is_some_and(|axis| node.shape[axis] > 1));
    if divisible { rows } else { by_features(node, op).or(rows) }
}

/// Along the axis on which a feed is divided already, if it survives.
fn by_rows(node: &Node, op: &EinSum) -> Option<Split> {
    let feeds = || node.feeds.iter().enumerate().filter(|(_, feed)| feed.konst.is_none());
    let (index, feed) =
        feeds().max_by_key(|(_, feed)| (matches!(feed.along, Along::Rows(_)), feed.rows()))?;
    let label = op.axes.axis((InOut::In(index), feed.along.axis()?)).ok()?;
    let &[out] = &*label.outputs[0] else { return None };
    let axes: Vec<Option<usize>> = label.inputs.iter().map(|axes| axes.first().copied()).collect();
    let mut needs = Vec::new();
    for (feed, &axis) in node.feeds.iter().zip(&axes) {
        needs.push(match axis {
            _ if feed.konst.is_some() => RowMap::SAME,
            None => feed.whole(),
            Some(axis) if feed.shape[axis] == 1 && node.shape[out] != 1 => feed.whole(),
            Some(axis) if feed.along.axis() == Some(axis) => RowMap::SAME,
            Some(_) => return None,
        });
    }
    Some(of(node, op, feed.along.on(out), axes, needs))
}

/// Along the longest axis of the output that comes from constant weights alone.
fn by_features(node: &Node, op: &EinSum) -> Option<Split> {
    let (index, feed) = node.only_feed()?;
    let label = op
        .axes
        .iter_all_axes()
        .filter(|axis| axis.inputs[index].is_empty() && axis.inputs[1 - index].len() == 1)
        .filter(|axis| axis.outputs[0].len() == 1)
        .max_by_key(|axis| node.shape[axis.outputs[0][0]])?;
    let axes = label.inputs.iter().map(|axes| axes.first().copied()).collect();
    Some(of(node, op, Along::Features(label.outputs[0][0]), axes, node.needs(feed.whole())))
}

fn of(node: &Node, op: &EinSum, along: Along, axes: Vec<Option<usize>>, needs: Vec<RowMap>) -> Split {
    let size = along.axis().map_or(1, |axis| node.shape[axis]);
    let by = Arc::new(Product { op: op.clone(), size, axes });
    Split { along, needs, weight: Weight::Heavy, obstacle: None, by }
}

impl ByRows for Product {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let mut feeds = TVec::new();
        for (part, axis) in parts.iter().zip(&self.axes) {
            feeds.push(match (part, *axis) {
                (Part::Konst(tensor), Some(axis)) if tensor.shape()[axis] == self.size => {
                    wiring.konst_part(tensor, axis, out, self.size)?
                }
                (part, _) => wiring.part(part)?,
            });
        }
        Ok((wiring.op(Box::new(self.op.clone()), &feeds)?, out))
    }
}
