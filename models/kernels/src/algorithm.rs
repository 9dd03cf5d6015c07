//! Which algorithm computes a convolution.

use crate::{ConvShape, winograd};

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

impl Algorithm {
    /// A rule that depends on the layer only.
    pub fn choose(shape: &ConvShape) -> Algorithm {
        let channels = shape.in_channels.min(shape.out_channels) / shape.groups;
        if shape.is_depthwise() {
            Algorithm::Depthwise
        } else if !winograd::fits(shape) || channels < 16 {
            Algorithm::Dense
        } else if channels < PAIRED_CHANNELS || shape.out_width() < PAIRED_WIDTH {
            Algorithm::WinogradRows
        } else {
            Algorithm::WinogradPairs
        }
    }
}
