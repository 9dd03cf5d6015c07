//! A convolution layer: its shape, its packed weights, its epilogue, and the algorithm that computes it.

mod layouts;
mod run;

use crate::depthwise;
use crate::tile::PANEL;
use crate::winograd::{pairs, rows};
use crate::{Activation, Algorithm, ConvShape, Epilogue, Isa, KernelError, PackedWeights};
pub use run::Strip;
use std::sync::Arc;

/// A convolution ready to run. Cloning shares the weights.
#[derive(Debug, Clone)]
pub struct Conv {
    shape: Arc<ConvShape>,
    epilogue: Arc<Epilogue>,
    algorithm: Algorithm,
    weights: Arc<PackedWeights>,
    isa: Isa,
    /// The row of the whole layer's output that row 0 of strips is.
    pub(crate) first_row: usize,
}

impl Conv {
    /// Packs `weights`, which are out channels × (in channels / groups) × kernel rows × kernel columns.
    ///
    /// # Errors
    /// If the shape contradicts itself, a list has the wrong length, the algorithm does not fit the shape, or the
    /// machine lacks the instruction set.
    pub fn new(
        shape: ConvShape,
        weights: &[f32],
        epilogue: Epilogue,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Result<Conv, KernelError> {
        shape.check()?;
        epilogue.check(shape.out_channels)?;
        if weights.len() != shape.weights() {
            return Err(KernelError::Length {
                what: "weights",
                expected: shape.weights(),
                found: weights.len(),
            });
        }
        let weights = match algorithm {
            Algorithm::Dense => {
                let (channels, depth) = (shape.out_channels / shape.groups, shape.depth());
                PackedWeights::pack(shape.groups, channels, depth, |group, channel, k| {
                    weights[(group * channels + channel) * depth + k]
                })
            }
            Algorithm::WinogradRows => rows::pack(&shape, weights)?,
            Algorithm::WinogradPairs => pairs::pack(&shape, weights)?,
            Algorithm::Depthwise => depthwise::pack(&shape, weights)?,
        };
        Ok(Conv {
            shape: Arc::new(shape),
            epilogue: Arc::new(epilogue),
            algorithm,
            weights: Arc::new(weights),
            isa: isa.checked()?,
            first_row: 0,
        })
    }

    /// The layer's shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// What every output value passes through last.
    pub fn activation(&self) -> Activation {
        self.epilogue.activation
    }

    /// The algorithm that computes it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The same layer for strips whose row 0 is row `row` of the whole layer's output; 0 unless told. Pairs of rows
    /// that are computed together begin at even rows of the whole.
    pub fn beginning_at(mut self, row: usize) -> Conv {
        self.first_row = row;
        self
    }

    /// Bytes of the packed weights, shared by all clones.
    pub fn weight_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Ranges of output channels that are computed alone begin and end at multiples of this (or at the last channel).
    pub fn channel_step(&self) -> usize {
        let per_group = self.shape.out_channels / self.shape.groups;
        match self.algorithm() {
            Algorithm::Dense | Algorithm::WinogradRows | Algorithm::WinogradPairs
                if self.shape.groups == 1 =>
            {
                PANEL
            }
            Algorithm::Depthwise => per_group * PANEL,
            _ => per_group,
        }
    }

    /// Whether pairs of rows that are computed together begin at even rows of a strip, 0, or at odd ones, 1.
    pub fn pairs_begin_at(&self) -> usize {
        self.first_row % 2
    }

    /// Rows that are computed together: shares of several threads begin at multiples of this, counted in the whole layer.
    pub(crate) fn row_step(&self) -> usize {
        if self.algorithm() == Algorithm::WinogradPairs { 2 } else { 1 }
    }
}
