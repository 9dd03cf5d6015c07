//! Where axes of maps may move: the engine's pass without what it does on some processors only.
//!
//! On aarch64 the engine's depthwise convolutions would rather have their channels last, and its pass moves them there. But a cut of a
//! network must hold the same values in the same order on every machine, or workers would take each other's rows for others; and our
//! own operators, which take the place of these convolutions, read channels first.

use std::collections::HashSet;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::change_axes::AxisChange;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::dummy::Dummy;
use tract_onnx::tract_core::optim::change_axes::change_axes;
use tract_onnx::tract_core::optim::{OptimizerSession, TypedPass};

/// Moves axes where an operator asks for it that is no convolution, and drops those of size one, wherever the graph lets them.
#[derive(Clone, Debug, Default)]
pub(super) struct MoveAxes {
    tried: HashSet<AxisChange>,
}

impl TypedPass for MoveAxes {
    fn reset(&mut self) -> TractResult<()> {
        self.tried.clear();
        Ok(())
    }

    fn next(&mut self, _: &mut OptimizerSession, model: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        let mut locked = model.output_outlets()?.to_vec();
        locked.extend(model.input_outlets()?);
        let mut explored = HashSet::new();
        for node in model.nodes().iter().filter(|node| !node.op_is::<Dummy>()) {
            let asked = if node.op_is::<Conv>() { tvec!() } else { node.op.suggested_axis_changes()? };
            let asked = asked.into_iter().map(|(slot, op)| AxisChange { outlet: slot.as_outlet(node), op });
            let single = node.outputs.iter().enumerate().flat_map(|(slot, output)| {
                let axes = output.fact.shape.iter().enumerate().filter(|(_, size)| size.is_one());
                let drop = move |(axis, _)| AxisChange {
                    outlet: OutletId::new(node.id, slot),
                    op: AxisOp::Rm(axis),
                };
                axes.map(drop)
            });
            for change in asked.chain(single).collect::<Vec<_>>() {
                if self.tried.insert(change.clone())
                    && let Some((patch, _)) = change_axes(model, &change, &locked, &[], &mut explored)?
                {
                    return Ok(Some(patch));
                }
            }
        }
        Ok(None)
    }
}
