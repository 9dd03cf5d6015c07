//! What a piece of a strip costs beside its layers: putting its input together, and the bytes of what is sent.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::nnls::fit_relative;
use super::{TimedBlock, push_bounded};

/// Blocks remembered.
const SAMPLES: usize = 48;
/// Blocks before anything is said.
const ENOUGH: usize = 6;

const A_MEGABYTE: f64 = 1e6;

/// What a worker takes for a piece of a strip beside its layers. Nothing is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PieceCost {
    /// For every piece, ms.
    pub call_ms: f64,
    /// For every byte of its input, ms.
    pub in_ms: f64,
    /// For every byte that is sent of it, ms.
    pub out_ms: f64,
}

impl PieceCost {
    /// Milliseconds for a piece that reads and sends so many bytes.
    pub fn ms(&self, bytes_in: u64, bytes_out: u64) -> f64 {
        self.call_ms + self.in_ms * bytes_in as f64 + self.out_ms * bytes_out as f64
    }

    /// The same for all pieces of a block.
    pub fn pieces_ms(&self, block: &TimedBlock) -> f64 {
        f64::from(block.pieces.saturating_sub(1)) * self.call_ms + self.ms(block.bytes_in, block.bytes_out)
    }

    /// The same, `factor` times slower.
    pub fn times(&self, factor: f64) -> Self {
        Self { call_ms: factor * self.call_ms, in_ms: factor * self.in_ms, out_ms: factor * self.out_ms }
    }
}

/// A block as a worker computed it in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    pieces: u32,
    bytes_in: u32,
    bytes_out: u32,
    /// Its spans less its layers, at full share and scale 1; negative if a clock says so.
    ms: f32,
}

/// Late blocks of a worker, and what they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PieceMemory {
    blocks: VecDeque<Block>,
    cost: PieceCost,
    /// What is expected before anything ran.
    #[serde(default)]
    prior: Option<PieceCost>,
}

impl PieceMemory {
    /// Takes what is expected of a device before anything ran on it.
    pub fn expect(&mut self, prior: PieceCost) {
        self.prior = Some(prior);
        if self.blocks.len() < ENOUGH {
            self.cost = prior;
        }
    }

    /// As last fitted.
    pub fn cost(&self) -> PieceCost {
        self.cost
    }

    /// Takes in what a block took beside its layers; [`PieceMemory::fit`] makes use of it.
    pub fn learn(&mut self, pieces: u32, bytes_in: u64, bytes_out: u64, ms: f64) {
        let bytes = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        let block = Block { pieces, bytes_in: bytes(bytes_in), bytes_out: bytes(bytes_out), ms: ms as f32 };
        push_bounded(&mut self.blocks, block, SAMPLES);
    }

    /// Fits the cost to what was learnt.
    pub fn fit(&mut self) {
        if self.blocks.len() < ENOUGH {
            return;
        }
        let row = |block: &Block| {
            vec![f64::from(block.pieces), f64::from(block.bytes_in), f64::from(block.bytes_out)]
        };
        let mut rows: Vec<Vec<f64>> = self.blocks.iter().map(row).collect();
        let mut times: Vec<f64> = self.blocks.iter().map(|block| f64::from(block.ms)).collect();
        // What is expected counts as one block for each cost, so that few blocks that are alike tell nothing wild.
        if let Some(PieceCost { call_ms, in_ms, out_ms }) = self.prior {
            rows.extend([vec![1.0, 0.0, 0.0], vec![0.0, A_MEGABYTE, 0.0], vec![0.0, 0.0, A_MEGABYTE]]);
            times.extend([call_ms, A_MEGABYTE * in_ms, A_MEGABYTE * out_ms]);
        }
        if let [call_ms, in_ms, out_ms] = fit_relative(&rows, &times)[..] {
            self.cost = PieceCost { call_ms, in_ms, out_ms };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_all_alike_do_not_outweigh_what_was_expected() {
        let prior = PieceCost { call_ms: 0.1, in_ms: 2e-7, out_ms: 2e-7 };
        let mut memory = PieceMemory::default();
        memory.expect(prior);
        assert_eq!(memory.cost(), prior);
        for _ in 0..10 {
            memory.learn(1, 200_000, 40_000, 0.3);
        }
        memory.fit();
        let found = memory.cost();
        assert!((found.ms(200_000, 40_000) / 0.3 - 1.0).abs() < 0.05, "{found:?}");
        assert!((0.4..3.0).contains(&found.ms(4_000_000, 0)), "{found:?}");
    }

    #[test]
    fn what_a_piece_costs_is_found_among_blocks_of_all_sizes() {
        let truth = PieceCost { call_ms: 0.04, in_ms: 2e-7, out_ms: 3e-6 };
        let mut memory = PieceMemory::default();
        for at in 0..100u64 {
            let (pieces, bytes_in, bytes_out) = (1 + at % 3, 40_000 * (1 + at % 17), 9_000 * (at % 5));
            let spent = (pieces - 1) as f64 * truth.call_ms + truth.ms(bytes_in, bytes_out);
            memory.learn(pieces as u32, bytes_in, bytes_out, if at % 20 == 7 { 9.0 } else { spent });
        }
        memory.fit();
        let found = memory.cost();
        for (bytes_in, bytes_out) in [(40_000, 0), (600_000, 30_000)] {
            let error = found.ms(bytes_in, bytes_out) / truth.ms(bytes_in, bytes_out) - 1.0;
            assert!(error.abs() < 0.05, "{found:?}");
        }
    }
}
