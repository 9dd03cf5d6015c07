//! Concatenation of maps along their channels, which are shuffled then or not.

use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Epilogue, Isa, Layout, Map, Share, apply_epilogue};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::TypedConcat;

use super::chain::{Found, as_map, floats};
use super::fold::Folded;
use super::layouts::where_blocks_fit;
use super::{Computed, Lies, Operator, Workspace, shuffle};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some rows of maps, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Concat {
    /// Of each map.
    channels: TVec<usize>,
    /// An activation, or nothing.
    epilogue: Arc<Epilogue>,
    shape: TVec<usize>,
    isa: Isa,
    /// Where the plane of each channel lies in the output, if not in order (see [`shuffle`]).
    places: Arc<[usize]>,
    /// How all of these lie.
    layout: Layout,
}

/// Knows concatenations of channels of maps, none of which is constant.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<TypedConcat>() else { return Ok(None) };
    let Some(shape) = floats(model, OutletId::new(id, 0))?.filter(|shape| as_map(shape).is_some()) else {
        return Ok(None);
    };
    let axis = shape.len() - 3;
    let mut channels = TVec::new();
    for &input in &node.inputs {
        let fact = model.outlet_fact(input)?;
        match floats(model, input)? {
            Some(shape) if op.axis == axis && fact.konst.is_none() => channels.push(shape[axis]),
            _ => return Ok(None),
        }
    }
    let mut folded = Folded::after(model, id, axis, taken)?;
    let mut epilogue = folded.whole();
    // Lists of one value a channel would have to be cut, and a sum would be no concatenation any more.
    if folded.residual.is_some() || epilogue != Epilogue::new(Vec::new(), epilogue.activation) {
        (epilogue, folded.members) = (Epilogue::none(), Vec::new());
    }
    let last = folded.members.last().copied().unwrap_or(id);
    let (shuffled, places) = shuffle::after(model, last, taken)?.unwrap_or_default();
    let operator = Concat {
        channels,
        epilogue: Arc::new(epilogue),
        shape: shape.into(),
        isa,
        places: places.into(),
        layout: Layout::Planes,
    };
    let members = std::iter::once(id).chain(folded.members).chain(shuffled).collect();
    let inputs = node.inputs.iter().copied().collect();
    Ok(Some(Found { operator: Arc::new(operator), inputs, members }))
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn label(&self) -> (String, Kind) {
        ("Concat".to_owned(), Kind::Move)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let Some([channels, rows, width]) = as_map(&self.shape) else { return Ok(()) };
        let [planes, _] = self.layout.as_planes(channels, width);
        let shares = Share::by_rows(planes, rows, workspace.threads_for(0, output.len()));
        workspace.by_shares(output, [planes, rows], &self.places, &shares, |share, mut planes, _| {
            let part = &share.rows;
            for (input, &channels) in inputs.iter().zip(&self.channels) {
                let [count, width] = self.layout.as_planes(channels, width);
                let input = Map::new(input, count, rows, width)?.rows_between(part.start, part.end);
                let (own, rest) = planes.split_at_mut(count);
                apply_epilogue(self.isa, &self.epilogue, self.layout, input, None, own)?;
                planes = rest;
            }
            Ok(())
        })
    }

    /// One behind the other are whole blocks, too.
    fn suits(&self, lies: &Lies) -> bool {
        let [_, abreast] = Layout::Blocks.as_planes(1, 1);
        let whole = self.channels.iter().all(|channels| channels.is_multiple_of(abreast));
        *lies == Lies::default() || whole && self.places.is_empty() && *lies == Lies::all(Layout::Blocks)
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        where_blocks_fit(self.isa, Self { layout: lies.output, ..self.clone() })
    }

    fn lies(&self) -> Lies {
        Lies::all(self.layout)
    }

    fn concatenates(&self) -> bool {
        *self.epilogue == Epilogue::none() && self.places.is_empty()
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let along = Along::Rows(self.shape.len() - 2);
        let needs: Vec<RowMap> = node.feeds.iter().map(super::residual_need).collect();
        node.feeds.iter().any(|feed| feed.along == along).then(|| Split {
            along,
            needs,
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }
}

impl ByRows for Concat {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let axis = self.shape.len() - 2;
        let mut feeds = TVec::new();
        for part in parts {
            let wire = wiring.part(part)?;
            feeds.push(wiring.narrow(wire, axis, out)?);
        }
        let mut operator = self.clone();
        operator.shape[axis] = out.len() as usize;
        Ok((wiring.own(operator, &feeds)?, out))
    }
}
