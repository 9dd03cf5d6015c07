//! How maps lie between operators: in planes, or in blocks of 16 channels side by side.
//!
//! A product of a map in blocks reads its inputs where they lie, and writes what it computes as it is computed; planes must be
//! gathered, and turned back. So a map lies in blocks wherever the operator that yields it and all that read it can do so:
//! between 1×1 layers, 3×3 layers, their sums and concatenations, pools, gates, and behind an image's first layer. The bits are the
//! same ([`collab_kernels::Layout`]).

use std::ops::Range;
use std::sync::Arc;

use collab_kernels::{Isa, Layout};
use tract_onnx::tract_core::internal::*;

use super::chain::as_map;
use super::{Operator, Own};

/// How the maps lie that an operator reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lies {
    /// Its first input.
    pub(crate) input: Layout,
    /// Its other inputs, if it has any, as what it adds: blocks if all of them are.
    pub(crate) added: Layout,
    /// What it yields.
    pub(crate) output: Layout,
}

impl Default for Lies {
    fn default() -> Self {
        Self { input: Layout::Planes, added: Layout::Planes, output: Layout::Planes }
    }
}

impl Lies {
    /// Of an operator that adds nothing and reads what lies so as what it yields.
    pub(crate) fn through(layout: Layout) -> Self {
        Self { input: layout, added: Layout::Planes, output: layout }
    }

    /// Of an operator that reads several that lie so, and yields the like.
    pub(crate) fn all(layout: Layout) -> Self {
        Self { input: layout, added: layout, output: layout }
    }

    /// Of its first input and what it yields.
    pub(crate) fn ends(self) -> [Layout; 2] {
        [self.input, self.output]
    }

    /// The same with fewer and fewer maps in blocks, those that it reads last: others read these too.
    fn fewer(self) -> impl Iterator<Item = Self> {
        let unless = |left_out: bool, layout| if left_out { Layout::Planes } else { layout };
        (0..8).map(move |left_out| Self {
            input: unless(left_out & 4 != 0, self.input),
            added: unless(left_out & 2 != 0, self.added),
            output: unless(left_out & 1 != 0, self.output),
        })
    }
}

/// An operator among others.
pub(crate) struct Among<'a> {
    /// `None` for one of the engine's, which knows planes only.
    pub(crate) operator: Option<&'a dyn Operator>,
    /// The numbers of those that yield what it reads; `None` for what none of them does.
    pub(crate) inputs: TVec<Option<usize>>,
    /// Whether what it yields is read elsewhere.
    pub(crate) yields: bool,
}

/// How the map lies that each of `nodes` yields, on a processor that has all kernels.
pub(crate) fn choose(nodes: &[Among<'_>]) -> Vec<Layout> {
    let mut layouts: Vec<Layout> = nodes.iter().map(at_best).collect();
    loop {
        let before = layouts.clone();
        for (id, node) in nodes.iter().enumerate() {
            let lies = lies(id, node, &layouts);
            let suits = |lies: &Lies| match node.operator {
                Some(operator) => operator.suits(lies),
                None => *lies == Lies::default(),
            };
            let Lies { input, added, output } = lies.fewer().find(suits).unwrap_or_default();
            layouts[id] = output;
            for (slot, &from) in node.inputs.iter().enumerate() {
                let layout = if slot == 0 { input } else { added };
                if let (Some(from), Layout::Planes) = (from, layout) {
                    layouts[from] = Layout::Planes;
                }
            }
        }
        if layouts == before {
            return layouts;
        }
    }
}

/// Blocks, if all of them are whole, and nobody expects planes.
fn at_best(node: &Among<'_>) -> Layout {
    let map = node.operator.and_then(|operator| as_map(operator.shape()));
    let [_, each] = Layout::Blocks.as_planes(1, 1);
    match map {
        Some([channels, ..]) if channels.is_multiple_of(each) && !node.yields => Layout::Blocks,
        _ => Layout::Planes,
    }
}

/// How the maps of node number `id` lie.
pub(crate) fn lies(id: usize, node: &Among<'_>, layouts: &[Layout]) -> Lies {
    let layout = |from: &Option<usize>| from.map_or(Layout::Planes, |from| layouts[from]);
    let mut others = node.inputs.iter().skip(1).map(layout);
    let all = others.len() > 0 && others.all(|other| other == Layout::Blocks);
    Lies {
        input: node.inputs.first().map_or(Layout::Planes, layout),
        added: if all { Layout::Blocks } else { Layout::Planes },
        output: layouts[id],
    }
}

/// Has the operators of a strip pass blocks on, where this processor has the kernels.
pub(crate) fn lay_out(model: &mut TypedModel) -> TractResult<()> {
    let order = model.eval_order()?;
    let mut numbers = vec![None; model.nodes().len()];
    order.iter().enumerate().for_each(|(number, &id)| numbers[id] = Some(number));
    let nodes: Vec<Among<'_>> = order.iter().map(|&id| among(model, id, &numbers)).collect();
    let layouts = choose(&nodes);
    let mut made = Vec::new();
    for (number, (node, &id)) in nodes.iter().zip(&order).enumerate() {
        let lies = lies(number, node, &layouts);
        if lies != Lies::default() {
            let Some(operator) = node.operator.and_then(|operator| operator.laid_out(lies)) else {
                return Ok(());
            };
            made.push((id, operator));
        }
    }
    drop(nodes);
    for (id, operator) in made {
        model.node_mut(id).op = Box::new(Own(operator));
    }
    Ok(())
}

fn among<'a>(model: &'a TypedModel, id: usize, numbers: &[Option<usize>]) -> Among<'a> {
    let node = model.node(id);
    Among {
        operator: node.op_as::<Own>().map(|own| &*own.0),
        inputs: node.inputs.iter().map(|input| numbers[input.node]).collect(),
        yields: model.outputs.iter().any(|outlet| outlet.node == id),
    }
}

