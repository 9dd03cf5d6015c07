//! Where the maps of a run lie.

use std::ops::Range;

use tract_onnx::tract_core::internal::*;

use super::Own;
use super::arena::{LINE, Lent, Part};

/// Where each map of a strip's runs lies, fixed once the strip is prepared.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Of each node of the graph; none where it has memory of its own.
    of: Vec<Option<Place>>,
    /// Values that maps between operators take.
    pub(super) values: usize,
    /// Values of what the run yields, where several operators write it.
    pub(super) output: usize,
}

/// Where one map lies.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) lent: Lent,
    /// Whether it needs no computing: it is the concatenation of maps that were written there side by side, or a stretch of
    /// a map.
    pub(super) filled: bool,
    /// Whether it is written over its operator's first input.
    pub(super) over: bool,
}

impl Places {
    /// Those of `model`, whose nodes are computed in `order`. `inner` says of each node whether only operators of ours
    /// read what it yields.
    pub(crate) fn of(model: &TypedModel, order: &[usize], inner: &[bool]) -> Self {
        let mut lending = Lending::new(model, order, inner);
        for (step, &id) in order.iter().enumerate() {
            lending.lend(step, id);
            lending.take_back(step, id);
        }
        lending.places
    }

    /// That of what node `id` yields.
    pub(crate) fn get(&self, id: usize) -> Option<&Place> {
        self.of[id].as_ref()
    }
}

/// Gives each node its place, in the order in which they are computed.
struct Lending<'a> {
    model: &'a TypedModel,
    inner: &'a [bool],
    /// The step that reads each node's map last.
    read: Vec<usize>,
    /// The map of which each node yields a stretch.
    whole: Vec<Option<usize>>,
    joined: Vec<Joined>,
    /// What is lent at the moment, in order of place, and to which nodes: those that are part of no other map.
    lent: Vec<Range<usize>>,
    begun: Vec<Option<Lent>>,
    places: Places,
}

impl<'a> Lending<'a> {
    fn new(model: &'a TypedModel, order: &[usize], inner: &'a [bool]) -> Self {
        let nodes = model.nodes().len();
        let mut read = vec![0; nodes];
        for (step, &id) in order.iter().enumerate() {
            model.node(id).inputs.iter().for_each(|input| read[input.node] = step);
        }
        let whole = wholes(model, order, inner);
        for &id in order.iter().rev() {
            let Some(from) = whole[id] else { continue };
            // A map is read as long as a stretch of it is.
            read[from] = read[from].max(read[id]);
        }
        let joined = joined(model, order, inner, &read, &whole);
        let places = Places { of: vec![None; nodes], ..Places::default() };
        Self { model, inner, read, whole, joined, lent: Vec::new(), begun: vec![None; nodes], places }
    }

    /// Gives what node `id` yields its place.
    fn lend(&mut self, step: usize, id: usize) {
        self.places.of[id] = if let Some(from) = self.whole[id] {
            self.places.of[from].as_ref().and_then(|from| stretch(self.model, id, from))
        } else if let Some(from) = self.overwritten(step, id) {
            self.begun[id] = self.begun[from].take();
            self.begun[id].clone().map(|lent| Place { lent, filled: false, over: true })
        } else {
            self.place_within(id)
        };
    }

    /// The node whose map node `id` is written over: one of its size that nobody reads otherwise.
    fn overwritten(&self, step: usize, id: usize) -> Option<usize> {
        let from = overwritten(self.model, id)?;
        let alone = self.joined[id].part_of.is_none() && self.inner[id];
        let last = self.read[from] == step && self.joined[from].part_of.is_none();
        let lies = self.begun[from].as_ref().is_some_and(|all| all.part == Part::Run);
        let apart = self.model.node(id).inputs.iter().all(|input| self.whole[input.node] != Some(from));
        let fits = values(self.model, from) == values(self.model, id);
        (alone && last && lies && apart && fits).then_some(from)
    }

