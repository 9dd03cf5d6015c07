//! Which operators of a strip are computed together in [`Bands`].

use std::collections::HashMap;
use std::sync::Arc;

use collab_core::network::BANDED_BYTES;
use tract_onnx::tract_core::internal::*;

use super::Own;
use super::bands::{Bands, Stage};
use super::chain::{Found, replace};
use super::fold::only_reader;

/// What stands between the names of operators that are computed together.
pub(crate) const BETWEEN: char = ' ';

/// Joins operators of a strip that pass large maps on. A joined one is named for all of them.
pub(crate) fn join(model: &mut TypedModel) -> TractResult<()> {
    let mut taken = vec![false; model.nodes().len()];
    let mut by_last = HashMap::new();
    for id in model.eval_order()? {
        if taken[id] {
            continue;
        }
        if let Some((members, bands)) = longest(model, id) {
            members.iter().for_each(|&member| taken[member] = true);
            let names: Vec<&str> = members.iter().map(|&member| &*model.node(member).name).collect();
            let name = names.join(&BETWEEN.to_string());
            let inputs = inputs(model, &members);
            let found = Found { operator: Arc::new(bands), inputs, members };
            by_last.insert(found.members[found.members.len() - 1], (name, found));
        }
    }
    if by_last.is_empty() { Ok(()) } else { replace(model, &by_last) }
}

/// As many operators as can be joined from node `first` on.
fn longest(model: &TypedModel, first: usize) -> Option<(Vec<usize>, Bands)> {
    let (mut members, mut joined) = (vec![first], None);
    while let Some(Next { node, large }) = next(model, members[members.len() - 1]) {
        members.push(node);
        match Bands::of(stages(model, &members)?) {
            Some(bands) if large || bands.end_in_blocks() => joined = Some(bands),
            _ => {
                members.pop();
                break;
            }
        }
    }
    joined.map(|bands| (members, bands))
}

/// An operator that may be joined to the one before it.
struct Next {
    node: usize,
    /// Whether the map between is large, so that it may be joined in any case.
    large: bool,
}

/// The node that alone reads what node `id` yields, if that is large and the weights of both are not, which pass by once
/// a band; or if both may take it in blocks, which hangs on how `id` reads its own.
fn next(model: &TypedModel, id: usize) -> Option<Next> {
    let reader = only_reader(model, id).filter(|reader| reader.slot == 0)?;
    let [from, to] = [id, reader.node].map(|id| model.node(id).op_as::<Own>());
    let (from, to) = (&from?.0, &to?.0);
    let bytes = (size_of::<f32>() * from.shape().iter().product::<usize>()) as u64;
    let large = bytes >= BANDED_BYTES && [from, to].iter().all(|operator| operator.kept() <= bytes);
    let [from, to] = [from.clone().banded()?, to.clone().banded()?];
    (large || from.passes_blocks_to(from.lies().input, &*to)).then_some(Next { node: reader.node, large })
}

/// The first input of the first of `members`, then what they add, in order.
fn inputs(model: &TypedModel, members: &[usize]) -> TVec<OutletId> {
    let first = model.node(members[0]).inputs[0];
    let others = members.iter().flat_map(|&member| model.node(member).inputs.iter().skip(1));
    std::iter::once(first).chain(others.copied()).collect()
}

/// `members` one after the other, if each can be computed in bands.
fn stages(model: &TypedModel, members: &[usize]) -> Option<Vec<Stage>> {
    let mut inputs = 1;
    let stages = members.iter().map(|&member| {
        let node = model.node(member);
        let operator = node.op_as::<Own>()?.0.clone().banded()?;
        let residual = (node.inputs.len() > 1).then_some(inputs);
        inputs += node.inputs.len() - 1;
        Stage::new(operator, residual)
    });
    stages.collect()
}

#[cfg(test)]
mod tests {
    use collab_core::id::Digest;
    use collab_core::network::Term;
    use collab_kernels::Isa;

    use super::*;
    use crate::recipe::graph::{Conv, Graph};
    use crate::recipe::weights::Weights;
    use crate::{LoadOptions, Model, Strip, catalogue};