/// `operator`, whose maps may lie in blocks, where vectors of `isa` hold one.
pub(super) fn where_blocks_fit(isa: Isa, operator: impl Operator) -> Option<Arc<dyn Operator>> {
    (isa == Isa::Avx512).then(|| Arc::new(operator) as Arc<dyn Operator>)
}

/// The planes that hold `channels` of a map that lies so.
pub(super) fn planes_of(layout: Layout, channels: &Range<usize>) -> Range<usize> {
    let [start, end] = [channels.start, channels.end].map(|channel| layout.as_planes(channel, 1)[0]);
    start..end
}

/// The channels, of `all`, that `planes` of a map hold that lies so.
pub(super) fn channels_of(layout: Layout, planes: &Range<usize>, all: usize) -> Range<usize> {
    let [_, each] = layout.as_planes(1, 1);
    planes.start * each..(planes.end * each).min(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::stand_in::{Except, StandIn};

    const ANY: Except = |_| false;
    const PLANES: Except = |_| true;

    /// Which maps lie in blocks, of nodes with so many channels, exceptions and inputs; the last yields the output.
    fn blocks(nodes: &[(usize, Except, &[usize])]) -> Vec<usize> {
        let stand_in = |&(channels, except, _): &(usize, Except, &[usize])| StandIn {
            shape: vec![channels, 8, 8],
            concatenates: false,
            begins: None,
            overwrites: false,
            except,
        };
        let operators: Vec<StandIn> = nodes.iter().map(stand_in).collect();
        let among: Vec<Among<'_>> = (0..nodes.len())
            .map(|id| Among {
                operator: Some(&operators[id]),
                inputs: nodes[id].2.iter().map(|&from| Some(from)).collect(),
                yields: id + 1 == nodes.len(),
            })
            .collect();
        let layouts = choose(&among);
        (0..nodes.len()).filter(|&id| layouts[id] == Layout::Blocks).collect()
    }

    #[test]
    fn a_map_lies_in_blocks_where_all_that_write_and_read_it_know_them() {
        assert_eq!(blocks(&[(16, ANY, &[]), (32, ANY, &[0]), (16, PLANES, &[1]), (16, ANY, &[2])]), [0]);
        assert_eq!(blocks(&[(16, ANY, &[]), (16, ANY, &[0]), (16, PLANES, &[0]), (16, ANY, &[1, 2])]), [1]);
    }

    #[test]
    fn a_map_of_broken_blocks_and_what_is_yielded_lie_in_planes() {
        assert_eq!(blocks(&[(24, ANY, &[]), (16, ANY, &[0]), (16, ANY, &[1])]), [1]);
    }

    #[test]
    fn who_takes_several_alike_takes_blocks_if_all_of_them_are() {
        let alike = |lies: &Lies| *lies != Lies::all(Layout::Blocks);
        let of = |third: Except| {
            let nodes = [
                (16, ANY, &[][..]),
                (16, ANY, &[]),
                (16, third, &[]),
                (48, alike, &[0, 1, 2]),
                (16, ANY, &[3]),
            ];
            blocks(&nodes)
        };
        assert_eq!(of(ANY), [0, 1, 2, 3]);
        assert_eq!(of(PLANES), [0; 0]);
    }

    #[test]
    fn who_yields_and_adds_alike_gives_up_what_it_yields_first() {
        let alike = |lies: &Lies| lies.added == Layout::Planes && lies.output == Layout::Blocks;
        // The sum's second input comes from one that knows planes only, so the sum lies in planes, too.
        assert_eq!(blocks(&[(16, PLANES, &[]), (16, ANY, &[0]), (16, alike, &[1, 0]), (16, ANY, &[2])]), [1]);
        assert_eq!(
            blocks(&[(16, ANY, &[]), (16, ANY, &[0]), (16, alike, &[1, 0]), (16, ANY, &[2])]),
            [0, 1, 2]
        );
    }
}
