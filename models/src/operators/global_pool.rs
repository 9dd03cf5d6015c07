//! Global pools: sums and means of whole channels.

use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::Rows;
use collab_kernels::{Epilogue, Isa, Layout, Map, sum_channels};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

use super::chain::{Found, as_map, floats};
use super::fold::Folded;
use super::layouts::where_blocks_fit;
use super::{Computed, Lies, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// The sum of each channel, and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct GlobalPool {
    epilogue: Arc<Epilogue>,
    input: [usize; 3],
    shape: TVec<usize>,
    isa: Isa,
    /// How its input lies.
    layout: Layout,
}

/// Knows sums over the rows and columns of a map.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<Reduce>().filter(|op| op.reducer == Reducer::Sum) else { return Ok(None) };
    let (from, to) = (floats(model, node.inputs[0])?, floats(model, OutletId::new(id, 0))?);
    let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
    let Some(input) = as_map(&from) else { return Ok(None) };
    let axis = from.len() - 3;
    if op.axes[..] != [axis + 1, axis + 2] {
        return Ok(None);
    }
    let folded = Folded::after_product(model, id, axis, taken)?;
    let operator = GlobalPool {
        epilogue: Arc::new(folded.whole()),
        input,
        shape: to.into(),
        isa,
        layout: Layout::Planes,
    };
    let members = std::iter::once(id).chain(folded.members).collect();
    Ok(Some(Found { operator: Arc::new(operator), inputs: tvec!(node.inputs[0]), members }))
}

impl Operator for GlobalPool {
    fn name(&self) -> &'static str {
        "GlobalPool"
    }

    fn label(&self) -> (String, Kind) {
        ("GlobalPool".to_owned(), Kind::Pool)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], _: &mut Workspace) -> Computed {
        let [channels, rows, width] = self.input;
        let [planes, width] = self.layout.as_planes(channels, width);
        let input = Map::new(inputs[0], planes, rows, width)?;
        sum_channels(self.isa, &self.epilogue, self.layout, input, output)
    }

    fn suits(&self, lies: &Lies) -> bool {
        *lies == Lies { input: lies.input, ..Lies::default() }
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        where_blocks_fit(self.isa, Self { layout: lies.input, ..self.clone() })
    }

    fn lies(&self) -> Lies {
        Lies { input: self.layout, ..Lies::default() }
    }

    /// Its one row needs all rows: partial sums would change the order of summation.
    fn split(&self, node: &Node) -> Option<Split> {
        let axis = self.shape.len() - 2;
        (node.feeds[0].along == Along::Rows(axis)).then(|| Split {
            along: Along::Rows(axis),
            needs: node.needs(node.feeds[0].whole()),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }
}

impl ByRows for GlobalPool {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let input = wiring.part(&parts[0])?;
        Ok((wiring.own(self.clone(), &[input])?, out))
    }
}
