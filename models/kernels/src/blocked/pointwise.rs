//! 1×1 convolutions, of planes and of blocks: inputs are read where they lie.

use super::{PIXELS, Stretch};
use crate::epilogue::Epilogue;
use crate::isa::{Kernel, Vector};
use crate::scratch::Buffers;
use crate::tile::PANEL;
use crate::weights::PackedWeights;
use crate::{Layout, Map};
use std::ops::Range;

/// One run of a 1×1 layer, each pixel of which reads one of the input's.
pub(crate) struct Pointwise<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    /// From the first pixel's row on.
    pub(crate) input: Map<'a>,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// 1 or 2, 1 where the input has blocks.
    pub(crate) stride: [usize; 2],
    /// In planes, and so is the output then.
    pub(crate) residual: Option<Map<'a>>,
    /// Of `channels`.
    pub(crate) output: &'a mut [&'b mut [f32]],
    pub(crate) in_channels: usize,
    /// Those to compute: from the start of a panel to the end of one, or to the last.
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
            match (self.layouts[0], self.stride[1]) {
                (Layout::Planes, 2) => run::<V, 2>(v, self),
                (Layout::Planes, _) => run::<V, 1>(v, self),
                (Layout::Blocks, _) => run::<V, PANEL>(v, self),
            }
        }
    }
}

#[inline(always)]
fn run<V: Vector, const STEP: usize>(v: V, layer: Pointwise<'_, '_>) {
    let Pointwise { weights, epilogue, input, residual, output, buffers, .. } = layer;
    let apart = input.stride();
    buffers.taps.clear();
    buffers.taps.extend((0..layer.in_channels).map(|k| match STEP {
        PANEL => k / PANEL * apart + k % PANEL,
        _ => k * apart,
    }));
    let pixels = layer.rows * layer.width;
    let (mut width, mut pitch) = (layer.width, layer.stride[0] * input.width());
    if layer.stride == [1, 1] {
        // Rows follow one another.
        width = pixels.div_ceil(pixels.div_ceil(PIXELS));
        pitch = width * STEP;
    }
    let stretch = Stretch {
        weights,
        set: 0,
        epilogue,
        panel: layer.channels.start / PANEL,
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
