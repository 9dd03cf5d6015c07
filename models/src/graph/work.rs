//! The work of a layer, by physical term, from the operators that the engine executes.
//!
//! An amount is linear in the rows of the layer's output: so much once for every piece in which the layer is
//! computed, so much for every row. What is fused into an operator counts with it. The constants are those of
//! the kernels in `collab_kernels`: what they do in tiles and blocks is counted in tiles and blocks, as far as
//! that does not depend on the number of rows.

mod convolution;
mod engine;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::BTreeMap;

use collab_core::network::{Kind, Term, Work};
use collab_kernels::{Layout, Pool, Resample as Resampling, Taps};
use tract_onnx::tract_core::internal::*;

use super::cut;
use super::steps::{Source, Step};
use crate::operators::{Among, Convolution, Gate, GlobalPool, Own, Pooling, Resample, choose, lies};

/// Bytes of a network's weights, as they are kept, beyond which they are gone from a core's own caches when they are needed
/// again.
const NO_CORE_HOLDS: u64 = 2 << 20;
/// The same, gone from every cache.
const NO_CACHE_HOLDS: u64 = 32 << 20;

/// Amounts by term: once a piece, and for all rows.
#[derive(Default)]
struct Amounts(BTreeMap<Term, (f64, f64)>);

impl Amounts {
    fn once(&mut self, term: Term, amount: f64) {
        self.0.entry(term).or_default().0 += amount;
    }

    fn all_rows(&mut self, term: Term, amount: f64) {
        self.0.entry(term).or_default().1 += amount;
    }
}

/// The work of the layer whose steps are `members`, in a network that keeps so many bytes of weights.
pub(super) fn of(steps: &[Step], members: &[usize], layouts: &[Layout], network_bytes: u64) -> Vec<Work> {
    let last = &steps[members[members.len() - 1]];
    let rows = f64::from(cut(&last.shape, last.split.along).rows.max(1));
    let mut amounts = Amounts::default();
    amounts.once(Term::Call, 1.0);
    let executed: Vec<usize> =
        members.iter().copied().filter(|&member| !is_renaming(&steps[member])).collect();
    amounts.once(Term::Step, executed.len().saturating_sub(1) as f64);
    for at in executed {
        let step = &steps[at];
        from_afar(step, network_bytes, &mut amounts);
        let lies = lies(at, &among(steps, at), layouts);
        match (convolution(step), step.op.downcast_ref::<Own>()) {
            (Some(layer), _) => {
                let residual = (maps(step) > 1).then_some(lies.added);
                let ends = ends(steps, at, layouts);
                convolution::of(&layer.conv, ends, volume(&step.shape), residual, &mut amounts);
            }
            (None, Some(own)) => of_ours(steps, step, own, lies.input, &mut amounts),
            (None, None) => engine::of(steps, step, &mut amounts),
        }
    }
    let entries = amounts.0.into_iter().filter(|(_, (once, all))| *once > 0.0 || *all > 0.0);
    entries.map(|(term, (call, all))| Work { term, call, row: all / rows }).collect()
}

/// A renaming of axes that moves nothing.
fn is_renaming(step: &Step) -> bool {
    step.op.downcast_ref::<AxisOp>().is_some_and(|op| !matches!(op, AxisOp::Move(..)))
}

fn convolution(step: &Step) -> Option<&Convolution> {
    (&*step.op.downcast_ref::<Own>()?.0 as &dyn Any).downcast_ref()
}

/// How the map lies that each step yields, see [`choose`].
pub(super) fn layouts(steps: &[Step]) -> Vec<Layout> {
    choose(&(0..steps.len()).map(|at| among(steps, at)).collect::<Vec<_>>())
}

/// Step `at` among the others, the last of which yields the network's output.
fn among(steps: &[Step], at: usize) -> Among<'_> {
    let step = &steps[at];
    Among {
        operator: step.op.downcast_ref::<Own>().map(|own| &*own.0),
        inputs: step.sources.iter().map(yielded_by).collect(),
        yields: at + 1 == steps.len(),
    }
}

/// How the maps lie that step `at` reads and writes, where it is computed together with what is before and behind it.
fn ends(steps: &[Step], at: usize, layouts: &[Layout]) -> [Layout; 2] {
    let reader = (at + 1..steps.len()).find(|&reader| first_source(&steps[reader]) == Some(at));
    let behind = reader.map_or(layouts[at], |reader| layout_before(steps, reader, layouts));
    [layout_before(steps, at, layouts), behind]
}

/// How the map lies that step `at` reads first.
fn layout_before(steps: &[Step], at: usize, layouts: &[Layout]) -> Layout {
    let Some(from) = first_source(&steps[at]) else { return Layout::Planes };
    if layouts[from] == Layout::Blocks {
        return Layout::Blocks;
    }
    let reads =
        |step: &&Step| step.sources.iter().any(|source| matches!(source, Source::Step(s) if *s == from));
    let alone = steps[from + 1..].iter().filter(reads).count() == 1;
    match [from, at].map(|step| convolution(&steps[step])) {
        [Some(layer), Some(next)]
            if alone && layer.suits_blocks_to(layout_before(steps, from, layouts), next) =>
        {
            Layout::Blocks
        }
        _ => Layout::Planes,
    }
}

fn first_source(step: &Step) -> Option<usize> {
    step.sources.first().and_then(yielded_by)
}

/// The step that yields what is read there.
fn yielded_by(source: &Source) -> Option<usize> {
    match source {
        Source::Step(from) => Some(*from),
        _ => None,
    }
}

