//! The instruction sets the kernels are compiled for, and the choice between them at run time.
//!
//! A kernel is written once over [`Vector`] and compiled once per instruction set; [`Isa::run`] enters the right copy.
//! The vector operations themselves are those of the crate `pulp`, which keeps this crate free of `unsafe`: a value of
//! its token types exists only where the processor has been asked. It was as fast as hand-written intrinsics in the inner
//! loops (57.8–58.9 beside 56.6–57.9 GMAC/s at a peak of 58, on another processor than the figures elsewhere); whole products by `gemm` 41–53 and by `matrixmultiply`
//! 22–47 were slower than ours, and neither can gather pixels nor fold an epilogue.
//!
//! Results are equal bit for bit within one instruction set, not across them: [`Isa::Plain`] rounds a product before it
//! adds, the others do not.

use crate::KernelError;
use pulp::{Simd, cast};

/// An instruction set a kernel can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX-512 F, BW, CD, DQ and VL: 16 lanes, fused multiply-add.
    Avx512,
    /// x86-64 with AVX2 and FMA: 8 lanes, fused multiply-add.
    Avx2,
    /// aarch64: 4 lanes, fused multiply-add.
    Neon,
    /// Whatever the compiler's baseline is: 4 lanes, multiply then add. Right everywhere.
    Plain,
}

impl Isa {
    /// The fastest instruction set this machine has.
    pub fn best() -> Isa {
        [Isa::Avx512, Isa::Avx2, Isa::Neon].into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Plain)
    }

    /// Every instruction set this machine has, fastest first.
    pub fn available() -> Vec<Isa> {
        [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Plain].into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether this machine has the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => pulp::x86::V4::is_available(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => pulp::x86::V3::is_available(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => pulp::aarch64::Neon::is_available(),
            Isa::Plain => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// `self`, or an error where the machine lacks it.
    pub(crate) fn checked(self) -> Result<Isa, KernelError> {
        if self.is_available() {
            Ok(self)
        } else {
            Err(KernelError::Unavailable { isa: self, best: Isa::best() })
        }
    }

    /// Runs the copy of `kernel` compiled for this instruction set; the plain copy where the machine lacks it.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                if let Some(v) = pulp::x86::V4::try_new() {
                    return v.vectorize(Entry { v, kernel });
                }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                if let Some(v) = pulp::x86::V3::try_new() {
                    return v.vectorize(Entry { v, kernel });
                }
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => {
                if let Some(v) = pulp::aarch64::Neon::try_new() {
                    return v.vectorize(Entry { v, kernel });
                }
            }
            _ => {}
        }
        kernel.call(pulp::Scalar128b)
    }
}

/// A computation that can be compiled for any instruction set. `call` must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn call<V: Vector>(self, v: V) -> Self::Output;
}

struct Entry<V, K> {
    v: V,
    kernel: K,
}

impl<V: Vector, K: Kernel> pulp::NullaryFnOnce for Entry<V, K> {
    type Output = K::Output;

    #[inline(always)]
    fn call(self) -> K::Output {
        self.kernel.call(self.v)
    }
}

/// The vector operations the kernels need, with the two facts by which they choose their tiles.
pub(crate) trait Vector: Simd {
    /// Output channels of the widest register tile: 8, 6 or 4.
    const TILE_CHANNELS: usize;

    /// Vectors of pixels of the widest register tile, at most 3. Its sums, one input each and one weight must fit the
    /// registers with one to spare, or the compiler keeps a sum in memory and every step waits for it.
    const TILE_VECTORS: usize;

    /// `a · b + c`, with the one rounding (or two) that all kernels of this instruction set share.
    fn fma(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s;

    /// The values in even and those in odd places of `a` with `b` behind it.
    fn split(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2];

    /// The opposite of [`Vector::split`]: values of `a` and `b` in turn.
    fn interleave(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2];

    /// Has the cache line at the start of `from` brought near, without waiting for it. Does nothing where the
    /// instruction set has no such hint that safe code may give.
    #[inline(always)]
    fn prefetch(self, from: &[f32]) {
        let _ = from;
    }
}

#[cfg(target_arch = "x86_64")]
impl Vector for pulp::x86::V4 {
    const TILE_CHANNELS: usize = 8;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    fn fma(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s {
        self.mul_add_f32s(a, b, c)
    }

    #[inline(always)]
    fn prefetch(self, from: &[f32]) {
        self.sse._mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from.as_ptr().cast());
    }

    #[inline(always)]
    fn split(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        const EVEN: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
        const ODD: [i32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
        [pick(self, a, EVEN, b), pick(self, a, ODD, b)]
    }

    #[inline(always)]
    fn interleave(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        const LOW: [i32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
        const HIGH: [i32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];
        [pick(self, a, LOW, b), pick(self, a, HIGH, b)]
    }
}

/// The values at `places` of `a` with `b` behind it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn pick(v: pulp::x86::V4, a: pulp::f32x16, places: [i32; 16], b: pulp::f32x16) -> pulp::f32x16 {
    cast(v.avx512f._mm512_permutex2var_ps(cast(a), cast(places), cast(b)))
}

#[cfg(target_arch = "x86_64")]
impl Vector for pulp::x86::V3 {
    const TILE_CHANNELS: usize = 6;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    fn fma(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s {
        self.mul_add_f32s(a, b, c)
    }

    #[inline(always)]
    fn prefetch(self, from: &[f32]) {
        self.sse._mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from.as_ptr().cast());
    }

