//! What a processor can do at most.

use crate::isa::{Isa, Kernel, MAX_LANES, Vector, store};
use std::hint::black_box;

/// Multiply-adds on registers only, as many as the processor can do at once, for other kernels to be measured against.
/// Returns how many were done.
pub fn run_peak_loop(isa: Isa, rounds: usize) -> usize {
    struct Peak {
        rounds: usize,
    }
    impl Kernel for Peak {
        type Output = usize;

        #[inline(always)]
        fn call<V: Vector>(self, v: V) -> usize {
            const CHAINS: usize = 12;
            let (factor, term) = (v.splat_f32s(black_box(0.5)), v.splat_f32s(black_box(0.25)));
            let mut sums = [v.splat_f32s(1.0); CHAINS];
            for _ in 0..self.rounds {
                for sum in &mut sums {
                    *sum = v.fma(*sum, factor, term);
                }
            }
            let mut lanes = [0.0; MAX_LANES];
            for sum in sums {
                store::<V>(&mut lanes, sum);
                black_box(&lanes);
            }
            self.rounds * CHAINS * V::F32_LANES
        }
    }
    isa.run(Peak { rounds })
}
