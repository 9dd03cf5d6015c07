//! The pass that puts our operators into a graph.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use collab_kernels::Isa;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::konst::Const;

use super::{
    Operator, Own, channelwise, concat, convolution, dense, gate, global_pool, lrn, piece, pool, resample,
    transposed,
};

/// Nodes that one operator of ours replaces.
pub(super) struct Found {
    /// What computes them.
    pub(super) operator: Arc<dyn Operator>,
    /// What it reads.
    pub(super) inputs: TVec<OutletId>,
    /// The nodes, in order; the last one's output is the operator's.
    pub(super) members: Vec<usize>,
}

/// Looks at node `id` of a graph; nodes that are taken are replaced already. What is found runs on `isa`.
type Find = fn(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>>;

/// Operators that fold what follows them, looked for from the end to the beginning: so a residual sum is folded
/// into the operand that is computed last.
const FOLDING: &[Find] = &[dense::find, convolution::find, transposed::find, global_pool::find];

/// The others, looked for from the beginning: what is left of arithmetic begins with its first operator.
const OTHERS: &[Find] =
    &[pool::find, lrn::find, resample::find, concat::find, piece::find, gate::find, channelwise::find];

/// Replaces what [`FOLDING`] and [`OTHERS`] know by operators that run on `isa`.
pub(crate) fn rewrite(model: &mut TypedModel, isa: Isa) -> TractResult<()> {
    let order = model.eval_order()?;
    let mut taken = vec![false; model.nodes().len()];
    let mut by_last = HashMap::new();
    let backwards = order.iter().rev().map(|&id| (FOLDING, id));
    for (finds, id) in backwards.chain(order.iter().map(|&id| (OTHERS, id))) {
        for find in finds {
            if taken[id] {
                break;
            }
            if let Some(found) = find(model, id, &taken, isa)? {
                found.members.iter().for_each(|&member| taken[member] = true);
                release(model, &found.members)?;
                // The layer is named for where it was found.
                let name = model.node(id).name.clone();
                by_last.insert(found.members[found.members.len() - 1], (name, found));
            }
        }
    }
    replace(model, &by_last)
}

/// Puts operators into `model`, named as given, each where the last of its members is.
pub(super) fn replace(model: &mut TypedModel, by_last: &HashMap<usize, (String, Found)>) -> TractResult<()> {
    let members = by_last.values().flat_map(|(_, found)| &found.members);
    let taken: HashSet<usize> = members.copied().collect();
    let mut rewritten = TypedModel { symbols: model.symbols.clone(), ..TypedModel::default() };
    let mut places: HashMap<OutletId, OutletId> = HashMap::new();
    for id in model.eval_order()? {
        let node = model.node(id);
        let facts = || node.outputs.iter().map(|output| output.fact.clone()).collect();
        let (new, inputs) = match by_last.get(&id) {
            Some((name, found)) => {
                let op = Own(found.operator.clone());
                (
                    rewritten.add_node(name.clone(), op, tvec!(f32::fact(found.operator.shape())))?,
                    &found.inputs,
                )
            }
            None if taken.contains(&id) => continue,
            None => {
                let new = rewritten.add_node(node.name.clone(), node.op.clone(), facts())?;
                (new, &node.inputs.iter().copied().collect())
            }
        };
        for (slot, input) in inputs.iter().enumerate() {
            rewritten.add_edge(places[input], InletId::new(new, slot))?;
        }
        for slot in 0..node.outputs.len() {
            places.insert(OutletId::new(id, slot), OutletId::new(new, slot));
        }
    }
    let inputs: Vec<OutletId> = model.inputs.iter().map(|outlet| places[outlet]).collect();
    let outputs: Vec<OutletId> = model.outputs.iter().map(|outlet| places[outlet]).collect();
    rewritten.set_input_outlets(&inputs)?;
    rewritten.select_output_outlets(&outputs)?;
    *model = rewritten;
    Ok(())
}

/// Gives up the constants that only `members` read: what replaces them keeps what it needs of them, packed. So the
/// weights of one layer at most are there twice.
fn release(model: &mut TypedModel, members: &[usize]) -> TractResult<()> {
    let read: Vec<usize> =
        members.iter().flat_map(|&id| &model.node(id).inputs).map(|outlet| outlet.node).collect();
    for id in read {
        let node = model.node_mut(id);
        let readers = &node.outputs[0].successors;
        if node.op_is::<Const>() && readers.iter().all(|reader| members.contains(&reader.node)) {
            node.op = Box::new(Const::new(rctensor0(0.0_f32))?);
            node.outputs[0].fact.konst = None;
        }
    }
    Ok(())
}

/// The shape of what an outlet carries, if it is known and made of 32-bit floats.
pub(super) fn floats(model: &TypedModel, outlet: OutletId) -> TractResult<Option<Vec<usize>>> {
    let fact = model.outlet_fact(outlet)?;
    if fact.datum_type != f32::datum_type() {
        return Ok(None);
    }
    Ok(fact.shape.as_concrete().map(<[usize]>::to_vec))
}

/// A product of something with constant weights of 32-bit floats: the operation, which of its inputs they are, and they.
pub(super) fn constant_weights(
    model: &TypedModel,
    id: usize,
) -> TractResult<Option<(&EinSum, usize, Arc<Tensor>)>> {
    let node = model.node(id);
    let Some(op) = node.op_as::<EinSum>().filter(|op| op.q_params.is_none()) else { return Ok(None) };
    let [left, right] = *node.inputs else { return Ok(None) };
    let konst = |outlet| model.outlet_fact(outlet).map(|fact| fact.konst.clone());
    let (slot, weights) = match (konst(left)?, konst(right)?) {
        (Some(weights), None) => (0, weights),
        (None, Some(weights)) => (1, weights),
        _ => return Ok(None),
    };
    Ok((weights.datum_type() == f32::datum_type()).then_some((op, slot, weights)))
}

/// A map of one image: its channels, rows, and width.
pub(super) fn as_map(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [1, channels, rows, width] | [channels, rows, width] => Some([channels, rows, width]),
        _ => None,
    }
}
