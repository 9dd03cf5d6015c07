//! A 1×1, a depthwise and a 1×1 layer that follow one another, with the maps between them in planes or in blocks.
//!
//! `cargo bench -p collab-kernels --bench bottlenecks`

use collab_kernels::{
    Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, Layout, Map, PlaneList, Scratch, Share, Strip,
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Channels before, between and behind, the depthwise layer's kernel and stride, and the map's width and rows.
#[derive(Clone, Copy)]
struct Bottleneck([usize; 3], usize, usize, usize);

const BOTTLENECKS: &[Bottleneck] = &[
    Bottleneck([16, 96, 24], 3, 2, 112),
    Bottleneck([24, 144, 24], 3, 1, 56),
    Bottleneck([24, 144, 32], 3, 2, 56),
    Bottleneck([32, 192, 32], 3, 1, 28),
    Bottleneck([40, 240, 40], 5, 1, 28),
    Bottleneck([32, 192, 64], 3, 2, 28),
    Bottleneck([64, 384, 64], 3, 1, 14),
    Bottleneck([96, 576, 96], 3, 1, 14),
    Bottleneck([96, 576, 160], 3, 2, 14),
    Bottleneck([160, 960, 160], 3, 1, 7),
];

impl std::fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Bottleneck([before, between, behind], kernel, stride, size) = self;
        write!(f, "{before}-{between}-{behind} {kernel}×{kernel} s{stride} {size}")
    }
}

#[divan::bench(args = BOTTLENECKS, max_time = 0.3)]
fn planes(bencher: Bencher, layers: &Bottleneck) {
    run(bencher, *layers, Layout::Planes);
}

#[divan::bench(args = BOTTLENECKS, max_time = 0.3)]
fn blocks(bencher: Bencher, layers: &Bottleneck) {
    run(bencher, *layers, Layout::Blocks);
}

/// Does nothing where the best instruction set takes no blocks.
fn run(bencher: Bencher, Bottleneck(channels, kernel, stride, size): Bottleneck, between: Layout) {
    let small = size.div_ceil(stride);
    let layers = [
        layer(channels[0], channels[1], 1, 1, size),
        layer(channels[1], channels[1], kernel, stride, size),
        layer(channels[1], channels[2], 1, 1, small),
    ];
    let layouts = [Layout::Planes, between, between, Layout::Planes];
    if !layers.iter().zip(layouts.windows(2)).all(|(layer, pair)| layer.takes([pair[0], pair[1]])) {
        return;
    }
    let sides = [(channels[0], size), (channels[1], size), (channels[1], small), (channels[2], small)];
    let mut maps: Vec<Vec<f32>> = sides
        .iter()
        .zip(layouts)
        .map(|(&(channels, size), layout)| {
            let [planes, width] = layout.as_planes(channels, size);
            vec![0.25; planes * size * width]
        })
        .collect();
    let (mut scratch, mut list) = (Scratch::new(), PlaneList::default());
    bencher.bench_local(|| {
        for (i, layer) in layers.iter().enumerate() {
            let (before, behind) = maps.split_at_mut(i + 1);
            let ((channels, size), shape) = (sides[i], layer.shape());
            let [planes, width] = layouts[i].as_planes(channels, size);
            let input = Map::new(&before[i], planes, size, width).expect("the map has this size");
            let pad = shape.kernel[0] / 2;
            let rows = 0..shape.out_rows(size, pad, pad);
            let all = Share { rows: rows.clone(), channels: 0..shape.out_channels };
            let strip = Strip { input, top: pad, bottom: pad, rows, residual: None };
            let [count, _] = layouts[i + 1].as_planes(shape.out_channels, 1);
            let mut planes = list.split(&mut behind[0], count);
            layer
                .run_laid_out(
                    black_box(&strip),
                    [layouts[i], layouts[i + 1]],
                    &all,
                    &mut planes,
                    &mut scratch,
                )
                .expect("the maps have these sizes");
            list.keep(planes);
        }
    });
}

fn layer(inside: usize, outside: usize, kernel: usize, stride: usize, width: usize) -> Conv {
    let (pad, depthwise) = (kernel / 2, kernel > 1);
    let shape = ConvShape {
        in_channels: inside,
        out_channels: outside,
        groups: if depthwise { inside } else { 1 },
        width,
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        left: pad,
        right: pad,
    };
    let algorithm = if depthwise { Algorithm::Depthwise } else { Algorithm::Dense };
    let (weights, epilogue) =
        (vec![0.5; shape.weights()], Epilogue::new(vec![0.1; outside], Activation::RELU6));
    Conv::new(shape, &weights, epilogue, algorithm, Isa::best()).expect("the layers of the table are sound")
}
