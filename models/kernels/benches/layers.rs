//! Layers of the catalogue's networks, in multiply-adds a second (by definition, so Winograd exceeds the peak).
//!
//! `cargo bench -p collab-kernels -- dense`

mod common;

use collab_kernels::{
    Algorithm, Epilogue, Isa, Layout, Linear, LocalResponse, Map, PlaneList, Pool, PoolKind, Scratch, Strip,
    Transposed, TransposedShape, TransposedStrip, run_peak_loop,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// In channels, out channels, kernel, stride, input width and rows.
type Layer = (&'static str, usize, usize, usize, usize, usize);

const DENSE: &[Layer] = &[
    ("vgg16 conv1_1", 3, 64, 3, 1, 224),
    ("vgg16 conv1_2", 64, 64, 3, 1, 224),
    ("vgg16 conv2_2", 128, 128, 3, 1, 112),
    ("vgg16 conv3_2", 256, 256, 3, 1, 56),
    ("vgg16 conv4_2", 512, 512, 3, 1, 28),
    ("vgg16 conv5_2", 512, 512, 3, 1, 14),
    ("upconv7 2", 16, 32, 3, 1, 126),
    ("upconv7 3", 32, 64, 3, 1, 124),
    ("upconv7 6", 128, 256, 3, 1, 118),
    ("resnet50 conv1", 3, 64, 7, 2, 224),
    ("resnet50 3x3 s2", 128, 128, 3, 2, 56),
    ("resnet50 3x3 28", 128, 128, 3, 1, 28),
    ("resnet50 3x3 7", 512, 512, 3, 1, 7),
    ("squeezenet conv1", 3, 64, 3, 2, 224),
    ("squeezenet 3x3 55", 16, 64, 3, 1, 55),
    ("squeezenet 3x3 13", 64, 256, 3, 1, 13),
    ("densenet121 3x3 56", 128, 32, 3, 1, 56),
    ("densenet121 3x3 28", 128, 32, 3, 1, 28),
    ("yolov2 3x3 26", 256, 512, 3, 1, 26),
    ("yolov2 3x3 104", 64, 128, 3, 1, 104),
    ("inception 3x3 28", 96, 128, 3, 1, 28),
    ("resnet18 3x3 56", 64, 64, 3, 1, 56),
];

const POINTWISE: &[Layer] = &[
    ("resnet50 64-256 56", 64, 256, 1, 1, 56),
    ("resnet50 256-64 56", 256, 64, 1, 1, 56),
    ("resnet50 512-128 28", 512, 128, 1, 1, 28),
    ("resnet50 s2 512-1024 28", 512, 1024, 1, 2, 28),
    ("resnet50 1024-256 14", 1024, 256, 1, 1, 14),
    ("resnet50 512-2048 7", 512, 2048, 1, 1, 7),
    ("resnet50 2048-512 7", 2048, 512, 1, 1, 7),
    ("squeezenet 64-16 55", 64, 16, 1, 1, 55),
    ("squeezenet 16-64 55", 16, 64, 1, 1, 55),
    ("squeezenet 256-32 27", 256, 32, 1, 1, 27),
    ("squeezenet 512-64 13", 512, 64, 1, 1, 13),
    ("squeezenet 512-1000 13", 512, 1000, 1, 1, 13),
    ("lite0 32-16 112", 32, 16, 1, 1, 112),
    ("lite0 16-96 112", 16, 96, 1, 1, 112),
    ("lite0 144-24 56", 144, 24, 1, 1, 56),
    ("lite0 240-80 14", 240, 80, 1, 1, 14),
    ("lite0 1152-192 7", 1152, 192, 1, 1, 7),
];

const DEPTHWISE: &[Layer] = &[
    ("lite0 dw3 32 112", 32, 32, 3, 1, 112),
    ("lite0 dw3 96 s2 112", 96, 96, 3, 2, 112),
    ("lite0 dw3 144 56", 144, 144, 3, 1, 56),
    ("lite0 dw5 144 s2 56", 144, 144, 5, 2, 56),
    ("mobilenet dw3 144 s2 56", 144, 144, 3, 2, 56),
    ("mobilenet dw3 192 28", 192, 192, 3, 1, 28),
    ("mobilenet dw3 576 14", 576, 576, 3, 1, 14),
    ("mobilenet dw3 576 s2 14", 576, 576, 3, 2, 14),
    ("lite0 dw5 240 28", 240, 240, 5, 1, 28),
    ("lite0 dw5 672 14", 672, 672, 5, 1, 14),
    ("lite0 dw5 1152 7", 1152, 1152, 5, 1, 7),
    ("lite0 dw3 1152 7", 1152, 1152, 3, 1, 7),
];

fn bench(
    bencher: Bencher,
    &Named((_, inside, outside, kernel, stride, size)): &Named,
    algorithm: Algorithm,
    isa: Isa,
) {
    let groups = if algorithm == Algorithm::Depthwise { inside } else { 1 };
    let layer = common::Layer { channels: [inside, outside], groups, kernel, stride, size };
    common::run(bencher, layer, algorithm, isa, [Layout::Planes; 2]);
}

struct Named(Layer);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.0)
    }
}

