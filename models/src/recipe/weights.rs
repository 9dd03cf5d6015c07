//! Seeded weights: one independent ChaCha8 stream per tensor, exact arithmetic only.

use collab_core::id::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Hands out the tensors of one network in order; each has its own stream of random numbers.
pub(crate) struct Weights {
    seed: [u8; 32],
    stream: u64,
}

impl Weights {
    /// Weights seeded by the recipe's id.
    pub(crate) fn new(seed: Digest) -> Self {
        Self { seed: seed.0, stream: 0 }
    }

    /// `count` values uniform in `[low, high)`, as little-endian 32-bit floats.
    ///
    /// 24 random bits become an exact float, so one multiplication and one addition are all that rounds.
    pub(crate) fn uniform(&mut self, count: usize, low: f32, high: f32) -> Vec<u8> {
        let mut stream = ChaCha8Rng::from_seed(self.seed);
        stream.set_stream(self.stream);
        self.stream += 1;
        let mut bytes = vec![0; 4 * count];
        stream.fill_bytes(&mut bytes);
        let (chunks, _) = bytes.as_chunks_mut::<4>();
        let step = (high - low) / (1 << 24) as f32;
        for chunk in chunks {
            let integer = u32::from_le_bytes(*chunk) >> 8;
            *chunk = (integer as f32 * step + low).to_le_bytes();
        }
        bytes
    }

    /// `count` weights with mean 0 and variance `gain / fan_in` (He et al. 2015 with gain 2), where
    /// `fan_in` is the number of values each output sums.
    pub(crate) fn scaled(&mut self, count: usize, fan_in: usize, gain: f64) -> Vec<u8> {
        let bound = (3.0 * gain / fan_in as f64).sqrt() as f32;
        self.uniform(count, -bound, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
    }

    #[test]
    fn weights_have_the_promised_range_mean_and_variance() {
        let mut weights = Weights::new(Digest([3; 32]));
        let drawn = values(&weights.scaled(100_000, 50, 2.0));
        let mean = drawn.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 2e-3, "{mean}");
        assert!((variance - 0.04).abs() < 1e-3, "{variance}");
        let drawn = values(&weights.uniform(1000, 0.8, 1.2));
        assert!(drawn.iter().all(|x| (0.8..=1.2).contains(x)));
    }

    #[test]
    fn every_tensor_has_its_own_values() {
        let mut weights = Weights::new(Digest([3; 32]));
        assert_ne!(weights.uniform(8, 0.0, 1.0), weights.uniform(8, 0.0, 1.0));
        let mut again = Weights::new(Digest([3; 32]));
        let mut other = Weights::new(Digest([4; 32]));
        assert_ne!(again.uniform(8, 0.0, 1.0), other.uniform(8, 0.0, 1.0));
    }

    #[test]
    fn the_first_weights_are_the_same_on_every_machine() {
        let drawn = values(&Weights::new(Digest([7; 32])).scaled(4, 27, 2.0));
        assert_eq!(
            drawn.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            [3188724582, 3196430090, 1051371617, 1050686135]
        );
    }
}
