//! Random networks, to test laws of geometry on every shape of graph.

use rand::{Rng, RngExt};

use super::sketch::{Sketch, Tensor};
use crate::network::{Network, Split};

/// A network of up to `units` units over a map of 8 to `size` rows: chains, residuals, concatenations,
/// squeeze-and-scale, strides, pools, transposed convolutions, resizes, then perhaps a dense or whole tail.
pub fn random(rng: &mut impl Rng, units: usize, size: u32) -> Network {
    let (mut sketch, mut x) = Sketch::new("random", 3, rng.random_range(8..=size.max(8)));
    for _ in 0..rng.random_range(1..=units.max(1)) {
        x = unit(rng, &mut sketch, x, size);
        sketch.cut(Split::Rows);
    }
    if rng.random_bool(0.3) {
        x = sketch.global_pool(x);
        sketch.cut(Split::Whole("the pool needs every row".to_owned()));
    }
    for _ in 0..rng.random_range(0..3u32) {
        x = sketch.dense(x, rng.random_range(4..40));
        sketch.cut(Split::Features);
    }
    sketch.finish()
}

fn unit(rng: &mut impl Rng, sketch: &mut Sketch, x: Tensor, size: u32) -> Tensor {
    let kernel = rng.random_range(0..3u32) * 2 + 1;
    let pad = kernel / 2;
    let channels = rng.random_range(2..9);
    let large = x.cut.rows >= 8;
    match rng.random_range(0..10u32) {
        0 if large => sketch.conv(x, channels, kernel, 2, pad),
        1 if large => sketch.pool(x, 2, 2, 0),
        2 if large => sketch.conv(x, channels, kernel, 1, 0),
        3 if 2 * x.cut.rows <= size => sketch.transposed(x, channels, 4, 2, 1),
        4 if 2 * x.cut.rows <= size => sketch.resize(x, 2),
        5 => {
            let way = sketch.conv(x, channels, kernel, 1, pad);
            let way = sketch.depthwise(way, 3, 1);
            let skip = sketch.conv(x, channels, 1, 1, 0);
            sketch.add(&[way, skip])
        }
        6 if large => {
            let way = sketch.conv(x, channels, 3, 2, 1);
            let skip = sketch.conv(x, channels, 1, 2, 0);
            sketch.add(&[way, skip])
        }
        7 => {
            let narrow = sketch.conv(x, channels, 1, 1, 0);
            let wide = sketch.conv(narrow, channels, 5, 1, 2);
            sketch.concat(&[narrow, wide, x])
        }
        8 => {
            let way = sketch.conv(x, channels, kernel, 1, pad);
            let squeezed = sketch.global_pool(way);
            let by = sketch.conv(squeezed, channels, 1, 1, 0);
            sketch.scale(way, by)
        }
        _ => sketch.conv(x, channels, kernel, 1, pad),
    }
}
