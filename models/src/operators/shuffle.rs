//! Shuffles of channels: split in groups, the two axes swapped, merged again. Whoever yields the map writes each plane where it
//! belongs, so that nothing is moved.

use tract_onnx::tract_core::internal::*;

use super::fold::only_reader;

/// A shuffle of the channels that node `last` yields, as its only readers do it. Its nodes, and where each channel goes.
pub(super) fn after(
    model: &TypedModel,
    last: usize,
    taken: &[bool],
) -> TractResult<Option<(Vec<usize>, Vec<usize>)>> {
    let mut members = vec![last];
    let mut ops = Vec::new();
    for _ in 0..3 {
        let next = only_reader(model, members[members.len() - 1]).filter(|next| !taken[next.node]);
        let Some(next) = next else { return Ok(None) };
        let Some(op) = model.node(next.node).op_as::<AxisOp>() else { return Ok(None) };
        members.push(next.node);
        ops.push(op);
    }
    let [AxisOp::Reshape(at, _, split), AxisOp::Move(from, to), AxisOp::Reshape(back, _, merged)] = &ops[..]
    else {
        return Ok(None);
    };
    let swapped = [(*at, at + 1), (at + 1, *at)].contains(&(*from, *to));
    let channels = model.node(last).outputs[0].fact.shape.rank().checked_sub(3);
    let ([groups, each], [all]) = (&split[..], &merged[..]) else { return Ok(None) };
    if !swapped || at != back || Some(*at) != channels {
        return Ok(None);
    }
    let (groups, each, all) = (groups.to_usize()?, each.to_usize()?, all.to_usize()?);
    if groups * each != all {
        return Ok(None);
    }
    members.remove(0);
    Ok(Some((members, (0..all).map(|channel| channel % each * groups + channel / each).collect())))
}