/// What a step reads apart from constants.
fn maps(step: &Step) -> usize {
    step.sources.iter().filter(|source| !matches!(source, Source::Konst(_))).count()
}

/// The weights of a step that have left the caches. A matrix product begins to wait for each of its rows, and has a price for
/// every byte without this.
fn from_afar(step: &Step, network_bytes: u64, amounts: &mut Amounts) {
    let bytes = step.kept_bytes() as f64;
    let is_dense = step.op.downcast_ref::<Own>().is_some_and(|own| own.0.label().1 == Kind::Dense);
    if network_bytes > NO_CORE_HOLDS && !is_dense {
        amounts.once(Term::FarBytes, bytes);
    }
    if network_bytes > NO_CACHE_HOLDS {
        if is_dense {
            amounts.all_rows(Term::MemoryBytes, bytes);
            amounts.all_rows(Term::MemoryRows, volume(&step.shape));
        } else {
            amounts.once(Term::MemoryBytes, bytes);
        }
    }
}

/// Another operator that our kernels compute.
fn of_ours(steps: &[Step], step: &Step, own: &Own, layout: Layout, amounts: &mut Amounts) {
    let (written, maps) = (volume(&step.shape), maps(step));
    let operator: &dyn Any = &*own.0;
    if let Some(pooling) = operator.downcast_ref::<Pooling>() {
        return of_pool(&pooling.kernel, layout, written, amounts);
    }
    if let Some(resample) = operator.downcast_ref::<Resample>() {
        return of_resample(&resample.kernel, written, amounts);
    }
    if operator.is::<GlobalPool>() {
        amounts.all_rows(Term::ReducedRows, written);
        return amounts.all_rows(Term::Reduced, read(steps, step));
    }
    if maps > 1 && !operator.is::<Gate>() {
        amounts.all_rows(Term::ResidualValues, written);
    }
    match own.0.label() {
        (_, Kind::Transposed) => {
            amounts.all_rows(Term::TransposedMacs, step.macs as f64);
            amounts.all_rows(Term::TransposedValues, written);
            amounts.once(Term::WeightBytes, step.weight_bytes as f64);
        }
        (_, Kind::Dense) => amounts.all_rows(Term::DenseBytes, 4.0 * step.macs as f64),
        (_, Kind::Lrn) => amounts.all_rows(Term::LrnValues, written),
        (text, _) if text.starts_with("HardSwish") => amounts.all_rows(Term::HardValues, written),
        (text, _) if text.starts_with("SiLU") => amounts.all_rows(Term::SiluValues, written),
        (_, Kind::Elementwise) => amounts.all_rows(Term::CheapValues, written),
        // Its inputs are written where they belong, or it is read where it lies.
        _ if (own.0.concatenates() || own.0.begins().is_some())
            && step.sources.iter().all(|source| is_ours(steps, source)) => {}
        (_, Kind::Move) => amounts.all_rows(Term::BytesMoved, 4.0 * written),
        _ => amounts.all_rows(Term::OtherBytes, 4.0 * (written + read(steps, step))),
    }
}

/// Whether an operator of ours yields what is read.
fn is_ours(steps: &[Step], source: &Source) -> bool {
    matches!(source, Source::Step(from) if steps[*from].op.is::<Own>())
}

/// A pool combines rows first, then columns; of channels side by side all in the same way.
fn of_pool(pool: &Pool, layout: Layout, written: f64, amounts: &mut Amounts) {
    let rows = written / pool.out_width.max(1) as f64;
    amounts.all_rows(Term::PoolTaps, rows * (pool.width * pool.kernel[0]) as f64);
    let split = pool.stride[1] > 1 && layout == Layout::Planes;
    let columns = if split { Term::PoolStridedTaps } else { Term::PoolTaps };
    amounts.all_rows(columns, written * pool.kernel[1] as f64);
    let [_, abreast] = layout.as_planes(1, 1);
    amounts.all_rows(Term::PoolRows, rows / abreast as f64);
}

/// Columns are gathered one by one, but for stretches of them, in every row that is read; rows are moved or summed.
fn of_resample(resample: &Resampling, written: f64, amounts: &mut Amounts) {
    let (rows, width) = (resample.rows.len(), resample.columns.len());
    let gathered = match &resample.columns {
        Taps::Copies { run, .. } => (width - run.len()) as f64,
        Taps::Blends { window, .. } => (width * window) as f64 / 2.0,
    };
    let (read, term, amount) = match &resample.rows {
        Taps::Copies { sources, .. } => {
            let repeated = sources.windows(2).filter(|pair| pair[0] == pair[1]).count();
            (rows - repeated, Term::BytesMoved, 4.0 * written)
        }
        Taps::Blends { .. } => {
            let reaches = || (0..rows).filter_map(|row| resample.rows.reach(row));
            let first = reaches().map(|reach| reach.0).min().unwrap_or(0);
            (reaches().map(|reach| reach.1 + 1).max().unwrap_or(0) - first, Term::CheapValues, written)
        }
    };
    let channels = written / (rows * width).max(1) as f64;
    amounts.all_rows(Term::ResizedValues, channels * read as f64 * gathered);
    amounts.all_rows(term, amount);
}

/// Values that a step reads and that are no constants.
fn read(steps: &[Step], step: &Step) -> f64 {
    let read = step.sources.iter().filter_map(|source| match source {
        Source::Step(from) => Some(volume(&steps[*from].shape)),
        _ => None,
    });
    read.sum()
}

fn volume(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>() as f64
}