    /// A place of its own for node `id`, or its part of the map that it is part of, which begins with its first part.
    fn place_within(&mut self, id: usize) -> Option<Place> {
        let (mut root, mut offset) = (id, 0);
        while let Some((whole, before)) = self.joined[root].part_of {
            (root, offset) = (whole, offset + before);
        }
        if !self.inner[root] && !self.joined[root].filled {
            return None;
        }
        let len = values(self.model, id)?;
        let whole = values(self.model, root).unwrap_or(len);
        let all = self.begun[root].get_or_insert_with(|| match self.inner[root] {
            true => Lent { part: Part::Run, at: lowest_free(&mut self.lent, whole) },
            false => Lent { part: Part::Output, at: 0..whole },
        });
        match all.part {
            Part::Run => self.places.values = self.places.values.max(all.at.end),
            Part::Output => self.places.output = whole,
        }
        let start = all.at.start + offset;
        let lent = Lent { part: all.part, at: start..start + len };
        Some(Place { lent, filled: self.joined[id].filled, over: false })
    }

    /// Takes back the places of what node `id` is the last to read.
    fn take_back(&mut self, step: usize, id: usize) {
        let inputs = &self.model.node(id).inputs;
        for input in inputs.iter().map(|input| self.whole[input.node].unwrap_or(input.node)) {
            let ends = self.read[input] == step && self.joined[input].part_of.is_none();
            if let Some(all) = self.begun[input].as_ref().filter(|_| ends) {
                self.lent.retain(|at| *at != all.at);
            }
        }
    }
}

/// What a node's map has to do with concatenations that copy nothing.
#[derive(Clone, Debug, Default)]
struct Joined {
    /// It is made of maps that are written in their places.
    filled: bool,
    /// It is part of what another node yields, after so many values.
    part_of: Option<(usize, usize)>,
}

/// The map of which each node yields a stretch that its readers can read as it lies.
fn wholes(model: &TypedModel, order: &[usize], inner: &[bool]) -> Vec<Option<usize>> {
    let mut whole = vec![None; model.nodes().len()];
    for &id in order {
        let stretch = model.node(id).op_as::<Own>().is_some_and(|own| own.0.begins().is_some());
        if let (true, [input, ..]) = (stretch && inner[id], &*model.node(id).inputs) {
            let from = input.node;
            let placed = inner[from] && values(model, from).is_some() && whole[from].is_none();
            whole[id] = placed.then_some(from);
        }
    }
    whole
}

/// Where what node `id` yields lies in the map that lies at `from`.
fn stretch(model: &TypedModel, id: usize, from: &Place) -> Option<Place> {
    let start = from.lent.at.start + model.node(id).op_as::<Own>()?.0.begins()?;
    let lent = Lent { part: from.lent.part, at: start..start + values(model, id)? };
    Some(Place { lent, filled: true, over: false })
}

/// The node whose map node `id` may write over, if it is not read otherwise.
fn overwritten(model: &TypedModel, id: usize) -> Option<usize> {
    let node = model.node(id);
    let first = node.op_as::<Own>().filter(|own| own.0.overwriting().is_some()).and(node.inputs.first())?;
    let once = node.inputs.iter().filter(|input| *input == first).count() == 1;
    once.then_some(first.node)
}

/// Finds the concatenations all of whose inputs can be written where they belong, as nobody reads them later. `read` is
/// the step that reads each node's map last, `whole` what it is a stretch of.
fn joined(
    model: &TypedModel,
    order: &[usize],
    inner: &[bool],
    read: &[usize],
    whole: &[Option<usize>],
) -> Vec<Joined> {
    let mut joined = vec![Joined::default(); model.nodes().len()];
    // From the end, so that one that is part of another knows it.
    for (step, &id) in order.iter().enumerate().rev() {
        let node = model.node(id);
        let concatenates = node.op_as::<Own>().is_some_and(|own| own.0.concatenates());
        let yielded = model.outputs[..] == [OutletId::new(id, 0)] && node.outputs[0].successors.is_empty();
        let fits = node.inputs.iter().all(|input| {
            let once = node.inputs.iter().filter(|other| *other == input).count() == 1;
            let apart = joined[input.node].part_of.is_none() && whole[input.node].is_none();
            let free = apart && read[input.node] == step;
            once && free && inner[input.node] && values(model, input.node).is_some()
        });
        if !concatenates || node.inputs.len() < 2 || !(inner[id] || yielded) || !fits {
            continue;
        }
        joined[id].filled = true;
        let mut before = 0;
        for input in &node.inputs {
            joined[input.node].part_of = Some((id, before));
            before += values(model, input.node).unwrap_or(0);
        }
    }
    joined
}

