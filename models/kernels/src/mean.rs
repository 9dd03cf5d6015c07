//! Sums of whole channels: global pools.
//!
//! A channel's values are added lane by lane, in order; the lanes of as many channels as there are lanes are then turned
//! and added together. Of channels side by side the same sums are made, all channels at once. Bound: loads.

use crate::epilogue::Epilogue;
use crate::isa::{Kernel, MAX_LANES, Vector, add_lanes, load, load_at_most, store, store_few};
use crate::{Isa, KernelError, Layout, Map};

/// Sums each channel of `input` and passes the sums through `epilogue`: with a scale of one over the channel's values they
/// are means. `output` has one value a channel; the input lies so, in whole blocks if in such.
///
/// # Errors
/// If a size does not match, the machine lacks the instruction set, or no vector of it holds a block.
pub fn sum_channels(
    isa: Isa,
    epilogue: &Epilogue,
    layout: Layout,
    input: Map<'_>,
    output: &mut [f32],
) -> Result<(), KernelError> {
    let [_, abreast] = layout.as_planes(1, 1);
    let channels = input.channels() * abreast;
    if layout == Layout::Blocks && isa != Isa::Avx512 {
        return Err(KernelError::Layout { layouts: [layout; 2] });
    }
    epilogue.check(channels)?;
    if output.len() != channels {
        return Err(KernelError::Length { what: "output", expected: channels, found: output.len() });
    }
    isa.checked()?.run(Sums { epilogue, layout, input, output });
    Ok(())
}

struct Sums<'a> {
    epilogue: &'a Epilogue,
    layout: Layout,
    input: Map<'a>,
    output: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Sums { epilogue, layout, input, output } = self;
        let lanes = V::F32_LANES;
        for (first, output) in (0..).step_by(lanes).zip(output.chunks_mut(lanes)) {
            let sum = match layout {
                Layout::Blocks => sum_pixels(v, input.plane(first / lanes)),
                Layout::Planes => {
                    let mut block = [v.splat_f32s(0.0); MAX_LANES];
                    for (i, sum) in block.iter_mut().enumerate() {
                        if i < output.len() {
                            *sum = sum_lanes(v, input.plane(first + i));
                        }
                    }
                    add_lanes(v, block)
                }
            };
            let [value] = epilogue.lanes(v, first, 1, output.len()).apply(v, [sum], None);
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

/// The sums of the pixels of a block, added in the order in which planes are: here a lane of these is a pixel of so many.
#[inline(always)]
fn sum_pixels<V: Vector>(v: V, values: &[f32]) -> V::f32s {
    let lanes = V::F32_LANES;
    // Of the lanes of all chains.
    let mut sums = [0.0; CHAINS * MAX_LANES * MAX_LANES];
    let sums = &mut sums[..CHAINS * lanes * lanes];
    let mut lots = values.chunks_exact(sums.len());
    for lot in &mut lots {
        for (sum, pixel) in sums.chunks_exact_mut(lanes).zip(lot.chunks_exact(lanes)) {
            store::<V>(sum, v.add_f32s(load::<V>(sum), load::<V>(pixel)));
        }
    }
    let rest = lots.remainder();
    let mut total = v.splat_f32s(0.0);
    for lane in 0..lanes {
        let mut chains = [v.splat_f32s(0.0); CHAINS];
        for (j, chain) in chains.iter_mut().enumerate() {
            *chain = load::<V>(&sums[(j * lanes + lane) * lanes..]);
        }
        let [mut sum, second, third, fourth] = chains;
        sum = v.add_f32s(v.add_f32s(sum, second), v.add_f32s(third, fourth));
        for pixel in rest.chunks_exact(lanes).skip(lane).step_by(lanes) {
            sum = v.add_f32s(sum, load::<V>(pixel));
        }
        total = if lane == 0 { sum } else { v.add_f32s(total, sum) };
    }
    total
}
