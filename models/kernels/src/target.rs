//! Where the sums of register tiles start from and go to.

use crate::isa::{Vector, load, load_few, store, store_few};

/// Where the sums of a tile start from and go to. Channels and pixels count from the tile block's own start.
pub(crate) trait Target {
    /// Whether the sums start from zero; if so they are not loaded.
    fn starts(&self) -> bool;
    /// The sums so far of `pixels` pixels: `N` whole vectors, or the first lanes of one.
    fn load<V: Vector, const N: usize>(
        &self,
        v: V,
        channel: usize,
        pixel: usize,
        pixels: usize,
    ) -> [V::f32s; N];
    /// Called before sums are computed: has what [`Target::store`] will read brought near.
    fn expect<V: Vector>(&self, v: V, channel: usize, pixel: usize, pixels: usize);
    /// Takes the new sums.
    fn store<V: Vector, const N: usize>(
        &mut self,
        v: V,
        channel: usize,
        pixel: usize,
        pixels: usize,
        sums: [V::f32s; N],
    );
}

/// Sums kept in plain memory, `stride` values a channel, starting from zero.
pub(crate) struct Sums<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) stride: usize,
}

impl Target for Sums<'_> {
    #[inline(always)]
    fn starts(&self) -> bool {
        true
    }

    #[inline(always)]
    fn load<V: Vector, const N: usize>(
        &self,
        v: V,
        _channel: usize,
        _pixel: usize,
        _pixels: usize,
    ) -> [V::f32s; N] {
        [v.splat_f32s(0.0); N]
    }

    #[inline(always)]
    fn expect<V: Vector>(&self, _v: V, _channel: usize, _pixel: usize, _pixels: usize) {}

    #[inline(always)]
    fn store<V: Vector, const N: usize>(
        &mut self,
        v: V,
        channel: usize,
        pixel: usize,
        pixels: usize,
        sums: [V::f32s; N],
    ) {
        store_row(v, &mut self.values[channel * self.stride + pixel..][..pixels], sums);
    }
}

/// The values of `from`: `N` whole vectors, or the first lanes of one.
#[inline(always)]
pub(crate) fn load_row<V: Vector, const N: usize>(v: V, from: &[f32]) -> [V::f32s; N] {
    let mut row = [v.splat_f32s(0.0); N];
    if N > 1 || from.len() == V::F32_LANES {
        let from = &from[..N * V::F32_LANES];
        for (j, value) in row.iter_mut().enumerate() {
            *value = load::<V>(&from[j * V::F32_LANES..]);
        }
    } else {
        row[0] = load_few(v, from);
    }
    row
}

/// Writes all of `to`: `N` whole vectors, or the first lanes of one.
#[inline(always)]
pub(crate) fn store_row<V: Vector, const N: usize>(v: V, to: &mut [f32], row: [V::f32s; N]) {
    if N > 1 || to.len() == V::F32_LANES {
        let to = &mut to[..N * V::F32_LANES];
        for (j, value) in row.into_iter().enumerate() {
            store::<V>(&mut to[j * V::F32_LANES..], value);
        }
    } else {
        store_few(v, to, row[0]);
    }
}
