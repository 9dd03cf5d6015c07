//! One stretch of memory for all maps that pass from one operator of ours to another within a run.
//!
//! A map's place is free for the next as soon as its last reader has read it, and the lowest place that is free and
//! large enough is taken. So a run touches little more memory than the largest maps that live at the same time, and
//! finds it in a cache: a map of memory of its own is fetched from beyond the caches in every run, which took pools
//! and depthwise layers of wide maps three times as long. The engine passes such a map on as a tensor without values
//! ([`Lent`]), so it is lent only where every reader is an operator of ours.

use std::fmt;
use std::ops::Range;

use tract_onnx::tract_core::internal::*;

use super::Own;
use crate::spares::Spares;

/// Memory for the maps of one run at a time.
#[derive(Debug, Default)]
pub(super) struct Arena {
    memory: Tensor,
    /// Places of maps that somebody may still read, in order.
    lent: Vec<Range<usize>>,
    /// Where maps that are not lent have their memory from and leave it; `None` for the allocator.
    spares: Option<Spares>,
}

/// Values of a cache line: maps begin on one.
const LINE: usize = 16;

impl Arena {
    /// Takes all maps back, and makes room for `values` of the next run. Maps that are not lent then have memory of `spares`.
    pub(crate) fn clear(&mut self, values: usize, spares: Option<Spares>) -> TractResult<()> {
        self.lent.clear();
        self.spares = spares;
        if values > self.memory.len() {
            // The old memory goes first, so that both are never there at once.
            self.memory = Tensor::default();
            self.memory = Tensor::zero_aligned::<f32>(&[values], size_of::<f32>() * LINE)?;
        }
        Ok(())
    }

    /// Has `compute` fill a map of shape `shape` from the maps `inputs`, which are given back if nobody else reads
    /// them. The map is lent if `lent` says so; otherwise it has memory of its own.
    pub(super) fn fill(
        &mut self,
        shape: &[usize],
        lent: bool,
        inputs: TVec<TValue>,
        compute: impl FnOnce(&[&[f32]], &mut [f32]) -> TractResult<()>,
    ) -> TractResult<Tensor> {
        let len = shape.iter().product();
        let (mut own, mut place) = (None, 0..0);
        if lent {
            place = lowest_free(&mut self.lent, len);
            ensure!(place.end <= self.memory.len(), "a run takes more room than its strip said");
        } else {
            own = Some(match &self.spares {
                Some(spares) => spares.tensor(shape)?,
                None => Tensor::zero::<f32>(shape)?,
            });
        }
        let mut memory = self.memory.try_as_plain_ram_mut()?;
        let (before, rest) = memory.as_slice_mut::<f32>()?.split_at_mut(place.start);
        let (output, after) = rest.split_at_mut(place.len());
        let mut read: TVec<&[f32]> = tvec!();
        for input in &inputs {
            read.push(match input.storage_as::<Lent>() {
                Some(Lent(at)) if at.end <= place.start => &before[at.clone()],
                Some(Lent(at)) => &after[at.start - place.end..at.end - place.end],
                None => input.try_as_plain_ram()?.as_slice::<f32>()?,
            });
        }
        match &mut own {
            Some(own) => compute(&read, own.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?)?,
            None => compute(&read, output)?,
        }
        drop(read);
        // One by one, so that a map that was read twice is given back with the second.
        for input in inputs.into_iter().filter(TValue::is_exclusive) {
            match (input.storage_as::<Lent>(), &self.spares) {
                (Some(Lent(at)), _) => self.lent.retain(|lent| lent != at),
                (None, Some(spares)) => spares.keep(input.into_tensor()),
                (None, None) => {}
            }
        }
        Ok(own.unwrap_or_else(|| Tensor::from_storage(f32::datum_type(), shape, Lent(place))))
    }
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

/// Values that a run of `model` takes, whose nodes are computed in `order` and, where `lent` says so, yield maps that
/// are lent.
pub(crate) fn room(model: &TypedModel, order: &[usize], lent: &[bool]) -> usize {
    let mut last = vec![0; model.nodes().len()];
    for (step, &id) in order.iter().enumerate() {
        model.node(id).inputs.iter().for_each(|input| last[input.node] = step);
    }
    let mut places = vec![0..0; model.nodes().len()];
    let (mut taken, mut most) = (Vec::new(), 0);
    for (step, &id) in order.iter().enumerate() {
        let node = model.node(id);
        if let Some(own) = node.op_as::<Own>().filter(|_| lent[id]) {
            places[id] = lowest_free(&mut taken, own.0.shape().iter().product());
            most = most.max(places[id].end);
        }
        for input in node.inputs.iter().filter(|input| last[input.node] == step) {
            taken.retain(|place| *place != places[input.node]);
        }
    }
    most
}

/// A map whose values lie here in the arena of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lent(Range<usize>);

impl fmt::Display for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lent {:?}", self.0)
    }
}

impl TensorStorage for Lent {
    fn byte_len(&self) -> usize {
        size_of::<f32>() * self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn deep_clone(&self) -> Box<dyn TensorStorage> {
        Box::new(self.clone())
    }

    fn as_plain_ram(&self) -> Option<&PlainStorage> {
        None
    }

    fn as_plain_ram_mut(&mut self) -> Option<&mut PlainStorage> {
        None
    }

    fn into_plain_ram(self: Box<Self>) -> Option<PlainStorage> {
        None
    }

    fn dyn_hash(&self, mut state: &mut dyn std::hash::Hasher) {
        self.0.hash(&mut state);
    }

    fn exotic_fact(&self, _shape: &[usize]) -> TractResult<Option<Box<dyn ExoticFact>>> {
        Ok(None)
    }

    fn is_exotic(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of a map of `len` values computed from `inputs`, each of which is its number.
    fn filled(arena: &mut Arena, len: usize, inputs: &[&TValue]) -> (TValue, usize) {
        let number = len as f32;
        let inputs = inputs.iter().map(|&input| input.clone()).collect();
        let map = arena.fill(&[len], true, inputs, |inputs, output| {
            assert!(inputs.iter().all(|values| values.iter().all(|&value| value == values.len() as f32)));
            output.fill(number);
            Ok(())
        });
        let map = map.unwrap();
        let start = map.storage_as::<Lent>().unwrap().0.start;
        (map.into_tvalue(), start)
    }

    #[test]
    fn a_map_takes_the_lowest_place_that_nobody_reads_any_more() {
        let mut arena = Arena::default();
        arena.clear(400, None).unwrap();
        let (first, at) = filled(&mut arena, 100, &[]);
        assert_eq!(at, 0);
        let (second, at) = filled(&mut arena, 30, &[&first, &first]);
        assert_eq!(at, 112, "behind the first, which is still held, on a cache line");
        let (third, at) = filled(&mut arena, 200, &[&second]);
        assert_eq!(at, 144, "behind both");
        // The last reader of the first takes it along.
        let moved = arena.fill(&[3], false, tvec!(first), |inputs, output| {
            output.fill(inputs[0][99]);
            Ok(())
        });
        assert_eq!(moved.unwrap().try_as_plain_ram().unwrap().as_slice::<f32>().unwrap(), [100.0; 3]);
        assert_eq!(filled(&mut arena, 101, &[&third]).1, 0, "where the first was");
        assert_eq!(filled(&mut arena, 12, &[&second, &third]).1, 352);
        arena.clear(0, None).unwrap();
        assert_eq!(filled(&mut arena, 300, &[]).1, 0);
    }
}
