//! Which algorithm computes a convolution.

use crate::blocked::holds_groups;
use crate::{ConvShape, Isa, winograd};

/// How a convolution is computed. Chosen once for a layer and a device; results of two algorithms differ in rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// A product of packed weights and gathered pixels. Any shape.
    Dense,
    /// Winograd's F(4,3) along the width: half the multiply-adds. 3×3, stride 1, dilation 1. Packed weights are twice
    /// as large.
    WinogradRows,
    /// The same, and F(2,3) down pairs of rows: a third of the multiply-adds. Packed weights are 2⅔ times as large.
    WinogradPairs,
    /// Each channel by itself. Groups as many as input channels.
    Depthwise,
}

/// Channels and width from which pairs of rows pay: with fewer, the transforms or the larger weights outweigh what the
/// products save.
const PAIRED_CHANNELS: usize = 32;
const PAIRED_WIDTH: usize = 20;

/// Width up to which a map has so few pixels, and bytes from which a layer's weights come from so far away, that with vectors
/// of 16 lanes twice as many of them take longer than half of the multiply-adds save.
const FEW_COLUMNS: usize = 8;
const FAR_WEIGHTS: usize = 4 << 20;

/// Channels of a group and width up to which groups of whole blocks are computed as they are, where a vector holds a block.
const GROUPED_CHANNELS: usize = 32;
const GROUPED_WIDTH: usize = 28;

impl Algorithm {
    /// A rule that depends on the layer and on the instruction set only.
    pub fn choose(shape: &ConvShape, isa: Isa) -> Algorithm {
        let channels = shape.in_channels.min(shape.out_channels) / shape.groups;
        let small = channels <= GROUPED_CHANNELS && shape.out_width() <= GROUPED_WIDTH;
        let broadcast = isa == Isa::Avx512 && holds_groups(shape) && small;
        let far = isa == Isa::Avx512
            && shape.out_width() <= FEW_COLUMNS
            && size_of::<f32>() * shape.weights() >= FAR_WEIGHTS;
        if shape.is_depthwise() {
            Algorithm::Depthwise
        } else if broadcast || far || !winograd::fits(shape) || channels < 16 {
            Algorithm::Dense
        } else if channels < PAIRED_CHANNELS || shape.out_width() < PAIRED_WIDTH {
            Algorithm::WinogradRows
        } else {
            Algorithm::WinogradPairs
        }
    }
}
