//! The product of a matrix and a vector: a fully connected layer for one image.
//!
//! The weights are read as they lie in the model, once; nothing is packed. The lanes of as many sums as there are lanes are
//! turned and added together. Bound: memory, 4 bytes a multiply-add.

use crate::epilogue::Epilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, add_lanes, load, load_at_most, store_at_most};
use crate::memory::LINE;
use crate::{Isa, KernelError};
use std::ops::Range;

/// A fully connected layer. Any range of its outputs can be computed alone, with the same bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Values of the input.
    pub inputs: usize,
    /// Values of the output.
    pub outputs: usize,
    /// Folded into the output loop, a channel being an output.
    pub epilogue: Epilogue,
    /// The instruction set.
    pub isa: Isa,
}

impl Linear {
    /// Computes the outputs `range` of `weights · input` into `output`. `weights` are the rows of `range` only:
    /// `range.len()` × inputs.
    ///
    /// # Errors
    /// If a size does not match, or the machine lacks the instruction set.
    pub fn run(
        &self,
        weights: &[f32],
        input: &[f32],
        range: Range<usize>,
        output: &mut [f32],
    ) -> Result<(), KernelError> {
        self.epilogue.check(self.outputs)?;
        if range.start > range.end || range.end > self.outputs {
            return Err(KernelError::Rows { first: range.start, end: range.end, rows: self.outputs });
        }
        let lengths = [
            ("weights", range.len() * self.inputs, weights.len()),
            ("input", self.inputs, input.len()),
            ("output", range.len(), output.len()),
        ];
        if let Some(&(what, expected, found)) = lengths.iter().find(|(_, expected, found)| expected != found)
        {
            return Err(KernelError::Length { what, expected, found });
        }
        if self.inputs == 0 {
            return Err(KernelError::Shape("a fully connected layer needs at least one input"));
        }
        self.isa.checked()?.run(Multiply { layer: self, weights, input, first: range.start, output });
        Ok(())
    }
}

/// Rows multiplied together, so that a vector of the input is loaded once for all of them, and that several streams come from
/// memory at once. A whole number of times as many make the lanes of a vector, of any instruction set.
const ROWS: usize = 4;

/// Values from which a row is long. Shorter ones share pages, which a processor does not fetch ahead, so the next rows' values
/// are asked for: 1280 → 1000 features from memory take 366 µs so on a Granite Rapids, 380 without asking, and 527 one row after
/// the other. Long rows are no faster with it.
const LONG: usize = 2048;

/// Accumulators of a row: together with [`ROWS`] enough to hide the latency of the multiply-adds.
const CHAINS: usize = 2;

struct Multiply<'a> {
    layer: &'a Linear,
    weights: &'a [f32],
    input: &'a [f32],
    first: usize,
    output: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Multiply { layer, weights, input, first, output } = self;
        let lanes = V::F32_LANES;
        let mut rest = weights;
        for (first, output) in (first..).step_by(lanes).zip(output.chunks_mut(lanes)) {
            let mut block = [v.splat_f32s(0.0); MAX_LANES];
            for sums in block.as_chunks_mut::<ROWS>().0.iter_mut().take(lanes / ROWS) {
                let all = ROWS * layer.inputs;
                if rest.len() >= all {
                    let next = if layer.inputs < LONG { &rest[all..] } else { &[] };
                    *sums = sum_rows::<V, ROWS>(v, rest, next, input);
                    rest = &rest[all..];
                    continue;
                }
                for sum in sums {
                    if !rest.is_empty() {
                        [*sum] = sum_rows::<V, 1>(v, rest, &[], input);
                        rest = &rest[layer.inputs..];
                    }
                }
            }
            let [value] =
                layer.epilogue.lanes(v, first, 1, output.len()).apply(v, [add_lanes(v, block)], None);
            store_at_most(v, output, value);
        }
    }
}

/// The products of the first `R` rows of `weights` with the input, spread over the lanes; what lies in the same places of
/// `next` is asked for meanwhile. Each row has its own accumulators, so its sum does not depend on `R`.
#[inline(always)]
fn sum_rows<V: Vector, const R: usize>(v: V, weights: &[f32], next: &[f32], input: &[f32]) -> [V::f32s; R] {
    let len = input.len();
    let step = CHAINS * V::F32_LANES;
    let mut chains = [[v.splat_f32s(0.0); CHAINS]; R];
    let whole = len / step * step;
    for at in (0..whole).step_by(step) {
        let x: [V::f32s; CHAINS] = std::array::from_fn(|j| load::<V>(&input[at + j * V::F32_LANES..]));
        for i in 0..R {
            if let Some(next) = next.get(i * len + at..) {
                next.chunks(LINE).take(step / LINE).for_each(|line| v.prefetch(line));
            }
            let row = &weights[i * len + at..][..step];
            for j in 0..CHAINS {
                chains[i][j] = v.fma(load::<V>(&row[j * V::F32_LANES..]), x[j], chains[i][j]);
            }
        }
    }
    for at in (whole..len).step_by(V::F32_LANES) {
        let x = load_at_most(v, &input[at..]);
        let count = V::F32_LANES.min(len - at);
        for (i, chains) in chains.iter_mut().enumerate() {
            chains[0] = v.fma(load_at_most(v, &weights[i * len + at..][..count]), x, chains[0]);
        }
    }
    let mut sums = [v.splat_f32s(0.0); R];
    for (sum, [first, second]) in sums.iter_mut().zip(chains) {
        *sum = v.add_f32s(first, second);
    }
    sums
}
