//! Local response normalisation: neighbouring channels, row by row.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Isa, KernelError, Layout, LocalResponse, Map, Scratch, Strip};
use tract_onnx::tract_core::internal::*;
use tract_onnx_opl::lrn::Lrn;

use super::banded::{Banded, Reach};
use super::chain::{Found, as_map, floats};
use super::{Computed, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// One normalisation of a map.
#[derive(Clone, Debug)]
pub(crate) struct Normalisation {
    layer: LocalResponse,
    shape: TVec<usize>,
    isa: Isa,
}

/// Knows the engine's operator.
pub(super) fn find(model: &TypedModel, id: usize, _taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<Lrn>() else { return Ok(None) };
    // The engine's operator has its channels on axis 1.
    let Some(shape) = floats(model, node.inputs[0])?.filter(|shape| shape.len() == 4 && shape[0] == 1) else {
        return Ok(None);
    };
    let layer = LocalResponse { size: op.size, alpha: op.alpha, beta: op.beta, bias: op.bias };
    let operator = Normalisation { layer, shape: shape.into(), isa };
    let inputs = tvec!(node.inputs[0]);
    Ok(Some(Found { operator: Arc::new(operator), inputs, members: vec![id] }))
}

impl Operator for Normalisation {
    fn name(&self) -> &'static str {
        "LocalResponse"
    }

    fn label(&self) -> (String, Kind) {
        (format!("LRN {}", self.layer.size), Kind::Lrn)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let Some([channels, rows, width]) = as_map(&self.shape) else { return Ok(()) };
        let input = Map::new(inputs[0], channels, rows, width)?;
        workspace.by_rows(output, [channels, rows], 0, |part, planes, _| {
            self.layer.run(self.isa, input.rows_between(part.start, part.end), planes)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let axis = self.shape.len() - 2;
        let same = node.feeds[0].along == Along::Rows(axis);
        same.then(|| Split {
            along: Along::Rows(axis),
            needs: node.needs(RowMap::SAME),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }

    fn banded(self: Arc<Self>) -> Option<Arc<dyn Banded>> {
        Some(self)
    }
}

impl Banded for Normalisation {
    fn reach(&self) -> Reach {
        Reach::same_row(as_map(&self.shape).unwrap_or_default())
    }

    fn run_band(
        &self,
        strip: &Strip<'_>,
        _layouts: [Layout; 2],
        _channels: Range<usize>,
        output: &mut [&mut [f32]],
        _scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.layer.run(self.isa, strip.input, output)
    }
}

impl ByRows for Normalisation {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let input = wiring.part(&parts[0])?;
        let mut operator = self.clone();
        let axis = self.shape.len() - 2;
        operator.shape[axis] = out.len() as usize;
        Ok((wiring.own(operator, &[input])?, out))
    }
}
