//! 1×1 convolutions that read or write blocks: inputs are read where they lie.

use super::{PIXELS, Stretch};
use crate::epilogue::Epilogue;
use crate::isa::{Kernel, Vector};
use crate::scratch::Buffers;
use crate::tile::PANEL;
use crate::weights::PackedWeights;
use crate::{Layout, Map};
use std::ops::Range;

/// One run of a 1×1 layer, each pixel of which reads the input's in the same place.
pub(crate) struct Pointwise<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    /// From the first pixel's row on.
    pub(crate) input: Map<'a>,
    pub(crate) pixels: usize,
    /// In planes, and so is the output then.
    pub(crate) residual: Option<Map<'a>>,
    /// Of `channels`.
    pub(crate) output: &'a mut [&'b mut [f32]],
    pub(crate) in_channels: usize,
    /// Output channels to compute: from the start of a panel on.
    pub(crate) channels: Range<usize>,
    /// Of input and output.
    pub(crate) layouts: [Layout; 2],
    pub(crate) buffers: &'a mut Buffers,
}

impl Kernel for Pointwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        // Fewer lanes never come here, see `Conv::takes`.
        if V::F32_LANES == PANEL {
            match self.layouts[0] {
                Layout::Planes => run::<V, 1>(v, self),
                Layout::Blocks => run::<V, PANEL>(v, self),
            }
        }
    }
}

#[inline(always)]
fn run<V: Vector, const STEP: usize>(v: V, layer: Pointwise<'_, '_>) {
    let Pointwise { weights, epilogue, input, pixels, residual, output, buffers, .. } = layer;
    let apart = input.stride();
    buffers.taps.clear();
    buffers.taps.extend((0..layer.in_channels).map(|k| match STEP {
        1 => k * apart,
        _ => k / PANEL * apart + k % PANEL,
    }));
    // Whole vectors are turned.
    let width = pixels.div_ceil(pixels.div_ceil(PIXELS)).next_multiple_of(PANEL);
    let stretch = Stretch {
        weights,
        set: 0,
        panel: layer.channels.start / PANEL,
        epilogue,
        channels: layer.channels,
        taps: &buffers.taps,
        input: input.beyond(0),
        pixels: 0..pixels,
        width,
        pitch: width * STEP,
        residual,
        output,
        layout: layer.layouts[1],
        sums: &mut buffers.second,
    };
    stretch.run::<V, STEP>(v);
}
