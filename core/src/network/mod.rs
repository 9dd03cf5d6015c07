//! A network's geometry: what a planner, a schedule and a screen must know of it, and no weights.
//!
//! A [`Network`] is a chain of [`Unit`]s. Between two neighbouring units exactly one tensor is alive: the
//! [`Cut`]. Inside a unit the [`Layer`]s form a directed acyclic graph. `models` builds it from ONNX.

mod demand;
#[doc(hidden)]
pub mod samples;
mod work;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use demand::Demand;
pub use work::{Term, Work};

use crate::id::NetworkId;
use crate::rows::RowMap;

/// The tensor alive at a cut, seen as `outer × rows × inner` values of four bytes.
///
/// For a feature map in NCHW order `outer` is the channels, `rows` the height, `inner` the width. For the
/// output of a dense layer `rows` counts its features and the others are 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Values before the split axis.
    pub outer: u32,
    /// Size of the split axis.
    pub rows: u32,
    /// Values after the split axis.
    pub inner: u32,
}

impl Cut {
    /// Values in one row.
    pub fn row_values(&self) -> u64 {
        u64::from(self.outer) * u64::from(self.inner)
    }

    /// Bytes of `rows` rows of 32-bit floats.
    pub fn bytes(&self, rows: u32) -> u64 {
        4 * self.row_values() * u64::from(rows)
    }
}

/// What a layer spends its time on; each kind has its own speed on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// k×k convolution, one group.
    Conv,
    /// 1×1 convolution.
    Pointwise,
    /// Convolution with as many groups as channels.
    Depthwise,
    /// Convolution with several groups.
    Grouped,
    /// Transposed convolution.
    Transposed,
    /// Matrix product with constant weights.
    Dense,
    /// Max or average pool, global ones too.
    Pool,
    /// Local response normalisation.
    Lrn,
    /// Nearest or linear resize.
    Resize,
    /// Arithmetic per element: activations, additions, batch norm left over.
    Elementwise,
    /// Moves values without arithmetic: concat, transpose, reshape, slice, pad.
    Move,
    /// Anything else.
    Other,
}

/// One input of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The layer whose output is read; `None` is the network's input.
    pub from: Option<u32>,
    /// Which of its rows are needed.
    pub map: RowMap,
}

/// Bytes from which a map is passed on in bands of rows, if layers allow it ([`Layer::hands_bands_to`]): it would not stay
/// in a second-level cache.
pub const BANDED_BYTES: u64 = 1 << 20;

/// One operator as the engine executes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The ONNX node's name, unique within the network.
    pub name: String,
    /// For people: `Conv 3×3 s2`.
    pub op: String,
    /// What it spends its time on.
    pub kind: Kind,
    /// What it reads, apart from its weights.
    pub inputs: Vec<Edge>,
    /// Its output, split along the row axis; one row where it cannot be split.
    pub output: Cut,
    /// Multiply-accumulates for one output row.
    pub row_macs: u64,
    /// Bytes of its weights.
    pub weight_bytes: u64,
    /// Bytes that its weights take once they are laid out for the engine's kernels. Every worker that has loaded the
    /// network keeps those of all layers.
    #[serde(default)]
    pub kept_bytes: u64,
    /// What it makes a processor do, as the engine states it; empty where that is to be derived
    /// ([`Network::work`]).
    #[serde(default)]
    pub work: Vec<Work>,
}

impl Layer {
    /// Whether the engine computes this layer and `next`, its only reader, together in bands of rows, so that a map of
    /// `bytes` between them is never there as a whole. Weights pass by once a band, so they must be smaller.
    pub fn hands_bands_to(&self, next: &Layer, bytes: u64) -> bool {
        let fits = |layer: &Layer| {
            use Kind::{Conv, Depthwise, Elementwise, Grouped, Lrn, Pointwise, Pool};
            layer.kept_bytes <= bytes
                && matches!(layer.kind, Conv | Pointwise | Depthwise | Grouped | Pool | Elementwise | Lrn)
        };
        bytes >= BANDED_BYTES && fits(self) && fits(next)
    }
}

/// How a unit's output may be divided among workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// By rows of the feature map.
    Rows,
    /// By output features of a dense layer.
    Features,
    /// Not at all: one worker computes it. The sentence says why.
    Whole(String),
}

/// The layers between two neighbouring cuts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// First layer and one past the last, as indices into [`Network::layers`]. The last layer's output is
    /// the cut.
    pub layers: (u32, u32),
    /// The tensor at its end.
    pub output: Cut,
    /// Whether and along what it is divided.
    pub split: Split,
}

/// How 8-bit pixels become the network's input: `(pixel − mean) / std`, per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pixels {
    /// Subtracted, in units of 0…255.
    pub mean: Vec<f32>,
    /// Divided by, in units of 0…255.
    pub std: Vec<f32>,
}

/// A network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its rows.
    pub cut: Cut,
    /// Its ONNX shape, batch 1.
    pub shape: Vec<usize>,
    /// How pictures are fed; `None` if it does not start from a picture.
    pub pixels: Option<Pixels>,
}

/// A CNN as a chain of units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// SHA-256 of its ONNX bytes.
    pub id: NetworkId,
    /// For people.
    pub name: String,
    /// What it reads.
    pub input: Input,
    /// The ONNX shape of its output.
    pub output_shape: Vec<usize>,
    /// Every layer, in an order in which they can be computed.
    pub layers: Vec<Layer>,
    /// The chain.
    pub units: Vec<Unit>,
}

impl Network {
    /// The tensor at cut `index`: 0 is the input, `units.len()` the output.
    pub fn cut(&self, index: usize) -> Cut {
        match index {
            0 => self.input.cut,
            _ => self.units[index - 1].output,
        }
    }

    /// The tensors at all its cuts, the input and the output among them.
    pub fn cuts(&self) -> impl Iterator<Item = Cut> {
        std::iter::once(self.input.cut).chain(self.units.iter().map(|unit| unit.output))
    }

    /// The layers of a span of units, as indices.
    pub fn layers_of(&self, units: &Range<usize>) -> Range<usize> {
        if units.is_empty() {
            return 0..0;
        }
        self.units[units.start].layers.0 as usize..self.units[units.end - 1].layers.1 as usize
    }

    /// Multiply-accumulates of the whole network.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.row_macs * u64::from(layer.output.rows)).sum()
    }

    /// Bytes of all weights.
    pub fn weight_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.weight_bytes).sum()
    }

    /// Bytes of all weights as the engine keeps them.
    pub fn kept_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.kept_bytes).sum()
    }

    /// How many leading units are split by rows; what follows is the tail.
    pub fn tail_start(&self) -> usize {
        self.units.iter().rposition(|unit| unit.split == Split::Rows).map_or(0, |last| last + 1)
    }
}
