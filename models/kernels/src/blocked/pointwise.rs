//! 1×1 convolutions that read or write blocks: inputs are read where they lie, every second one of every second row where the
//! stride is 2.

use super::{PIXELS, Residual, Stretch};
use crate::epilogue::Epilogue;
use crate::isa::{Kernel, Vector};
use crate::scratch::Buffers;
use crate::tile::PANEL;
use crate::weights::PackedWeights;
use crate::{Layout, Map};
use std::ops::Range;

/// One run of a 1×1 layer without padding.
pub(crate) struct Pointwise<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    /// From the first pixel's row on.
    pub(crate) input: Map<'a>,
    /// Step along rows and columns: 1, or 2 of blocks.
    pub(crate) stride: usize,
    /// Columns of the output.
    pub(crate) width: usize,
    pub(crate) pixels: usize,
    pub(crate) residual: Residual<'a>,
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
            match (self.layouts[0], self.stride) {
                (Layout::Planes, _) => run::<V, 1>(v, self),
                (Layout::Blocks, 2) => run::<V, { 2 * PANEL }>(v, self),
                (Layout::Blocks, _) => run::<V, PANEL>(v, self),
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
    let (width, pitch) = match layer.stride {
        // Rows run on, and whole vectors are turned.
        1 => {
            let width = pixels.div_ceil(pixels.div_ceil(PIXELS)).next_multiple_of(PANEL);
            (width, width * STEP)
        }
        stride => (layer.width, stride * input.width()),
    };
    let stretch = Stretch {
        weights,
        set: 0,
        panel: layer.channels.start / PANEL,
        next: None,
        epilogue,
        channels: layer.channels,
        taps: &buffers.taps,
        input: input.beyond(0),
        pixels: 0..pixels,
        width,
        pitch,
        residual,
        output,
        layout: layer.layouts[1],
        sums: &mut buffers.second,
    };
    stretch.run::<V, STEP>(v);
}
