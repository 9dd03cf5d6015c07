//! Dense layers of one vector, as an operator of our own that reads the weights as they lie.
//!
//! The engine packs the weights of a product, which takes longer than multiplying with them and keeps them
//! twice; a share of a dense layer would pack its share anew. Here a share is a range of rows of the one
//! matrix. Bound: memory, four bytes for a multiply-accumulate.

use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};

use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Partial sums of one product: enough to fill the vector units, and always these, so that the order of
/// summation depends on nothing.
const LANES: usize = 16;

/// Weights, features × inputs. They are part of the operator: the engine looks through every value of a
/// constant again and again, which takes half a second for the largest.
#[derive(Clone)]
struct Matrix(Arc<Tensor>);

impl Debug for Matrix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix {:?} at {:p}", self.0.shape(), Arc::as_ptr(&self.0))
    }
}

impl PartialEq for Matrix {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Matrix {}

impl Hash for Matrix {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// Some features of `weights · input`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dense {
    weights: Matrix,
    features: std::ops::Range<usize>,
    /// The shape of the output, all features.
    shape: TVec<usize>,
    /// The output's axis of features.
    axis: usize,
}

impl Op for Dense {
    fn name(&self) -> StaticName {
        "Dense".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Dense {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let mut output = Tensor::zero::<f32>(&self.part())?;
        let input = input.try_as_plain_ram()?.as_slice::<f32>()?;
        let weights = self.weights.0.try_as_plain_ram()?.as_slice::<f32>()?;
        let rows = weights.chunks_exact(input.len().max(1)).skip(self.features.start);
        let mut view = output.try_as_plain_ram_mut()?;
        for (value, row) in view.as_slice_mut::<f32>()?.iter_mut().zip(rows) {
            *value = product(row, input);
        }
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Dense {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.part())))
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let count = inputs[0].shape.volume() * self.features.len();
        let weights = inputs[0].shape.volume() * self.shape[self.axis];
        Ok(tvec!((Cost::FMA(f32::datum_type()), count), (Cost::Params(f32::datum_type()), weights)))
    }

    as_op!();
}

impl Dense {
    /// The shape of the features that are computed.
    fn part(&self) -> TVec<usize> {
        let mut shape = self.shape.clone();
        shape[self.axis] = self.features.len();
        shape
    }
}

fn product(row: &[f32], input: &[f32]) -> f32 {
    let (rows, row_rest) = row.as_chunks::<LANES>();
    let (inputs, input_rest) = input.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (row, input) in rows.iter().zip(inputs) {
        for lane in 0..LANES {
            sums[lane] += row[lane] * input[lane];
        }
    }
    for (sum, (row, input)) in sums.iter_mut().zip(row_rest.iter().zip(input_rest)) {
        *sum += row * input;
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
    }
    sums[0]
}

/// Replaces the engine's products of constant weights and one vector.
pub(crate) fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let Some((op, input)) = dense(model, id)? else { continue };
        for (slot, outlet) in model.node(id).inputs.clone().into_iter().enumerate() {
            let inlet = InletId::new(id, slot);
            model.node_mut(outlet.node).outputs[outlet.slot].successors.retain(|succ| *succ != inlet);
        }
        let node = model.node_mut(id);
        node.inputs.clear();
        node.op = Box::new(op);
        model.add_edge(input, InletId::new(id, 0))?;
    }
    Ok(())
}

/// What node `id` becomes, and what it reads.
fn dense(model: &TypedModel, id: usize) -> TractResult<Option<(Dense, OutletId)>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<EinSum>().filter(|op| op.q_params.is_none()) else { return Ok(None) };
    let facts = model.node_input_facts(id)?;
    let [Some(left), Some(right)] = [0, 1].map(|slot| facts.get(slot).map(|fact| &fact.konst)) else {
        return Ok(None);
    };
    let (slot, weights) = match (left, right) {
        (Some(weights), None) => (0, weights),
        (None, Some(weights)) => (1, weights),
        _ => return Ok(None),
    };
    let (Some(shape), Some(input)) =
        (node.outputs[0].fact.shape.as_concrete(), facts[1 - slot].shape.as_concrete())
    else {
        return Ok(None);
    };
    if weights.datum_type() != f32::datum_type() || facts[1 - slot].datum_type != f32::datum_type() {
        return Ok(None);
    }
    // Axes of size one are no axes; the others are summed over, or only the weights have them.
    let axes = || op.axes.iter_all_axes();
    let weighed =
        axes().filter(|axis| matches!(axis.inputs[slot][..], [place] if weights.shape()[place] > 1));
    let (mut summed, mut features) = (Vec::new(), Vec::new());
    for axis in weighed {
        match (&axis.inputs[1 - slot][..], &axis.outputs[0][..]) {
            (&[place], []) => summed.push((place, axis.inputs[slot][0])),
            ([], &[place]) => features.push((place, axis.inputs[slot][0])),
            _ => return Ok(None),
        }
    }
    let &[(axis, from)] = &features[..] else { return Ok(None) };
    let count = weights.shape()[from];
    let inputs = weights.len() / count.max(1);
    if input.iter().product::<usize>() != inputs || shape.iter().product::<usize>() != count {
        return Ok(None);
    }
    summed.sort_unstable();
    let order: Vec<usize> = std::iter::once(from).chain(summed.iter().map(|&(_, place)| place)).collect();
    let weights = match order.is_sorted() {
        true => weights.clone(),
        false => {
            let ones = (0..weights.rank()).filter(|place| !order.contains(place));
            let order: Vec<usize> = order.iter().copied().chain(ones).collect();
            weights.as_ref().clone().permute_axes(&order)?.into_arc_tensor()
        }
    };
    let op = Dense { weights: Matrix(weights), features: 0..count, shape: shape.into(), axis };
    Ok(Some((op, node.inputs[1 - slot])))
}

/// Knows [`Dense`], which [`rewrite`] has put in place of the engine's products.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<Dense>()?;
    Some(Split {
        along: Along::Features(op.axis),
        needs: node.needs(node.feeds[0].whole()),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(op.clone()),
    })
}

impl ByRows for Dense {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let feeds = parts.iter().map(|part| wiring.part(part)).collect::<TractResult<TVec<_>>>()?;
        let op = Self { features: out.start as usize..out.end as usize, ..self.clone() };
        Ok((wiring.op(Box::new(op), &feeds)?, out))
    }
}
