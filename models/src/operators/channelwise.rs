//! Arithmetic that no product before it could take along: batch norms, sums of two maps, activations, several of
//! them in one pass over the map.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Activation, Epilogue, Isa, KernelError, Layout, Map, Scratch, apply_epilogue};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;

use super::banded::{Banded, Reach};
use super::chain::{Found, as_map, floats};
use super::fold::Folded;
use super::layouts::where_blocks_fit;
use super::{Computed, Lies, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// One pass over some rows of a map, or of two.
#[derive(Clone, Debug)]
pub(crate) struct Channelwise {
    epilogue: Arc<Epilogue>,
    residual: bool,
    shape: TVec<usize>,
    isa: Isa,
    /// How all its maps lie.
    layout: Layout,
}

/// Knows arithmetic of a map with one value a channel, of two maps, and activations.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    if !node.op_is::<TypedBinOp>() && !node.op_is::<ElementWiseOp>() {
        return Ok(None);
    }
    let Some(shape) = floats(model, OutletId::new(id, 0))?.filter(|shape| as_map(shape).is_some()) else {
        return Ok(None);
    };
    let konst = |outlet: &OutletId| model.outlet_fact(*outlet).is_ok_and(|fact| fact.konst.is_some());
    let Some(slot) = node.inputs.iter().position(|input| !konst(input)) else { return Ok(None) };
    let axis = shape.len() - 3;
    let mut folded = Folded::nothing(shape[axis]);
    if !folded.take(model, node.inputs[slot], InletId::new(id, slot), axis)? {
        return Ok(None);
    }
    folded.members.push(id);
    folded.follow(model, id, axis, taken)?;
    let operator = Channelwise {
        epilogue: Arc::new(folded.whole()),
        residual: folded.residual.is_some(),
        shape: shape.into(),
        isa,
        layout: Layout::Planes,
    };
    let inputs = std::iter::once(node.inputs[slot]).chain(folded.residual).collect();
    Ok(Some(Found { operator: Arc::new(operator), inputs, members: folded.members }))
}

impl Channelwise {
    /// Whether it does the same to every channel.
    fn is_plain(&self) -> bool {
        self.epilogue.bias.is_empty() && self.epilogue.scale.is_empty()
    }
}

impl Operator for Channelwise {
    fn name(&self) -> &'static str {
        "Channelwise"
    }

    fn label(&self) -> (String, Kind) {
        let text = match (self.residual, self.epilogue.activation) {
            (true, _) => "Add",
            (false, Activation::Clamp { .. }) if self.is_plain() => "ReLU",
            (false, Activation::Leaky { .. }) if self.is_plain() => "LeakyReLU",
            (false, Activation::HardSwish) if self.is_plain() => "HardSwish",
            (false, Activation::Silu) if self.is_plain() => "SiLU",
            _ => "Norm",
        };
        (text.to_owned(), Kind::Elementwise)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn weights(&self) -> u64 {
        let Epilogue { bias, scale, shift, .. } = &*self.epilogue;
        (bias.len() + scale.len() + shift.len()) as u64
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let Some([channels, rows, width]) = as_map(&self.shape) else { return Ok(()) };
        let [planes, width] = self.layout.as_planes(channels, width);
        let input = Map::new(inputs[0], planes, rows, width)?;
        let residual = match self.residual {
            true => Some(Map::new(inputs[1], planes, rows, width)?),
            false => None,
        };
        workspace.by_rows(output, [planes, rows], 0, |part, planes, _| {
            let input = input.rows_between(part.start, part.end);
            let residual = residual.map(|map| map.rows_between(part.start, part.end));
            apply_epilogue(self.isa, &self.epilogue, self.layout, input, residual, planes)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let along = node.feeds[0].along;
        let axis = along.axis()?;
        // What is the same for every value can be divided along any axis, as of a map whose channels come last.
        let divisible = axis + 2 == self.shape.len() || self.is_plain();
        let same = node.feeds.iter().all(|feed| feed.along == along && matches!(along, Along::Rows(_)));
        (divisible && same).then(|| Split {
            along,
            needs: node.needs(RowMap::SAME),
            weight: Weight::Light,
            obstacle: None,
            by: Arc::new(Strip { of: self.clone(), axis }),
        })
    }

    fn suits(&self, lies: &Lies) -> bool {
        let added = if self.residual { lies.input } else { Layout::Planes };
        as_map(&self.shape).is_some() && *lies == Lies { added, ..Lies::through(lies.input) }
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        where_blocks_fit(self.isa, Self { layout: lies.input, ..self.clone() })
    }

    fn lies(&self) -> Lies {
        let added = if self.residual { self.layout } else { Layout::Planes };
        Lies { added, ..Lies::through(self.layout) }
    }

    fn banded(self: Arc<Self>) -> Option<Arc<dyn Banded>> {
        as_map(&self.shape).is_some().then_some(self)
    }
}

impl Banded for Channelwise {
    fn reach(&self) -> Reach {
        Reach::same_row(as_map(&self.shape).unwrap_or_default())
    }

    fn run_band(
        &self,
        strip: &collab_kernels::Strip<'_>,
        _layouts: [Layout; 2],
        _channels: Range<usize>,
        output: &mut [&mut [f32]],
        _scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        apply_epilogue(self.isa, &self.epilogue, self.layout, strip.input, strip.residual, output)
    }
}

/// A [`Channelwise`] divided along an axis.
#[derive(Debug)]
struct Strip {
    of: Channelwise,
    axis: usize,
}

impl ByRows for Strip {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let feeds = wiring.parts(parts)?;
        let mut operator = self.of.clone();
        operator.shape[self.axis] = out.len() as usize;
        Ok((wiring.own(operator, &feeds)?, out))
    }
}
