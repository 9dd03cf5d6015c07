//! One run of a convolution, whatever computes it.

use crate::epilogue::Epilogue;
use crate::gather::Window;
use crate::scratch::Buffers;
use crate::weights::PackedWeights;
use crate::{Layout, Map};
use std::ops::Range;

/// What a kernel computes, and from what.
pub(crate) struct Run<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    pub(crate) window: Window<'a>,
    /// Output rows to compute.
    pub(crate) rows: usize,
    pub(crate) residual: Residual<'a>,
    /// One plane for each of `channels`, or one block for 16.
    pub(crate) output: &'a mut [&'b mut [f32]],
    /// Of the whole layer.
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) groups: usize,
    /// Output channels to compute: from the start of a panel to the end of one, whole groups, or all of some input channels.
    pub(crate) channels: Range<usize>,
    /// Of input and output; blocks only where vectors hold one.
    pub(crate) layouts: [Layout; 2],
    pub(crate) buffers: &'a mut Buffers,
}

/// What is added to outputs, of all channels.
#[derive(Clone, Copy)]
pub(crate) enum Residual<'a> {
    /// Nothing.
    None,
    /// A map in planes, which is turned where the output is in blocks.
    Planes(Map<'a>),
    /// A map in blocks.
    Blocks(Map<'a>),
}

impl<'a> Residual<'a> {
    /// The map, for a kernel that knows how it lies.
    pub(crate) fn map(self) -> Option<Map<'a>> {
        match self {
            Residual::None => None,
            Residual::Planes(map) | Residual::Blocks(map) => Some(map),
        }
    }
}
