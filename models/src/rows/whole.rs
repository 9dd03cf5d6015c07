//! The last resort: an operator that nobody knows how to divide is computed whole.

use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;

use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// An operator as it is.
#[derive(Debug)]
struct AsIs(Box<dyn TypedOp>);

/// Needs everything, yields one piece.
pub(super) fn split(node: &Node) -> Split {
    Split {
        along: Along::Nothing,
        needs: node.feeds.iter().map(super::Feed::whole).collect(),
        weight: Weight::Heavy,
        obstacle: Some(format!("{} cannot be divided by rows", node.op.name())),
        by: Arc::new(AsIs(tract_onnx::tract_core::dyn_clone::clone_box(node.op))),
    }
}

impl ByRows for AsIs {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let feeds = wiring.parts(parts)?;
        Ok((wiring.op(self.0.clone(), &feeds)?, out))
    }
}