    #[inline(always)]
    fn split(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        let (a, b) = (cast(a), cast(b));
        // Picking values works within halves of a vector: a0–a3 b0–b3 and a4–a7 b4–b7.
        let low = self.avx._mm256_permute2f128_ps::<0x20>(a, b);
        let high = self.avx._mm256_permute2f128_ps::<0x31>(a, b);
        [
            cast(self.avx._mm256_shuffle_ps::<0b10_00_10_00>(low, high)),
            cast(self.avx._mm256_shuffle_ps::<0b11_01_11_01>(low, high)),
        ]
    }

    #[inline(always)]
    fn interleave(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        let (a, b) = (cast(a), cast(b));
        let low = self.avx._mm256_unpacklo_ps(a, b);
        let high = self.avx._mm256_unpackhi_ps(a, b);
        [
            cast(self.avx._mm256_permute2f128_ps::<0x20>(low, high)),
            cast(self.avx._mm256_permute2f128_ps::<0x31>(low, high)),
        ]
    }
}

#[cfg(target_arch = "aarch64")]
impl Vector for pulp::aarch64::Neon {
    const TILE_CHANNELS: usize = 8;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    fn fma(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s {
        self.mul_add_f32s(a, b, c)
    }

    #[inline(always)]
    fn split(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        let (a, b) = (cast(a), cast(b));
        [cast(self.neon.vuzp1q_f32(a, b)), cast(self.neon.vuzp2q_f32(a, b))]
    }

    #[inline(always)]
    fn interleave(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        let (a, b) = (cast(a), cast(b));
        [cast(self.neon.vzip1q_f32(a, b)), cast(self.neon.vzip2q_f32(a, b))]
    }
}

impl Vector for pulp::Scalar128b {
    const TILE_CHANNELS: usize = 4;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    fn fma(self, a: Self::f32s, b: Self::f32s, c: Self::f32s) -> Self::f32s {
        self.add_f32s(self.mul_f32s(a, b), c)
    }

    #[inline(always)]
    fn split(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        [pulp::f32x4(a.0, a.2, b.0, b.2), pulp::f32x4(a.1, a.3, b.1, b.3)]
    }

    #[inline(always)]
    fn interleave(self, a: Self::f32s, b: Self::f32s) -> [Self::f32s; 2] {
        [pulp::f32x4(a.0, b.0, a.1, b.1), pulp::f32x4(a.2, b.2, a.3, b.3)]
    }
}

/// The most lanes any instruction set has.
pub(crate) const MAX_LANES: usize = 16;

/// The first lanes of `from`, which must hold at least as many values.
#[inline(always)]
pub(crate) fn load<V: Vector>(from: &[f32]) -> V::f32s {
    V::as_simd_f32s(&from[..V::F32_LANES]).0[0]
}

/// Writes all lanes to the start of `to`.
#[inline(always)]
pub(crate) fn store<V: Vector>(to: &mut [f32], value: V::f32s) {
    V::as_mut_simd_f32s(&mut to[..V::F32_LANES]).0[0] = value;
}

/// Loads at most as many values as lanes; the other lanes are zero.
#[inline(always)]
pub(crate) fn load_few<V: Vector>(v: V, from: &[f32]) -> V::f32s {
    v.partial_load_f32s(from)
}

/// A vector of the first values, or of all where they are fewer.
#[inline(always)]
pub(crate) fn load_at_most<V: Vector>(v: V, from: &[f32]) -> V::f32s {
    if from.len() >= V::F32_LANES { load::<V>(from) } else { load_few(v, from) }
}

/// Writes all lanes, or as many as `to` has places.
#[inline(always)]
pub(crate) fn store_at_most<V: Vector>(v: V, to: &mut [f32], value: V::f32s) {
    if to.len() >= V::F32_LANES { store::<V>(to, value) } else { store_few(v, to, value) }
}

/// Writes as many lanes as `to` is long.
#[inline(always)]
pub(crate) fn store_few<V: Vector>(v: V, to: &mut [f32], value: V::f32s) {
    v.partial_store_f32s(to, value);
}

/// The first `count` lanes.
#[inline(always)]
pub(crate) fn first_lanes<V: Vector>(v: V, count: usize) -> V::m32s {
    v.mask_between_m32s(0, count as u32).mask()
}

/// Lane `j` of vector `i` becomes lane `i` of vector `j`, of as many vectors as one has lanes.
#[inline(always)]
pub(crate) fn transpose<V: Vector>(v: V, mut block: [V::f32s; MAX_LANES]) -> [V::f32s; MAX_LANES] {
    // Each round turns the places, vector before lane, around by one bit.
    block = interleave_halves(v, block);
    block = interleave_halves(v, block);
    if V::F32_LANES > 4 {
        block = interleave_halves(v, block);
    }
    if V::F32_LANES > 8 {
        block = interleave_halves(v, block);
    }
    block
}

/// The lanes of vector `i` added together, in order, in lane `i`.
#[inline(always)]
pub(crate) fn add_lanes<V: Vector>(v: V, block: [V::f32s; MAX_LANES]) -> V::f32s {
    let block = transpose(v, block);
    let mut sum = block[0];
    for (i, &lane) in block.iter().enumerate() {
        if i > 0 && i < V::F32_LANES {
            sum = v.add_f32s(sum, lane);
        }
    }
    sum
}

#[inline(always)]
fn interleave_halves<V: Vector>(v: V, block: [V::f32s; MAX_LANES]) -> [V::f32s; MAX_LANES] {
    let half = V::F32_LANES / 2;
    let mut turned = block;
    for i in 0..MAX_LANES / 2 {
        if i < half {
            [turned[2 * i], turned[2 * i + 1]] = v.interleave(block[i], block[i + half]);
        }
    }
    turned
}
