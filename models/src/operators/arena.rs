//! One stretch of memory for all maps that pass from one operator of ours to another within a run.
//!
//! Where each map lies is fixed when a strip is prepared ([`Places`]): a map's place is free for the next as soon as its
//! last reader has read it, and the lowest place that is free and large enough is taken. So a run touches little more
//! memory than the largest maps that live at the same time, and finds it in a cache: a map of memory of its own is
//! fetched from beyond the caches in every run, which took pools and depthwise layers of wide maps three times as long.
//! The engine passes such a map on as a tensor without values ([`Lent`]), so it is lent only where every reader is an
//! operator of ours. Maps that are concatenated are written side by side, so that nothing is left to be copied.

use std::fmt;
use std::ops::Range;

use collab_kernels::Buffer;
use tract_onnx::tract_core::internal::*;

use super::places::{Place, Places};
use crate::spares::Spares;

/// Memory for the maps of one run at a time.
#[derive(Debug, Default)]
pub(super) struct Arena {
    memory: Buffer,
    /// Values of it that the run takes.
    values: usize,
    /// What the run yields, where several operators write it.
    output: Tensor,
    /// Where what the run yields, and maps without a place, have their memory from and leave it; `None` for the allocator.
    spares: Option<Spares>,
}

/// Values of a cache line: maps begin on one.
pub(super) const LINE: usize = 16;

impl Arena {
    /// Makes room for the next run, which has its other memory from `spares`.
    pub(super) fn clear(&mut self, places: &Places, spares: Option<Spares>) -> TractResult<()> {
        self.values = places.values;
        self.spares = spares;
        self.output = self.own(&[places.output])?;
        Ok(())
    }

    /// A map without a place.
    fn own(&self, shape: &[usize]) -> TractResult<Tensor> {
        match &self.spares {
            Some(spares) => spares.tensor(shape),
            None => Tensor::zero::<f32>(shape),
        }
    }

    /// Has `compute` fill a map of shape `shape` from the maps `inputs`: in its place, or in memory of its own where
    /// it has none. Where it lies over its first input, an empty one stands for that.
    pub(super) fn fill(
        &mut self,
        shape: &[usize],
        place: Option<&Place>,
        inputs: TVec<TValue>,
        compute: impl FnOnce(&[&[f32]], &mut [f32]) -> TractResult<()>,
    ) -> TractResult<Tensor> {
        if let Some(Place { lent, filled: true, .. }) = place {
            return match lent.part == Part::Output && lent.at.len() == self.output.len() {
                true => std::mem::take(&mut self.output).into_shape(shape),
                false => Ok(Tensor::from_storage(f32::datum_type(), shape, lent.clone())),
            };
        }
        let mut own = if place.is_none() { Some(self.own(shape)?) } else { None };
        let lent = place.map_or(Lent { part: Part::Run, at: 0..0 }, |place| place.lent.clone());
        let memory = self.memory.take(self.values);
        let mut output = self.output.try_as_plain_ram_mut()?;
        let output = output.as_slice_mut::<f32>()?;
        let (target, other) = match lent.part {
            Part::Run => (memory, output),
            Part::Output => (output, memory),
        };
        ensure!(lent.at.end <= target.len(), "a run takes more room than its strip said");
        let (before, rest) = target.split_at_mut(lent.at.start);
        let (target, after) = rest.split_at_mut(lent.at.len());
        let mut read: TVec<&[f32]> = tvec!();
        for input in &inputs {
            read.push(match input.storage_as::<Lent>() {
                Some(own) if *own == lent => &[],
                Some(Lent { part, at }) if *part != lent.part => &other[at.clone()],
                Some(Lent { at, .. }) if at.end <= lent.at.start => &before[at.clone()],
                Some(Lent { at, .. }) => &after[at.start - lent.at.end..at.end - lent.at.end],
                None => input.try_as_plain_ram()?.as_slice::<f32>()?,
            });
        }
        match &mut own {
            Some(own) => compute(&read, own.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?)?,
            None => compute(&read, target)?,
        }
        drop(read);
        if let Some(spares) = &self.spares {
            // One by one, so that a map that was read twice is given back with the second.
            inputs
                .into_iter()
                .filter(TValue::is_exclusive)
                .for_each(|input| spares.keep(input.into_tensor()));
        }
        Ok(own.unwrap_or_else(|| Tensor::from_storage(f32::datum_type(), shape, lent)))
    }
}

/// A map whose values lie in the memory of the run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lent {
    pub(super) part: Part,
    pub(super) at: Range<usize>,
}

/// Which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// What lasts as long as the run.
    Run,
    /// What the run yields.
    Output,
}

impl fmt::Display for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lent {:?}", self.at)
    }
}

impl TensorStorage for Lent {
    fn byte_len(&self) -> usize {
        size_of::<f32>() * self.at.len()
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty()
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
        Hash::hash(self, &mut state);
    }

    fn exotic_fact(&self, _shape: &[usize]) -> TractResult<Option<Box<dyn ExoticFact>>> {
        Ok(None)
    }

    fn is_exotic(&self) -> bool {
        false
    }
}
