//! The exponential function of many values at once, for activations.
//!
//! As in Cephes' `expf` (Moshier): a power of two by adding to the exponent's bits, the rest, at most half of ln 2, by a
//! polynomial. A few units in the last place off between the limits below, and there every result is an ordinary number.
//! Bound: a dozen instructions a vector, of which the division that follows takes as long.

use crate::isa::Vector;

/// Beyond these, results would be no ordinary numbers.
const LIMITS: (f32, f32) = (-87.0, 88.0);

/// ln 2 in two parts, of which the first, 355/512, has few bits, so that its multiples are exact.
const LN_2: (f32, f32) = (355.0 / 512.0, -2.121_944_4e-4);

/// Adding it rounds to a whole number, which is then in the lowest bits: 3 · 2²².
const ROUNDING: f32 = 12_582_912.0;

/// Of the power series of what the exponential has beyond `1 + x`, over x².
const COEFFICIENTS: [f32; 6] =
    [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// `1 / (1 + exp(−x))`.
#[inline(always)]
pub(crate) fn sigmoid<V: Vector>(v: V, x: V::f32s) -> V::f32s {
    let one = v.splat_f32s(1.0);
    v.div_f32s(one, v.add_f32s(one, exponential(v, v.neg_f32s(x))))
}

#[inline(always)]
fn exponential<V: Vector>(v: V, x: V::f32s) -> V::f32s {
    let x = v.min_f32s(v.max_f32s(x, v.splat_f32s(LIMITS.0)), v.splat_f32s(LIMITS.1));
    let rounding = v.splat_f32s(ROUNDING);
    let rounded = v.fma(x, v.splat_f32s(std::f32::consts::LOG2_E), rounding);
    let power = v.sub_f32s(rounded, rounding);
    let rest = v.fma(power, v.splat_f32s(-LN_2.0), x);
    let rest = v.fma(power, v.splat_f32s(-LN_2.1), rest);
    let mut sum = v.splat_f32s(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        sum = v.fma(sum, rest, v.splat_f32s(*coefficient));
    }
    let mantissa = v.add_f32s(v.fma(sum, v.mul_f32s(rest, rest), rest), v.splat_f32s(1.0));
    // The whole number moves to where the exponent is; what is above it falls off.
    let exponent = v.wrapping_dyn_shl_u32s(v.transmute_u32s_f32s(rounded), v.splat_u32s(23));
    v.transmute_f32s_u32s(v.add_u32s(v.transmute_u32s_f32s(mantissa), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, MAX_LANES, load, store};

    struct Sigmoids<'a>(&'a [f32], &'a mut [f32]);

    impl Kernel for Sigmoids<'_> {
        type Output = ();

        #[inline(always)]
        fn call<V: Vector>(self, v: V) {
            for (from, to) in self.0.chunks_exact(V::F32_LANES).zip(self.1.chunks_exact_mut(V::F32_LANES)) {
                store::<V>(to, sigmoid(v, load::<V>(from)));
            }
        }
    }

    #[test]
    fn a_sigmoid_is_within_a_few_units_in_the_last_place() {
        let count = 4096 * MAX_LANES;
        let values: Vec<f32> = (0..count).map(|i| (i as f32 / count as f32 - 0.5) * 210.0).collect();
        for isa in Isa::available() {
            let mut sigmoids = vec![0.0; count];
            isa.run(Sigmoids(&values, &mut sigmoids));
            for (&x, &found) in values.iter().zip(&sigmoids) {
                let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
                let error = (f64::from(found) - exact).abs();
                assert!(error <= 4e-7 * exact + 1e-37, "{isa:?}: {found:e} for {x}, not {exact:e}");
            }
        }
    }
}
