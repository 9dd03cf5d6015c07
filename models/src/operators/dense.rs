//! Dense layers of one vector.
//!
//! All shares of a dense layer have one matrix; each is a range of its rows.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::Rows;
use collab_kernels::{Isa, Linear};
use tract_onnx::tract_core::internal::*;

use super::chain::{Found, constant_weights, floats};
use super::fold::Folded;
use super::{Computed, Operator, Workspace};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some features of `weights · input`.
#[derive(Clone)]
pub(crate) struct Dense {
    layer: Arc<Linear>,
    features: Range<usize>,
    shape: TVec<usize>,
    /// The output's axis of features.
    axis: usize,
}

impl Debug for Dense {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Dense {:?} of {} × {}", self.features, self.layer.outputs(), self.layer.inputs())
    }
}

/// Knows products of constant weights and one vector.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    let Some((op, slot, weights)) = constant_weights(model, id)? else { return Ok(None) };
    let input = node.inputs[1 - slot];
    let (Some(from), Some(shape)) = (floats(model, input)?, floats(model, OutletId::new(id, 0))?) else {
        return Ok(None);
    };
    // Axes of size one are no axes; the others are summed over, or only the weights have them.
    let axes = op.axes.iter_all_axes();
    let weighed = axes.filter(|axis| matches!(axis.inputs[slot][..], [place] if weights.shape()[place] > 1));
    let (mut summed, mut features) = (Vec::new(), Vec::new());
    for axis in weighed {
        match (&axis.inputs[1 - slot][..], &axis.outputs[0][..]) {
            (&[place], []) => summed.push((place, axis.inputs[slot][0])),
            ([], &[place]) => features.push((place, axis.inputs[slot][0])),
            _ => return Ok(None),
        }
    }
    let &[(axis, rows)] = &features[..] else { return Ok(None) };
    let count = weights.shape()[rows];
    let inputs = weights.len() / count.max(1);
    if from.iter().product::<usize>() != inputs || shape.iter().product::<usize>() != count {
        return Ok(None);
    }
    summed.sort_unstable();
    let order: Vec<usize> = std::iter::once(rows).chain(summed.iter().map(|&(_, place)| place)).collect();
    let weights = match order.is_sorted() {
        true => weights,
        false => {
            let ones = (0..weights.rank()).filter(|place| !order.contains(place));
            let order: Vec<usize> = order.iter().copied().chain(ones).collect();
            weights.as_ref().clone().permute_axes(&order)?.into_arc_tensor()
        }
    };
    let folded = Folded::after_product(model, id, axis, taken)?;
    let values = weights.try_as_plain_ram()?.as_slice::<f32>()?;
    let layer = Arc::new(Linear::new(values, count, folded.whole(), isa)?);
    let operator = Dense { layer, features: 0..count, shape: shape.into(), axis };
    let members = std::iter::once(id).chain(folded.members).collect();
    Ok(Some(Found { operator: Arc::new(operator), inputs: tvec!(input), members }))
}

impl Operator for Dense {
    fn name(&self) -> &'static str {
        "Dense"
    }

    fn label(&self) -> (String, Kind) {
        (format!("Gemm {}", self.layer.outputs()), Kind::Dense)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn macs(&self) -> u64 {
        (self.layer.inputs() * self.features.len()) as u64
    }

    fn weights(&self) -> u64 {
        ((self.layer.inputs() + 1) * self.layer.outputs()) as u64
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        workspace.by_rows(output, [1, self.features.len()], self.macs(), |part, planes, _| {
            let features = self.features.start + part.start..self.features.start + part.end;
            self.layer.run(inputs[0], features, planes[0])
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        Some(Split {
            along: Along::Features(self.axis),
            needs: node.needs(node.feeds[0].whole()),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(self.clone()),
        })
    }
}

impl ByRows for Dense {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let input = wiring.part(&parts[0])?;
        let mut operator = self.clone();
        operator.features = out.start as usize..out.end as usize;
        operator.shape[self.axis] = out.len() as usize;
        Ok((wiring.own(operator, &[input])?, out))
    }
}