fn dense_layers() -> Vec<Named> {
    DENSE.iter().copied().map(Named).collect()
}

fn winograd_layers() -> Vec<Named> {
    DENSE.iter().copied().filter(|layer| layer.3 == 3 && layer.4 == 1 && layer.1 >= 16).map(Named).collect()
}

fn pointwise_layers() -> Vec<Named> {
    POINTWISE.iter().copied().map(Named).collect()
}

fn depthwise_layers() -> Vec<Named> {
    DEPTHWISE.iter().copied().map(Named).collect()
}

#[divan::bench(args = Isa::available())]
fn peak(bencher: Bencher, isa: Isa) {
    let done = run_peak_loop(isa, 10_000);
    bencher.counter(ItemsCount::new(done)).bench_local(|| run_peak_loop(black_box(isa), 10_000));
}

#[divan::bench(args = dense_layers(), max_time = 0.3)]
fn dense(bencher: Bencher, layer: &Named) {
    bench(bencher, layer, Algorithm::Dense, Isa::best());
}

#[divan::bench(args = dense_layers(), max_time = 0.3)]
fn dense_avx2(bencher: Bencher, layer: &Named) {
    bench(bencher, layer, Algorithm::Dense, if Isa::Avx2.is_available() { Isa::Avx2 } else { Isa::Plain });
}

#[divan::bench(args = winograd_layers(), max_time = 0.3)]
fn winograd_rows(bencher: Bencher, layer: &Named) {
    bench(bencher, layer, Algorithm::WinogradRows, Isa::best());
}

#[divan::bench(args = winograd_layers(), max_time = 0.3)]
fn winograd_pairs(bencher: Bencher, layer: &Named) {
    bench(bencher, layer, Algorithm::WinogradPairs, Isa::best());
}

#[divan::bench(args = pointwise_layers(), max_time = 0.3)]
fn pointwise(bencher: Bencher, layer: &Named) {
    bench(bencher, layer, Algorithm::Dense, Isa::best());
}

#[divan::bench(args = depthwise_layers(), max_time = 0.3)]
fn depthwise(bencher: Bencher, layer: &Named) {
    bench(bencher, layer, Algorithm::Depthwise, Isa::best());
}

