//! Some channels of a map, as where it is split in two.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Isa, KernelError, Layout};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Slice;

use super::chain::{Found, as_map, floats};
use super::{Computed, Lies, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some rows of neighbouring channels.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    channels: Range<usize>,
    shape: TVec<usize>,
    /// How the map lies before and behind it.
    layout: Layout,
}

/// Knows slices of channels.
pub(super) fn find(model: &TypedModel, id: usize, _taken: &[bool], _isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<Slice>() else { return Ok(None) };
    let Some(shape) = floats(model, OutletId::new(id, 0))?.filter(|shape| as_map(shape).is_some()) else {
        return Ok(None);
    };
    let computed = model.outlet_fact(node.inputs[0])?.konst.is_none();
    let (Ok(start), Ok(end)) = (op.start.to_usize(), op.end.to_usize()) else { return Ok(None) };
    if op.axis + 3 != shape.len() || !computed {
        return Ok(None);
    }
    let operator = Piece { channels: start..end, shape: shape.into(), layout: Layout::Planes };
    Ok(Some(Found { operator: Arc::new(operator), inputs: tvec!(node.inputs[0]), members: vec![id] }))
}

impl Operator for Piece {
    fn name(&self) -> &'static str {
        "Piece"
    }

    fn label(&self) -> (String, Kind) {
        ("Slice".to_owned(), Kind::Move)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut Workspace) -> Computed {
        let begins = self.begins().unwrap_or_default();
        let held = inputs[0].get(begins..begins + output.len());
        let (what, expected, found) = ("input", begins + output.len(), inputs[0].len());
        output.copy_from_slice(held.ok_or(KernelError::Length { what, expected, found })?);
        Ok(())
    }

    /// Whole blocks lie one behind the other as planes do.
    fn suits(&self, lies: &Lies) -> bool {
        let [_, abreast] = Layout::Blocks.as_planes(1, 1);
        let Range { start, end } = self.channels;
        let whole = start.is_multiple_of(abreast) && end.is_multiple_of(abreast);
        *lies == Lies::default() || whole && *lies == Lies::through(Layout::Blocks)
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        Some(Arc::new(Self { layout: lies.output, ..self.clone() }))
    }

    fn lies(&self) -> Lies {
        Lies::through(self.layout)
    }

    fn begins(&self) -> Option<usize> {
        as_map(&self.shape).map(|[_, rows, width]| self.channels.start * rows * width)
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let axis = self.shape.len() - 2;
        (node.feeds[0].along == Along::Rows(axis)).then(|| Split {
            along: Along::Rows(axis),
            needs: node.needs(RowMap::SAME),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }
}

impl ByRows for Piece {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let axis = self.shape.len() - 2;
        let input = wiring.part(&parts[0])?;
        let mut operator = self.clone();
        operator.shape[axis] = out.len() as usize;
        Ok((wiring.own(operator, &[input])?, out))
    }
}
