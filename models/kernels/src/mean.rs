//! Sums of whole channels: global pools.
//!
//! A channel's values are added lane by lane, in order; the lanes of as many channels as there are lanes are then turned
//! and added together. Bound: loads.

use crate::epilogue::Epilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, add_lanes, load, load_at_most, store_few};
use crate::{Isa, KernelError, Map};

/// Sums each channel of `input` and passes the sums through `epilogue`: with a scale of one over the channel's values they
/// are means. `output` has one value a channel.
///
/// # Errors
/// If a size does not match, or the machine lacks the instruction set.
pub fn sum_channels(
    isa: Isa,
    epilogue: &Epilogue,
    input: Map<'_>,
    output: &mut [f32],
) -> Result<(), KernelError> {
    epilogue.check(input.channels())?;
    if output.len() != input.channels() {
        return Err(KernelError::Length { what: "output", expected: input.channels(), found: output.len() });
    }
    isa.checked()?.run(Sums { epilogue, input, output });
    Ok(())
}

struct Sums<'a> {
    epilogue: &'a Epilogue,
    input: Map<'a>,
    output: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Sums { epilogue, input, output } = self;
        let lanes = V::F32_LANES;
        for (first, output) in (0..).step_by(lanes).zip(output.chunks_mut(lanes)) {
            let mut block = [v.splat_f32s(0.0); MAX_LANES];
            for (i, sum) in block.iter_mut().enumerate() {
                if i < output.len() {
                    *sum = sum_lanes(v, input.plane(first + i));
                }
            }
            let [value] = epilogue.lanes(v, first, 1, output.len()).apply(v, [add_lanes(v, block)], None);
            store_few(v, output, value);
        }
    }
}

/// Sums that are computed side by side, to hide the latency of the additions.
const CHAINS: usize = 4;

/// The sum of all values, spread over the lanes.
#[inline(always)]
fn sum_lanes<V: Vector>(v: V, values: &[f32]) -> V::f32s {
    let lanes = V::F32_LANES;
    let mut chains = [v.splat_f32s(0.0); CHAINS];
    let mut at = 0;
    while at + CHAINS * lanes <= values.len() {
        let values = &values[at..][..CHAINS * lanes];
        for (j, chain) in chains.iter_mut().enumerate() {
            *chain = v.add_f32s(*chain, load::<V>(&values[j * lanes..]));
        }
        at += CHAINS * lanes;
    }
    let [mut sum, second, third, fourth] = chains;
    sum = v.add_f32s(v.add_f32s(sum, second), v.add_f32s(third, fourth));
    while at < values.len() {
        let values = &values[at..values.len().min(at + lanes)];
        sum = v.add_f32s(sum, load_at_most(v, values));
        at += lanes;
    }
    sum
}
