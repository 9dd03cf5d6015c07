//! Single layers with their maps in planes or in blocks, in multiply-adds a second.
//!
//! `cargo bench -p collab-kernels --bench layouts`

use collab_kernels::{
    Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, Layout, Map, PlaneList, Scratch, Share, Strip,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Input and output channels, groups, kernel, stride, and the map's width and rows.
#[derive(Clone, Copy)]
struct Layer([usize; 2], usize, usize, usize, usize);

const LAYERS: &[Layer] = &[
    Layer([3, 32], 1, 3, 2, 224),
    Layer([32, 32], 32, 3, 1, 112),
    Layer([32, 16], 1, 1, 1, 112),
    Layer([16, 64], 1, 1, 1, 112),
    Layer([32, 64], 1, 1, 1, 56),
    Layer([144, 24], 1, 1, 1, 56),
    Layer([160, 160], 1, 1, 1, 14),
    Layer([112, 672], 1, 1, 1, 14),
    Layer([192, 1152], 1, 1, 1, 7),
    Layer([1152, 192], 1, 1, 1, 7),
    Layer([256, 64], 1, 1, 1, 56),
    Layer([64, 256], 1, 1, 1, 56),
    Layer([2048, 512], 1, 1, 1, 7),
    Layer([64, 160], 1, 1, 2, 28),
    Layer([160, 400], 1, 1, 2, 14),
    Layer([1024, 2048], 1, 1, 2, 14),
    Layer([64, 64], 1, 1, 1, 28),
    Layer([64, 16], 1, 1, 1, 28),
    Layer([64, 24], 1, 1, 1, 14),
    Layer([32, 32], 2, 3, 2, 112),
    Layer([64, 64], 1, 3, 1, 56),
    Layer([16, 64], 1, 3, 1, 55),
    Layer([128, 128], 1, 3, 1, 28),
    Layer([256, 256], 1, 3, 1, 14),
    Layer([512, 512], 1, 3, 1, 7),
    Layer([512, 512], 1, 3, 1, 28),
    Layer([128, 128], 1, 3, 1, 112),
    Layer([64, 64], 4, 3, 1, 28),
    Layer([160, 160], 10, 3, 1, 14),
    Layer([400, 400], 25, 3, 2, 14),
    Layer([400, 400], 25, 3, 1, 7),
    Layer([1024, 1024], 32, 3, 1, 7),
];

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Layer([inside, outside], groups, kernel, stride, size) = self;
        write!(f, "{inside}-{outside} g{groups} {kernel}×{kernel} s{stride} {size}")
    }
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn planes(bencher: Bencher, layer: &Layer) {
    run(bencher, *layer, [Layout::Planes; 2], false);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn winograd_planes(bencher: Bencher, layer: &Layer) {
    run(bencher, *layer, [Layout::Planes; 2], true);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn winograd_blocks(bencher: Bencher, layer: &Layer) {
    run(bencher, *layer, [Layout::Blocks; 2], true);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn planes_to_blocks(bencher: Bencher, layer: &Layer) {
    run(bencher, *layer, [Layout::Planes, Layout::Blocks], false);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn blocks_to_planes(bencher: Bencher, layer: &Layer) {
    run(bencher, *layer, [Layout::Blocks, Layout::Planes], false);
}

#[divan::bench(args = LAYERS, max_time = 0.2)]
fn blocks(bencher: Bencher, layer: &Layer) {
    run(bencher, *layer, [Layout::Blocks; 2], false);
}

/// Does nothing where the best instruction set does not take the layouts, or Winograd's algorithm would not be chosen.
fn run(
    bencher: Bencher,
    Layer([inside, outside], groups, kernel, stride, size): Layer,
    layouts: [Layout; 2],
    winograd: bool,
) {
    let pad = kernel / 2;
    let shape = ConvShape {
        in_channels: inside,
        out_channels: outside,
        groups,
        width: size,
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        left: pad,
        right: pad,
    };
    let algorithm = match (winograd, groups == inside) {
        (true, _) if (kernel, stride) != (3, 1) || groups == inside => return,
        (true, _) => chosen(&shape),
        (false, true) => Algorithm::Depthwise,
        (false, false) => Algorithm::Dense,
    };
    let (weights, epilogue) =
        (vec![0.5; shape.weights()], Epilogue::new(vec![0.1; outside], Activation::RELU6));
    let rows = shape.out_rows(size, pad, pad);
    let [planes, width] = layouts[0].as_planes(inside, size);
    let [count, out_width] = layouts[1].as_planes(outside, shape.out_width());
    let input = vec![0.25; planes * size * width];
    let mut output = vec![0.0; count * rows * out_width];
    let macs = shape.macs_per_row() * rows;
    let layer = Conv::new(shape, &weights, epilogue, algorithm, Isa::best()).expect("the layers are sound");
    if !layer.takes(layouts) {
        return;
    }
    let input = Map::new(&input, planes, size, width).expect("the map has this size");
    let strip = Strip { input, top: pad, bottom: pad, rows: 0..rows, residual: None };
    let all = Share { rows: 0..rows, channels: 0..outside };
    let (mut scratch, mut list) = (Scratch::new(), PlaneList::default());
    bencher.counter(ItemsCount::new(macs)).bench_local(|| {
        let mut planes = list.split(&mut output, count);
        layer
            .run_laid_out(black_box(&strip), layouts, &all, &mut planes, &mut scratch)
            .expect("the maps have these sizes");
        list.keep(planes);
    });
}

/// The one that would be chosen.
fn chosen(shape: &ConvShape) -> Algorithm {
    match Algorithm::choose(shape, Isa::best()) {
        Algorithm::WinogradPairs => Algorithm::WinogradPairs,
        _ => Algorithm::WinogradRows,
    }
}
