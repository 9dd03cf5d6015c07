//! Networks for tests, benches and examples of the geometry; they have no weights.

mod random;
pub mod sketch;
mod zoo;

pub use random::random;
pub use zoo::{ZOO, named};

use super::{Cut, Edge, Input, Kind, Layer, Network, Pixels, Split, Unit};
use crate::id::Digest;
use crate::rows::RowMap;

/// A chain of `units` 3×3 convolutions with padding 1 over a square map of `size` rows and 8 channels.
pub fn chain(size: u32, units: u32) -> Network {
    let cut = Cut { outer: 8, rows: size, inner: size };
    let layer = |index: u32| Layer {
        name: format!("conv{index}"),
        op: "Conv 3×3".to_owned(),
        kind: Kind::Conv,
        inputs: vec![Edge { from: index.checked_sub(1), map: RowMap::window(3, 1, 1, 1) }],
        output: cut,
        row_macs: u64::from(size) * 8 * 8 * 9,
        weight_bytes: 8 * 8 * 9 * 4,
        kept_bytes: 8 * 8 * 9 * 4,
        work: Vec::new(),
    };
    let unit = |index: u32| Unit { layers: (index, index + 1), output: cut, split: Split::Rows };
    Network {
        id: Digest([7; 32]),
        name: "chain".to_owned(),
        input: Input {
            cut: Cut { outer: 3, rows: size, inner: size },
            shape: vec![1, 3, size as usize, size as usize],
            pixels: Some(Pixels { mean: vec![0.0; 3], std: vec![255.0; 3] }),
        },
        output_shape: vec![1, 8, size as usize, size as usize],
        layers: (0..units).map(layer).collect(),
        units: (0..units).map(unit).collect(),
    }
}
