//! Single layers with their maps in planes or in blocks, in multiply-adds a second.
//!
//! `cargo bench -p collab-kernels --bench layouts`

mod common;

use collab_kernels::{Algorithm, ConvShape, Isa, Layout};
use common::Layer;
use divan::Bencher;

fn main() {
    divan::main();
}

#[derive(Clone, Copy)]
struct Named(Layer);

const fn layer(channels: [usize; 2], groups: usize, kernel: usize, stride: usize, size: usize) -> Named {
    Named(Layer { channels, groups, kernel, stride, size })
}

const LAYERS: &[Named] = &[
    layer([3, 32], 1, 3, 2, 224),
    layer([32, 32], 32, 3, 1, 112),
    layer([32, 16], 1, 1, 1, 112),
    layer([16, 64], 1, 1, 1, 112),
    layer([32, 64], 1, 1, 1, 56),
    layer([144, 24], 1, 1, 1, 56),
    layer([160, 160], 1, 1, 1, 14),
    layer([112, 672], 1, 1, 1, 14),
    layer([192, 1152], 1, 1, 1, 7),
    layer([1152, 192], 1, 1, 1, 7),
    layer([256, 64], 1, 1, 1, 56),
    layer([64, 256], 1, 1, 1, 56),
    layer([2048, 512], 1, 1, 1, 7),
    layer([64, 160], 1, 1, 2, 28),
    layer([160, 400], 1, 1, 2, 14),
    layer([1024, 2048], 1, 1, 2, 14),
    layer([64, 64], 1, 1, 1, 28),
    layer([64, 16], 1, 1, 1, 28),
    layer([64, 24], 1, 1, 1, 14),
    layer([32, 32], 2, 3, 2, 112),
    layer([64, 64], 1, 3, 1, 56),
    layer([16, 64], 1, 3, 1, 55),
    layer([128, 128], 1, 3, 1, 28),
    layer([256, 256], 1, 3, 1, 14),
    layer([512, 512], 1, 3, 1, 7),
    layer([512, 512], 1, 3, 1, 28),
    layer([128, 128], 1, 3, 1, 112),
    layer([64, 64], 4, 3, 1, 28),
    layer([160, 160], 10, 3, 1, 14),
    layer([400, 400], 25, 3, 2, 14),
    layer([400, 400], 25, 3, 1, 7),
    layer([1024, 1024], 32, 3, 1, 7),
];

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Layer { channels: [inside, outside], groups, kernel, stride, size } = self.0;
        write!(f, "{inside}-{outside} g{groups} {kernel}×{kernel} s{stride} {size}")
    }
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn planes(bencher: Bencher, layer: &Named) {
    run(bencher, *layer, [Layout::Planes; 2], false);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn winograd_planes(bencher: Bencher, layer: &Named) {
    run(bencher, *layer, [Layout::Planes; 2], true);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn winograd_blocks(bencher: Bencher, layer: &Named) {
    run(bencher, *layer, [Layout::Blocks; 2], true);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn planes_to_blocks(bencher: Bencher, layer: &Named) {
    run(bencher, *layer, [Layout::Planes, Layout::Blocks], false);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn blocks_to_planes(bencher: Bencher, layer: &Named) {
    run(bencher, *layer, [Layout::Blocks, Layout::Planes], false);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn blocks(bencher: Bencher, layer: &Named) {
    run(bencher, *layer, [Layout::Blocks; 2], false);
}

/// Does nothing where the best instruction set does not take the layouts, or Winograd's algorithm would not be chosen.
fn run(bencher: Bencher, Named(layer): Named, layouts: [Layout; 2], winograd: bool) {
    let depthwise = layer.groups == layer.channels[0];
    let algorithm = match (winograd, depthwise) {
        (true, _) if (layer.kernel, layer.stride) != (3, 1) || depthwise => return,
        (true, _) => chosen(&layer.shape()),
        (false, true) => Algorithm::Depthwise,
        (false, false) => Algorithm::Dense,
    };
    common::run(bencher, layer, algorithm, Isa::best(), layouts);
}

/// The one that would be chosen.
fn chosen(shape: &ConvShape) -> Algorithm {
    match Algorithm::choose(shape, Isa::best()) {
        Algorithm::WinogradPairs => Algorithm::WinogradPairs,
        _ => Algorithm::WinogradRows,
    }
}
