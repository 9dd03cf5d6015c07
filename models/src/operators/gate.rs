//! Products of a map with one computed value a channel, as of squeeze-and-excite.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Activation, Epilogue, Isa, Layout, Map, Share, apply_epilogue, multiply_channels};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;

use super::chain::{Found, as_map, floats};
use super::layouts::{channels_of, where_blocks_fit};
use super::{Computed, Lies, Operator, Overwriting, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some rows of a map, each channel multiplied by its value of a second input.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    shape: TVec<usize>,
    isa: Isa,
    /// How the map lies before and behind it.
    layout: Layout,
}

/// Rows of a map up to which depthwise layers are mostly divided by channels, see [`super::bands`].
const FEW_ROWS: usize = 14;

/// Knows products of a map and values of one pixel.
pub(super) fn find(model: &TypedModel, id: usize, _taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let product = node.op_as::<TypedBinOp>().is_some_and(|op| op.0.name() == "Mul");
    let (true, [left, right]) = (product, &*node.inputs) else { return Ok(None) };
    let Some(shape) = floats(model, OutletId::new(id, 0))? else { return Ok(None) };
    let Some([channels, _, _]) = as_map(&shape) else { return Ok(None) };
    let mut gated = None;
    for [map, gate] in [[*left, *right], [*right, *left]] {
        let computed = model.outlet_fact(map)?.konst.is_none() && model.outlet_fact(gate)?.konst.is_none();
        let one_pixel = floats(model, gate)?.and_then(|gate| as_map(&gate)) == Some([channels, 1, 1]);
        if computed && one_pixel && floats(model, map)?.as_ref() == Some(&shape) {
            gated = Some(tvec!(map, gate));
        }
    }
    Ok(gated.map(|inputs| {
        let operator = Gate { shape: shape.into(), isa, layout: Layout::Planes };
        Found { operator: Arc::new(operator), inputs, members: vec![id] }
    }))
}

/// How `count` threads divide a map of so many planes and rows: as the layers before it do, so that each finds what it made.
fn shares([planes, rows]: [usize; 2], count: usize) -> Vec<Share> {
    match rows <= FEW_ROWS {
        true => Share::by_channels([planes, 1], rows, count),
        false => Share::by_rows(planes, rows, count),
    }
}

impl Operator for Gate {
    fn name(&self) -> &'static str {
        "Gate"
    }

    fn label(&self) -> (String, Kind) {
        ("Mul".to_owned(), Kind::Elementwise)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let Some([channels, rows, width]) = as_map(&self.shape) else { return Ok(()) };
        let [planes, width] = self.layout.as_planes(channels, width);
        let input = Map::new(inputs[0], planes, rows, width)?;
        let shares = shares([planes, rows], workspace.threads_for(0, output.len()));
        workspace.by_shares(output, [planes, rows], &[], &shares, |share, planes, _| {
            let gates = channels_of(self.layout, &share.channels, channels);
            let (scale, shift) = (inputs[1][gates.clone()].to_vec(), vec![0.0; gates.len()]);
            let gate = Epilogue { bias: Vec::new(), scale, shift, activation: Activation::None };
            let Range { start, end } = share.channels;
            let input = input.channels_between(start, end).rows_between(share.rows.start, share.rows.end);
            apply_epilogue(self.isa, &gate, self.layout, input, None, planes)
        })
    }

    fn overwriting(&self) -> Option<&dyn Overwriting> {
        Some(self)
    }

    fn suits(&self, lies: &Lies) -> bool {
        *lies == Lies::through(lies.input)
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        where_blocks_fit(self.isa, Self { layout: lies.input, ..self.clone() })
    }

    fn lies(&self) -> Lies {
        Lies::through(self.layout)
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let axis = self.shape.len() - 2;
        (node.feeds[0].along == Along::Rows(axis)).then(|| Split {
            along: Along::Rows(axis),
            needs: vec![RowMap::SAME, node.feeds[1].whole()],
            weight: Weight::Light,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }
}

impl Overwriting for Gate {
    fn overwrite(&self, others: &[&[f32]], map: &mut [f32], workspace: &mut Workspace) -> Computed {
        let Some([channels, rows, _]) = as_map(&self.shape) else { return Ok(()) };
        let [planes, _] = self.layout.as_planes(channels, 1);
        let shares = shares([planes, rows], workspace.threads_for(0, map.len()));
        workspace.by_shares(map, [planes, rows], &[], &shares, |share, planes, _| {
            let gates = channels_of(self.layout, &share.channels, channels);
            multiply_channels(self.isa, self.layout, &others[0][gates], planes)
        })
    }
}

impl ByRows for Gate {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let axis = self.shape.len() - 2;
        let feeds = [wiring.part(&parts[0])?, wiring.part(&parts[1])?];
        let mut operator = self.clone();
        operator.shape[axis] = out.len() as usize;
        Ok((wiring.own(operator, &feeds)?, out))
    }
}
