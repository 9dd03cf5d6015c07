//! From layers, and the rows that are asked of each, to a graph of the engine.

use std::ops::Range;

use collab_core::network::Demand;
use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;

use super::{Form, Wiring, form};
use crate::graph::{Graph, Source, cut};
use crate::packs::Packs;
use crate::rows::Part;

/// What is held of a step's output.
type Held = Option<(OutletId, Rows)>;

/// Wires the layers `layers` for what `demand` asks of each.
pub(super) fn wire(
    graph: &Graph,
    packs: &Packs,
    layers: Range<usize>,
    demand: &Demand,
    input: &Form,
) -> TractResult<TypedModel> {
    let mut wiring = Wiring::new(packs);
    let source = (wiring.source(&input.shape)?, demand.input);
    let before = layers.start.checked_sub(1).and_then(|layer| graph.members[layer].last().copied());
    let mut held: Vec<Held> = vec![None; graph.steps.len()];
    if let Some(step) = before {
        held[step] = Some(source);
    }
    let mut output = source.0;
    for (layer, &rows) in layers.zip(&demand.layers) {
        wiring.enter(layer);
        let members = &graph.members[layer];
        let wanted = within(graph, members, rows);
        for (&member, &rows) in members.iter().zip(&wanted) {
            let step = &graph.steps[member];
            let mut parts = Vec::new();
            for (place, origin) in step.sources.iter().enumerate() {
                let (there, along) = match origin {
                    Source::Konst(tensor) => {
                        parts.push(Part::Konst(tensor));
                        continue;
                    }
                    Source::Input => (Some(source), graph.input_along),
                    Source::Step(from) => (held[*from], graph.steps[*from].split.along),
                };
                let (wire, there) =
                    there.with_context(|| format!("`{}` reads what is not there", step.name))?;
                let total = match origin {
                    Source::Step(from) => cut(&graph.steps[*from].shape, along).rows,
                    _ => input.cut.rows,
                };
                let need = step.split.needs[place].need(rows, total);
                let wire = match along.axis() {
                    Some(axis) => wiring.take(wire, axis, there, need)?,
                    None => wire,
                };
                parts.push(Part::Held { wire, rows: need });
            }
            let (mut wire, made) = step.split.by.wire(&mut wiring, &parts, rows)?;
            wire.slot = step.slot;
            if let Some(axis) = step.split.along.axis() {
                wire = wiring.take(wire, axis, made, rows)?;
            }
            held[member] = Some((wire, rows));
            output = wire;
        }
    }
    wiring.finish(output)
}

/// The rows that each member of a layer computes for rows `rows` of the layer's output.
fn within(graph: &Graph, members: &[usize], rows: Rows) -> Vec<Rows> {
    let mut wanted = vec![Rows::EMPTY; members.len()];
    if let Some(last) = wanted.last_mut() {
        *last = rows;
    }
    for place in (0..members.len()).rev() {
        let step = &graph.steps[members[place]];
        for (source, map) in step.sources.iter().zip(&step.split.needs) {
            let Source::Step(from) = source else { continue };
            if let Ok(inside) = members.binary_search(from) {
                let total = cut(&graph.steps[*from].shape, graph.steps[*from].split.along).rows;
                wanted[inside] = wanted[inside].hull(map.need(wanted[place], total));
            }
        }
    }
    wanted
}

/// Every step as it was loaded.
pub(super) fn uncut(graph: &Graph, packs: &Packs) -> TractResult<(TypedModel, Form)> {
    let mut wiring = Wiring::new(packs);
    let source = wiring.source(&graph.input)?;
    let mut wires = vec![source; graph.steps.len()];
    for (layer, members) in graph.members.iter().enumerate() {
        wiring.enter(layer);
        for &member in members {
            let step = &graph.steps[member];
            let mut feeds = TVec::new();
            for origin in &step.sources {
                feeds.push(match origin {
                    Source::Input => source,
                    Source::Step(from) => wires[*from],
                    Source::Konst(tensor) => wiring.konst(tensor)?,
                });
            }
            let wire = wiring.op(step.op.clone(), &feeds)?;
            wires[member] = OutletId::new(wire.node, step.slot);
        }
    }
    let tensor = graph.tensor(Some(graph.members.len() - 1));
    let rows = cut(tensor.0, tensor.1).rows;
    let model = wiring.finish(wires[graph.steps.len() - 1])?;
    Ok((model, form(tensor, Rows::all(rows))))
}