#[divan::bench(max_time = 0.5)]
fn upconv7_transposed(bencher: Bencher) {
    let shape = TransposedShape {
        in_channels: 256,
        out_channels: 3,
        groups: 1,
        width: 116,
        kernel: [4, 4],
        stride: [2, 2],
        left: 3,
        out_width: 228,
    };
    let macs = shape.macs_per_row() * 228;
    let layer = Transposed::new(shape, &vec![0.5; 256 * 3 * 16], Epilogue::none(), Isa::best())
        .expect("the shape is sound");
    let (input, mut output) = (vec![0.25; 256 * 116 * 116], vec![0.0; 3 * 228 * 228]);
    let input = Map::new(&input, 256, 116, 116).expect("the input has this size");
    let strip = TransposedStrip { input, rows: 3..231, residual: None };
    let (mut scratch, mut list) = (Scratch::new(), PlaneList::default());
    bencher.counter(ItemsCount::new(macs)).bench_local(|| {
        let mut planes = list.split(black_box(&mut output), 3);
        let result = layer.run_planes(black_box(&strip), &mut planes, &mut scratch);
        list.keep(planes);
        result
    });
}

/// The counter is values, not multiply-adds.
#[divan::bench(max_time = 0.3)]
fn alexnet_local_response(bencher: Bencher) {
    let layer = LocalResponse { size: 5, alpha: 1e-4, beta: 0.75, bias: 1.0 };
    let (input, mut output) = (vec![0.25; 96 * 54 * 54], vec![0.0; 96 * 54 * 54]);
    let input = Map::new(&input, 96, 54, 54).expect("the input has this size");
    let mut list = PlaneList::default();
    bencher.counter(ItemsCount::new(96 * 54 * 54usize)).bench_local(|| {
        let mut planes = list.split(black_box(&mut output), 96);
        let result = layer.run(Isa::best(), black_box(input), &mut planes);
        list.keep(planes);
        result
    });
}

/// The counter is values of the output.
#[divan::bench(max_time = 0.3)]
fn squeezenet_max_pool(bencher: Bencher) {
    let pool = Pool {
        kind: PoolKind::Max,
        width: 111,
        out_width: 55,
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        left: 0,
        right: 0,
    };
    let (input, mut output) = (vec![0.25; 64 * 111 * 111], vec![0.0; 64 * 55 * 55]);
    let input = Map::new(&input, 64, 111, 111).expect("the input has this size");
    let strip = Strip { input, top: 0, bottom: 0, rows: 0..55, residual: None };
    let (mut scratch, mut list) = (Scratch::new(), PlaneList::default());
    bencher.counter(ItemsCount::new(64 * 55 * 55usize)).bench_local(|| {
        let mut planes = list.split(black_box(&mut output), 64);
        let result = pool.run_planes(Isa::best(), black_box(&strip), &mut planes, &mut scratch);
        list.keep(planes);
        result
    });
}

/// Inputs and outputs: a layer that is read from memory, and gates of squeeze-and-excite.
const LINEAR: &[[usize; 2]] =
    &[[4096, 4096], [1280, 1000], [512, 1000], [960, 1280], [960, 240], [240, 960], [168, 672], [24, 96]];

/// In a network other layers' weights have passed by since the last run, so here are as many layers as fill what caches hold.
const WEIGHTS: usize = 32 << 20;

#[divan::bench(args = LINEAR.iter().map(|[inputs, outputs]| format!("{inputs}-{outputs}")).collect::<Vec<_>>(), max_time = 0.5)]
fn linear(bencher: Bencher, name: &str) {
    let [inputs, outputs] =
        *LINEAR.iter().find(|[inputs, outputs]| format!("{inputs}-{outputs}") == name).expect("named so");
    let weights = vec![0.5; inputs * outputs];
    let layer = |_| Linear::new(&weights, outputs, Epilogue::none(), Isa::best());
    let layers: Vec<_> = (0..WEIGHTS.div_ceil(inputs * outputs)).map(layer).collect();
    let (input, mut output) = (vec![0.25; inputs], vec![0.0; outputs]);
    let mut turn = layers.iter().flatten().cycle();
    bencher
        .counter(ItemsCount::new(inputs * outputs))
        .bench_local(|| turn.next().map(|layer| layer.run(black_box(&input), 0..outputs, &mut output)));
}
