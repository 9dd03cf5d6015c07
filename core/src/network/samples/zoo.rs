//! Geometries of well-known networks: convolutions with their activations folded in, as engines run them.

use super::sketch::{Sketch, Tensor};
use crate::network::{Network, Split};

/// The names that [`named`] knows.
pub const ZOO: [&str; 7] =
    ["vgg16", "resnet50", "mobilenetv2", "upconv7", "alexnet", "yolo16", "efficientnet-lite0"];

/// The network called `name`, with the input size its authors chose.
pub fn named(name: &str) -> Option<Network> {
    match name {
        "vgg16" => Some(vgg16()),
        "resnet50" => Some(resnet50()),
        "mobilenetv2" => Some(inverted_residuals(name, 32, &MOBILE_NET_V2)),
        "upconv7" => Some(upconv7()),
        "alexnet" => Some(alexnet()),
        "yolo16" => Some(yolo16()),
        "efficientnet-lite0" => Some(inverted_residuals(name, 32, &EFFICIENT_NET_LITE0)),
        _ => None,
    }
}

/// A classifier's last layers, on one worker or by features.
fn classify(sketch: &mut Sketch, mut x: Tensor, features: &[u32]) {
    for &count in features {
        x = sketch.dense(x, count);
        sketch.cut(Split::Features);
    }
}

fn vgg16() -> Network {
    let (mut sketch, mut x) = Sketch::new("vgg16", 3, 224);
    for (channels, convs) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..convs {
            x = sketch.conv(x, channels, 3, 1, 1);
            sketch.cut(Split::Rows);
        }
        x = sketch.pool(x, 2, 2, 0);
        sketch.cut(Split::Rows);
    }
    classify(&mut sketch, x, &[4096, 4096, 1000]);
    sketch.finish()
}

fn resnet50() -> Network {
    let (mut sketch, mut x) = Sketch::new("resnet50", 3, 224);
    x = sketch.conv(x, 64, 7, 2, 3);
    sketch.cut(Split::Rows);
    x = sketch.pool(x, 3, 2, 1);
    sketch.cut(Split::Rows);
    for (stage, (width, blocks)) in [(64, 3), (128, 4), (256, 6), (512, 3)].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if block == 0 && stage > 0 { 2 } else { 1 };
            let mut way = sketch.conv(x, width, 1, 1, 0);
            way = sketch.conv(way, width, 3, stride, 1);
            way = sketch.conv(way, 4 * width, 1, 1, 0);
            let skip = if block == 0 { sketch.conv(x, 4 * width, 1, stride, 0) } else { x };
            x = sketch.add(&[way, skip]);
            sketch.cut(Split::Rows);
        }
    }
    x = sketch.global_pool(x);
    sketch.cut(Split::Whole("the pool needs every row".to_owned()));
    classify(&mut sketch, x, &[1000]);
    sketch.finish()
}

/// Expansion, channels, blocks, first stride, kernel.
type Stages = [(u32, u32, u32, u32, u32); 7];
const MOBILE_NET_V2: Stages = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
];
const EFFICIENT_NET_LITE0: Stages = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
];

fn inverted_residuals(name: &str, stem: u32, stages: &Stages) -> Network {
    let (mut sketch, mut x) = Sketch::new(name, 3, 224);
    x = sketch.conv(x, stem, 3, 2, 1);
    sketch.cut(Split::Rows);
    for &(expansion, channels, blocks, first_stride, kernel) in stages {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let mut way = x;
            if expansion > 1 {
                way = sketch.conv(way, expansion * x.cut.outer, 1, 1, 0);
            }
            way = sketch.depthwise(way, kernel, stride);
            way = sketch.conv(way, channels, 1, 1, 0);
            x = if block > 0 { sketch.add(&[way, x]) } else { way };
            sketch.cut(Split::Rows);
        }
    }
    x = sketch.conv(x, 1280, 1, 1, 0);
    sketch.cut(Split::Rows);
    x = sketch.global_pool(x);
    sketch.cut(Split::Whole("the pool needs every row".to_owned()));
    classify(&mut sketch, x, &[1000]);
    sketch.finish()
}

fn upconv7() -> Network {
    let (mut sketch, mut x) = Sketch::new("upconv7", 3, 256);
    for channels in [16, 32, 64, 128, 128, 256] {
        x = sketch.conv(x, channels, 3, 1, 0);
        sketch.cut(Split::Rows);
    }
    sketch.transposed(x, 3, 4, 2, 3);
    sketch.cut(Split::Rows);
    sketch.finish()
}

fn alexnet() -> Network {
    let (mut sketch, mut x) = Sketch::new("alexnet", 3, 224);
    for (channels, kernel, stride, pad, pooled) in [
        (64, 11, 4, 2, true),
        (192, 5, 1, 2, true),
        (384, 3, 1, 1, false),
        (256, 3, 1, 1, false),
        (256, 3, 1, 1, true),
    ] {
        x = sketch.conv(x, channels, kernel, stride, pad);
        sketch.cut(Split::Rows);
        if pooled {
            x = sketch.pool(x, 3, 2, 0);
            sketch.cut(Split::Rows);
        }
    }
    classify(&mut sketch, x, &[4096, 4096, 1000]);
    sketch.finish()
}

fn yolo16() -> Network {
    let (mut sketch, mut x) = Sketch::new("yolo16", 3, 608);
    for (channels, kernel) in [
        (32, 3),
        (0, 2),
        (64, 3),
        (0, 2),
        (128, 3),
        (64, 1),
        (128, 3),
        (0, 2),
        (256, 3),
        (128, 1),
        (256, 3),
        (0, 2),
        (512, 3),
        (256, 1),
        (512, 3),
        (256, 1),
    ] {
        x = if channels == 0 {
            sketch.pool(x, 2, 2, 0)
        } else {
            sketch.conv(x, channels, kernel, 1, kernel / 2)
        };
        sketch.cut(Split::Rows);
    }
    sketch.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zoo_has_the_published_sizes() {
        // Multiply-accumulates in millions and weights in millions, biases and batch norms not counted.
        for (name, macs, weights) in [
            ("vgg16", 15_470.0, 138.3),
            ("resnet50", 4_089.0, 25.5),
            ("mobilenetv2", 300.8, 3.47),
            ("alexnet", 714.0, 61.1),
            ("efficientnet-lite0", 385.0, 4.6),
        ] {
            let network = named(name).unwrap();
            let (real, real_weights) = (network.macs() as f64 / 1e6, network.weight_bytes() as f64 / 4e6);
            assert!((real / macs - 1.0).abs() < 0.02, "{name}: {real} million MACs");
            assert!((real_weights / weights - 1.0).abs() < 0.03, "{name}: {real_weights} million weights");
        }
        assert!(ZOO.iter().all(|name| named(name).is_some()));
    }
}