    /// The layers of every node that several were joined in.
    fn joined(strip: &Strip) -> Vec<Vec<&str>> {
        let names = strip.names().filter(|name| name.contains(BETWEEN));
        names
            .map(|name| name.split(BETWEEN).filter_map(|name| Some(name.split_once(':')?.0)).collect())
            .collect()
    }

    #[test]
    fn layers_that_pass_large_maps_on_are_joined_and_others_are_not() {
        let entry = catalogue::find("tiny_face_detector").unwrap();
        let model = Model::load_for(&entry.bytes(7), &LoadOptions::default(), Isa::Plain).unwrap();
        let whole = model.whole().unwrap();
        // The first joins would have bands of more than a second-level cache if they went on after the second pool.
        assert_eq!(
            joined(&whole),
            [vec!["0", "1", "2", "3", "4", "5"], vec!["6", "7", "8"], vec!["10", "11"]]
        );
        let rows = collab_core::rows::Rows::new(0, 1);
        assert!(joined(&model.strip(0..3, rows).unwrap()).is_empty(), "maps of a few rows are small");
    }

    #[test]
    fn depthwise_layers_are_joined_with_products_where_vectors_hold_a_block() {
        let entry = catalogue::find("mobilenet_v2").unwrap();
        for isa in Isa::available() {
            let model = Model::load_for(&entry.bytes(7), &LoadOptions::default(), isa).unwrap();
            let whole = model.whole().unwrap();
            let joined = joined(&whole);
            let last = joined.last().unwrap().iter().filter_map(|layer| layer.parse::<usize>().ok());
            let layers: Vec<&str> = last.map(|layer| &*model.network().layers[layer].name).collect();
            if isa == Isa::Avx512 {
                assert_eq!(joined.len(), 17, "one for each inverted bottleneck: {joined:?}");
                assert_eq!(layers, ["stage7.0.expand", "stage7.0.depthwise", "stage7.0.project"]);
            } else {
                assert!(joined.len() < 6, "large maps only: {joined:?}");
            }
        }
    }

    #[test]
    fn a_product_between_depthwise_layers_passes_blocks_on_and_is_stated_so() {
        let id = Digest([5; 32]);
        let (mut graph, mut map) = Graph::reading("turns", Weights::new(id), vec![32, 20, 20]);
        for (name, kernel, groups) in [("a", 3, 32), ("b", 1, 1), ("c", 3, 32), ("d", 1, 1)] {
            map = graph.conv(name, &map, Conv::same(32, kernel).groups(groups));
        }
        let model = Model::from_onnx(graph.finish(&map), id, &LoadOptions::default()).unwrap();
        for (depthwise, turned) in [(0, true), (2, false)] {
            let work = model.network().work(depthwise);
            let counts = |term| work.iter().any(|work| work.term == term);
            assert_eq!(counts(Term::DepthwiseCopied), turned, "{depthwise}: {work:?}");
            assert!(!counts(Term::DepthwiseValues), "{depthwise}: {work:?}");
        }
        if Isa::best() == Isa::Avx512 {
            assert_eq!(joined(&model.whole().unwrap()), [vec!["0", "1", "2", "3"]]);
        }
    }

    #[test]
    fn groups_of_whole_blocks_between_products_turn_nothing_and_are_stated_so() {
        let id = Digest([6; 32]);
        let (mut graph, mut map) = Graph::reading("groups", Weights::new(id), vec![64, 20, 20]);
        for (name, kernel, groups) in [("a", 1, 1), ("b", 3, 4), ("c", 1, 1)] {
            map = graph.conv(name, &map, Conv::same(64, kernel).groups(groups));
        }
        let model = Model::from_onnx(graph.finish(&map), id, &LoadOptions::default()).unwrap();
        if Isa::best() == Isa::Avx512 {
            let work = model.network().work(1);
            let amount =
                |term| work.iter().filter(|work| work.term == term).map(|work| work.amount(20)).sum::<f64>();
            assert_eq!(amount(Term::BlockMacs), f64::from(64 * 16 * 9 * 20 * 20));
            assert_eq!(amount(Term::DepthwiseCopied) + amount(Term::WinogradMacs), 0.0);
            assert_eq!(joined(&model.whole().unwrap()), [vec!["0", "1", "2"]]);
        }
    }
}
