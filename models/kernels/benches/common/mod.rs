//! A convolution that is run again and again.

use collab_kernels::{
    Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, Layout, Map, PlaneList, Scratch, Share, Strip,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

/// A convolution of a square map, padded so that it keeps its size but for the stride.
#[derive(Clone, Copy)]
pub struct Layer {
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Groups of them.
    pub groups: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Of both axes.
    pub stride: usize,
    /// The map's width and rows.
    pub size: usize,
}

impl Layer {
    /// What the kernels are told of it.
    pub fn shape(&self) -> ConvShape {
        let Self { channels: [in_channels, out_channels], groups, kernel, stride, size } = *self;
        ConvShape {
            in_channels,
            out_channels,
            groups,
            width: size,
            kernel: [kernel, kernel],
            stride: [stride, stride],
            dilation: [1, 1],
            left: kernel / 2,
            right: kernel / 2,
        }
    }
}

/// Runs a layer between maps that lie so, in multiply-adds a second; does nothing where there is no kernel for that.
pub fn run(bencher: Bencher, layer: Layer, algorithm: Algorithm, isa: Isa, layouts: [Layout; 2]) {
    let (shape, pad) = (layer.shape(), layer.kernel / 2);
    let ([inside, outside], size) = (layer.channels, layer.size);
    let (weights, epilogue) =
        (vec![0.5; shape.weights()], Epilogue::new(vec![0.1; outside], Activation::RELU6));
    let rows = shape.out_rows(size, pad, pad);
    let [planes, width] = layouts[0].as_planes(inside, size);
    let [count, out_width] = layouts[1].as_planes(outside, shape.out_width());
    let input = vec![0.25; planes * size * width];
    let mut output = vec![0.0; count * rows * out_width];
    let macs = shape.macs_per_row() * rows;
    let conv = Conv::new(shape, &weights, epilogue, algorithm, isa).expect("the layers are sound");
    if !conv.takes(layouts) {
        return;
    }
    let input = Map::new(&input, planes, size, width).expect("the map has this size");
    let strip = Strip { input, top: pad, bottom: pad, rows: 0..rows, residual: None };
    let all = Share { rows: 0..rows, channels: 0..outside };
    let (mut scratch, mut list) = (Scratch::new(), PlaneList::default());
    bencher.counter(ItemsCount::new(macs)).bench_local(|| {
        let mut planes = list.split(black_box(&mut output), count);
        conv.run_laid_out(black_box(&strip), layouts, &all, &mut planes, &mut scratch)
            .expect("the maps have these sizes");
        list.keep(planes);
    });
}
