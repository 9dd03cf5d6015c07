//! The product of a matrix and a vector: a fully connected layer for one image.
//!
//! The weights are rows as in the model, copied once to where pages are large: most of a layer's time is waiting for them. The
//! lanes of as many sums as there are lanes are turned and added together. Bound: memory, 4 bytes a multiply-add.

use crate::epilogue::Epilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, add_lanes, load, load_at_most, store_at_most};
use crate::memory::{LINE, Memory};
use crate::{Isa, KernelError};
use std::ops::Range;

/// A fully connected layer. Any range of its outputs can be computed alone, with the same bits.
#[derive(Debug)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    /// Outputs × inputs.
    weights: Memory,
    epilogue: Epilogue,
    isa: Isa,
}

impl Linear {
    /// Of weights `outputs` × inputs. `epilogue` is folded into the output loop, a channel being an output.
    ///
    /// # Errors
    /// If a size does not match, or the machine lacks the instruction set.
    pub fn new(weights: &[f32], outputs: usize, epilogue: Epilogue, isa: Isa) -> Result<Linear, KernelError> {
        epilogue.check(outputs)?;
        let inputs = weights.len().checked_div(outputs).unwrap_or(0);
        if inputs == 0 {
            return Err(KernelError::Shape("a fully connected layer needs inputs and outputs"));
        }
        if weights.len() != inputs * outputs {
            let (expected, found) = (inputs * outputs, weights.len());
            return Err(KernelError::Length { what: "weights", expected, found });
        }
        let mut memory = Memory::to_keep(weights.len());
        memory.values_mut()[..weights.len()].copy_from_slice(weights);
        Ok(Linear { inputs, outputs, weights: memory, epilogue, isa: isa.checked()? })
    }

    /// Values of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Values of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Computes the outputs `range` from `input` into `output`.
    ///
    /// # Errors
    /// If a size does not match.
    pub fn run(&self, input: &[f32], range: Range<usize>, output: &mut [f32]) -> Result<(), KernelError> {
        if range.start > range.end || range.end > self.outputs {
            return Err(KernelError::Rows { first: range.start, end: range.end, rows: self.outputs });
        }
        let lengths = [("input", self.inputs, input.len()), ("output", range.len(), output.len())];
        if let Some(&(what, expected, found)) = lengths.iter().find(|(_, expected, found)| expected != found)
        {
            return Err(KernelError::Length { what, expected, found });
        }
        let weights = &self.weights.values()[range.start * self.inputs..range.end * self.inputs];
        self.isa.run(Multiply { layer: self, weights, input, first: range.start, output });
        Ok(())
    }
}

/// Rows multiplied together, so that a vector of the input is loaded once for all of them, and that several streams come from
/// memory at once. A whole number of times as many make the lanes of a vector, of any instruction set.
const ROWS: usize = 4;

/// Values of a row that are multiplied at a time: two cache lines.
const CHUNK: usize = 2 * LINE;

/// How many of these further each row's values are asked for: a processor by itself fetches ahead within a page only, and
/// begins anew with each.
const AHEAD: usize = 4;

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
                    *sums = sum_rows::<V, ROWS>(v, rest, input);
                    rest = &rest[all..];
                    continue;
                }
                for sum in sums {
                    if !rest.is_empty() {
                        [*sum] = sum_rows::<V, 1>(v, rest, input);
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

/// The products of the first `R` rows of `weights` with the input, spread over the lanes; at their ends the rows behind them
/// are asked for. Each row has its own accumulators, so its sum does not depend on `R`.
#[inline(always)]
fn sum_rows<V: Vector, const R: usize>(v: V, weights: &[f32], input: &[f32]) -> [V::f32s; R] {
    let len = input.len();
    let (x, rest) = input.as_chunks::<CHUNK>();
    let (mut rows, mut behind) = ([&[][..]; R], [&[][..]; R]);
    for (i, (row, behind)) in rows.iter_mut().zip(&mut behind).enumerate() {
        *row = weights[i * len..][..len].as_chunks::<CHUNK>().0;
        let next = weights.get((R + i) * len..).unwrap_or_default().as_chunks::<CHUNK>().0;
        // Where there is none, the row itself is asked for, rather than asking whether to.
        *behind = if next.len() < AHEAD { *row } else { next };
    }
    let mut chains = [[v.splat_f32s(0.0); CHAINS]; R];
    let inside = x.len().saturating_sub(AHEAD);
    let (mut first, mut last) = ((rows, rows), (rows, behind));
    for (i, row) in rows.iter().enumerate() {
        first.0[i] = &row[..inside];
        first.1[i] = &row[x.len() - inside..];
        last.0[i] = &row[inside..];
    }
    multiply(v, &x[..inside], first, &mut chains);
    multiply(v, &x[inside..], last, &mut chains);
    let whole = len - rest.len();
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

/// Some chunks of values.
type Chunks<'a> = &'a [[f32; CHUNK]];

/// Adds the products of `x` with some rows, as long or longer, to their accumulators, and asks for as many chunks of others.
#[inline(always)]
fn multiply<V: Vector, const R: usize>(
    v: V,
    x: Chunks<'_>,
    (rows, needed): ([Chunks<'_>; R], [Chunks<'_>; R]),
    chains: &mut [[V::f32s; CHAINS]; R],
) {
    let step = CHAINS * V::F32_LANES;
    let mut sums = *chains;
    for (k, x) in x.iter().enumerate() {
        for needed in needed {
            needed[k].chunks_exact(LINE).for_each(|line| v.prefetch(line));
        }
        for at in (0..CHUNK).step_by(step) {
            for j in 0..CHAINS {
                let at = at + j * V::F32_LANES;
                let x = load::<V>(&x[at..]);
                for (sums, row) in sums.iter_mut().zip(rows) {
                    sums[j] = v.fma(load::<V>(&row[k][at..]), x, sums[j]);
                }
            }
        }
    }
    *chains = sums;
}
