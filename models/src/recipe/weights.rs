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

    /// `count` values uniform in `[low, high)`.
    ///
    /// 24 random bits become an exact float, so one multiplication and one addition are all that rounds.
    pub(crate) fn uniform(
        &mut self,
        count: usize,
        low: f32,
        high: f32,
    ) -> impl ExactSizeIterator<Item = f32> + use<> {
        let mut stream = ChaCha8Rng::from_seed(self.seed);
        stream.set_stream(self.stream);
        self.stream += 1;
        let step = (high - low) / (1 << 24) as f32;
        (0..count).map(move |_| (stream.next_u32() >> 8) as f32 * step + low)
    }

    /// `count` weights with mean 0 and variance `gain / fan_in` (He et al. 2015 with gain 2), where
    /// `fan_in` is the number of values each output sums.
    pub(crate) fn scaled(
        &mut self,
        count: usize,
        fan_in: usize,
        gain: f64,
    ) -> impl ExactSizeIterator<Item = f32> + use<> {
        let bound = (3.0 * gain / fan_in as f64).sqrt() as f32;
        self.uniform(count, -bound, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_promised_range_mean_and_variance() {
        let mut weights = Weights::new(Digest([3; 32]));
        let drawn: Vec<f32> = weights.scaled(100_000, 50, 2.0).collect();
        let mean = drawn.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 2e-3, "{mean}");
        assert!((variance - 0.04).abs() < 1e-3, "{variance}");
        assert!(weights.uniform(1000, 0.8, 1.2).all(|x| (0.8..=1.2).contains(&x)));
    }

    #[test]
    fn every_tensor_has_its_own_values() {
        let drawn = |seed| {
            let mut weights = Weights::new(Digest([seed; 32]));
            [(); 2].map(|()| weights.uniform(8, 0.0, 1.0).collect::<Vec<_>>())
        };
        let [first, second] = drawn(3);
        assert_ne!(first, second);
        assert_ne!(first, drawn(4)[0]);
    }

    #[test]
    fn the_first_weights_are_the_same_on_every_machine() {
        let drawn = Weights::new(Digest([7; 32])).scaled(4, 27, 2.0);
        assert_eq!(
            drawn.map(|x| x.to_bits()).collect::<Vec<_>>(),
            [3188724582, 3196430090, 1051371617, 1050686135]
        );
    }
}
