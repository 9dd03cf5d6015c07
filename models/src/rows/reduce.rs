//! Reductions across the divided axis: global pools. They need every row and leave one.

use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::Reduce;

use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// A reduction of everything.
#[derive(Debug)]
struct Global(Reduce);

/// Knows reductions whose axes include the divided one. Partial sums would change the order of summation.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<Reduce>()?;
    let (_, feed) = node.only_feed()?;
    let axis = feed.along.axis()?;
    op.axes.contains(&axis).then(|| Split {
        along: Along::Rows(axis),
        needs: node.needs(feed.whole()),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(Global(op.clone())),
    })
}

impl ByRows for Global {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let feeds = wiring.parts(parts)?;
        Ok((wiring.op(Box::new(self.0.clone()), &feeds)?, out))
    }
}
