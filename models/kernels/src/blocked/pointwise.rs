//! 1×1 convolutions that read or write blocks: inputs are read where they lie, every second one of every second row where the
//! stride is 2.

use super::{PIXELS, Stretch};
use crate::Layout;
use crate::isa::{Kernel, Vector};
use crate::run::Run;
use crate::tile::PANEL;

/// One run of a 1×1 layer without padding; the map begins with the first pixel's row. The stride is 1, or 2 of blocks.
pub(crate) struct Pointwise<'a, 'b>(pub(crate) Run<'a, 'b>);

impl Kernel for Pointwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        // Fewer lanes never come here, see `Conv::takes`.
        if V::F32_LANES == PANEL {
            let Pointwise(layer) = self;
            match (layer.layouts[0], layer.window.stride[1]) {
                (Layout::Planes, _) => run::<V, 1>(v, layer),
                (Layout::Blocks, 2) => run::<V, { 2 * PANEL }>(v, layer),
                (Layout::Blocks, _) => run::<V, PANEL>(v, layer),
            }
        }
    }
}

#[inline(always)]
fn run<V: Vector, const STEP: usize>(v: V, layer: Run<'_, '_>) {
    let Run { weights, epilogue, window, rows, residual, output, buffers, .. } = layer;
    let (input, pixels) = (window.map, rows * window.out_width);
    let apart = input.stride();
    buffers.taps.clear();
    buffers.taps.extend((0..layer.in_channels).map(|k| match STEP {
        1 => k * apart,
        _ => k / PANEL * apart + k % PANEL,
    }));
    let (width, pitch) = match window.stride[0] {
        // Rows run on, and whole vectors are turned.
        1 => {
            let width = pixels.div_ceil(pixels.div_ceil(PIXELS)).next_multiple_of(PANEL);
            (width, width * STEP)
        }
        stride => (window.out_width, stride * input.width()),
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
