//! The product of a matrix and a vector: a fully connected layer for one image.
//!
//! The weights are read as they lie in the model, once; nothing is packed. Bound: memory, 4 bytes a multiply-add.

use crate::epilogue::Epilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, load, load_few, store, store_few};
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

/// Rows multiplied together, so that a vector of the input is loaded once for all of them.
const ROWS: usize = 4;

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
        for (index, (output, weights)) in
            output.chunks_mut(ROWS).zip(weights.chunks(ROWS * layer.inputs)).enumerate()
        {
            let mut sums = [0.0; ROWS];
            if output.len() == ROWS {
                sums = sum_rows::<V, ROWS>(v, weights, input);
            } else {
                for (sum, row) in sums.iter_mut().zip(weights.chunks_exact(layer.inputs)) {
                    [*sum] = sum_rows::<V, 1>(v, row, input);
                }
            }
            for (i, (output, &sum)) in output.iter_mut().zip(&sums).enumerate() {
                let epilogue = layer.epilogue.channel(first + index * ROWS + i);
                let [value] = epilogue.apply(v, [v.splat_f32s(sum)], None);
                store_few(v, std::slice::from_mut(output), value);
            }
        }
    }
}

/// The products of `R` rows with the input. Each row has its own accumulators, so its sum does not depend on `R`.
#[inline(always)]
fn sum_rows<V: Vector, const R: usize>(v: V, weights: &[f32], input: &[f32]) -> [f32; R] {
    let len = input.len();
    let step = CHAINS * V::F32_LANES;
    let mut chains = [[v.splat_f32s(0.0); CHAINS]; R];
    let whole = len / step * step;
    for at in (0..whole).step_by(step) {
        let x: [V::f32s; CHAINS] = std::array::from_fn(|j| load::<V>(&input[at + j * V::F32_LANES..]));
        for i in 0..R {
            let row = &weights[i * len + at..][..step];
            for j in 0..CHAINS {
                chains[i][j] = v.fma(load::<V>(&row[j * V::F32_LANES..]), x[j], chains[i][j]);
            }
        }
    }
    let mut sums = [0.0; R];
    for (i, (sum, chains)) in sums.iter_mut().zip(&mut chains).enumerate() {
        for at in (whole..len).step_by(V::F32_LANES) {
            let count = V::F32_LANES.min(len - at);
            let w = load_few(v, &weights[i * len + at..][..count]);
            chains[0] = v.fma(w, load_few(v, &input[at..][..count]), chains[0]);
        }
        let mut lanes = [0.0; MAX_LANES];
        store::<V>(&mut lanes, v.add_f32s(chains[0], chains[1]));
        let mut width = V::F32_LANES;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        *sum = lanes[0];
    }
    sums
}