/// Values that node `id` yields, if it is an operator of ours.
fn values(model: &TypedModel, id: usize) -> Option<usize> {
    Some(model.node(id).op_as::<Own>()?.0.shape().iter().product())
}

/// Lends the lowest free place for `len` values.
fn lowest_free(lent: &mut Vec<Range<usize>>, len: usize) -> Range<usize> {
    let (mut start, mut index) = (0, 0);
    while let Some(next) = lent.get(index).filter(|next| next.start < start + len) {
        (start, index) = (next.end.next_multiple_of(LINE), index + 1);
    }
    lent.insert(index, start..start + len);
    start..start + len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::stand_in::StandIn;

    /// A graph of nodes, each of so many values (negative where it concatenates) and with its inputs; the last yields the
    /// output. Where each begins, if it has a place, and the places.
    fn begins(nodes: &[(i32, &[usize])]) -> (Vec<Option<(Part, usize)>>, Places) {
        begins_with(nodes, &[], &[])
    }

    /// The same, where some nodes yield a stretch of their input that begins after so many values, and others overwrite
    /// theirs.
    fn begins_with(
        nodes: &[(i32, &[usize])],
        stretches: &[(usize, usize)],
        overwrite: &[usize],
    ) -> (Vec<Option<(Part, usize)>>, Places) {
        let mut model = TypedModel::default();
        let begins = |node| stretches.iter().find(|(id, _)| *id == node).map(|(_, begins)| *begins);
        for (id, (len, inputs)) in nodes.iter().enumerate() {
            let shape = vec![len.unsigned_abs() as usize];
            let fact = f32::fact(&shape);
            let yields = StandIn {
                shape,
                concatenates: *len < 0,
                begins: begins(id),
                overwrites: overwrite.contains(&id),
                except: |_| true,
            };
            let node = model.add_node(format!("{id}"), Own::new(yields), tvec!(fact)).unwrap();
            for (slot, &input) in inputs.iter().enumerate() {
                model.add_edge(OutletId::new(input, 0), InletId::new(node, slot)).unwrap();
            }
        }
        model.select_output_outlets(&[OutletId::new(nodes.len() - 1, 0)]).unwrap();
        let order: Vec<usize> = (0..nodes.len()).collect();
        let inner: Vec<bool> = order.iter().map(|&id| id + 1 < nodes.len()).collect();
        let places = Places::of(&model, &order, &inner);
        let begins = |id| places.get(id).map(|place| (place.lent.part, place.lent.at.start));
        (order.iter().map(|&id| begins(id)).collect(), places)
    }

    #[test]
    fn a_map_takes_the_lowest_place_that_nobody_reads_any_more() {
        let nodes: &[(i32, &[usize])] = &[
            (100, &[]),
            (30, &[0]),
            (200, &[0, 1]),
            // The last reader of the first.
            (3, &[0, 2]),
            (101, &[2]),
            (12, &[2, 3]),
            (1, &[4, 5]),
        ];
        let (begins, places) = begins(nodes);
        let at = |begins: Option<(Part, usize)>| begins.map(|(_, at)| at);
        assert_eq!(at(begins[1]), Some(112), "behind the first, which is still read, on a cache line");
        assert_eq!(at(begins[2]), Some(144), "behind both");
        assert_eq!(at(begins[3]), Some(112), "where the second was");
        assert_eq!(at(begins[4]), Some(0), "where the first was");
        assert_eq!(at(begins[5]), Some(128));
        assert_eq!(begins[6], None, "what the run yields has memory of its own");
        assert_eq!((places.values, places.output), (344, 0));
    }

    #[test]
    fn maps_that_are_concatenated_are_written_side_by_side() {
        // The second concatenation takes the first as a part, which is read by another before.
        let nodes: &[(i32, &[usize])] =
            &[(10, &[]), (20, &[0]), (30, &[0]), (-50, &[1, 2]), (5, &[3]), (-55, &[3, 4]), (1, &[5])];
        let (begins, places) = begins(nodes);
        let starts: Vec<Option<usize>> = begins[..6].iter().map(|begin| begin.map(|(_, at)| at)).collect();
        assert_eq!(starts, [0, 16, 36, 16, 66, 16].map(Some));
        let filled: Vec<bool> = (0..6).map(|id| places.get(id).unwrap().filled).collect();
        assert_eq!(filled, [false, false, false, true, false, true]);
        assert_eq!(places.values, 71);
    }

    #[test]
    fn what_a_run_yields_is_written_side_by_side_and_what_is_read_later_is_copied() {
        let (begins, places) = begins(&[(10, &[]), (20, &[0]), (-30, &[0, 1])]);
        assert_eq!(begins, [0, 10, 0].map(|at| Some((Part::Output, at))));
        assert_eq!((places.values, places.output), (0, 30));
        let (begins, places) = self::begins(&[(10, &[]), (20, &[0]), (-30, &[0, 1]), (1, &[0, 2])]);
        assert_eq!(begins[2], Some((Part::Run, 48)));
        assert!(!places.get(2).unwrap().filled);
    }

    #[test]
    fn a_stretch_lies_where_its_map_does_which_stays_as_long_as_it_is_read() {
        let nodes: &[(i32, &[usize])] =
            &[(64, &[]), (32, &[0]), (32, &[0]), (20, &[2]), (32, &[1, 3]), (1, &[4])];
        let (begins, places) = begins_with(nodes, &[(1, 0), (2, 32)], &[]);
        let at: Vec<Option<usize>> = begins.iter().map(|begin| begin.map(|(_, at)| at)).collect();
        assert_eq!(at[..5], [0, 0, 32, 64, 96].map(Some), "the first half is read until the fifth is there");
        assert!(places.get(1).unwrap().filled && places.get(2).unwrap().filled);
        // A concatenation copies it, as it lies elsewhere already.
        let (begins, places) =
            begins_with(&[(64, &[]), (32, &[0]), (16, &[0]), (-48, &[1, 2]), (1, &[3])], &[(1, 0)], &[]);
        assert!(!places.get(3).unwrap().filled);
        assert_eq!(begins[3], Some((Part::Run, 80)));
    }

    #[test]
    fn a_map_is_written_over_one_of_its_size_that_nobody_reads_later() {
        let nodes: &[(i32, &[usize])] =
            &[(64, &[]), (4, &[0]), (64, &[0, 1]), (64, &[2, 1]), (64, &[2, 3]), (1, &[4])];
        let (begins, places) = begins_with(nodes, &[], &[2, 3]);
        let over: Vec<bool> = (0..5).map(|id| places.get(id).unwrap().over).collect();
        assert_eq!(over, [false, false, true, false, false], "the fourth's is read by the fifth");
        assert_eq!([begins[0], begins[2]], [Some((Part::Run, 0)); 2]);
        assert_eq!([begins[3], begins[4]], [80, 144].map(|at| Some((Part::Run, at))));
        let (_, places) = begins_with(&[(64, &[]), (32, &[0]), (32, &[1]), (32, &[1, 2])], &[(1, 0)], &[2]);
        assert!(!places.get(2).unwrap().over, "a stretch of another map stays");
    }
}
