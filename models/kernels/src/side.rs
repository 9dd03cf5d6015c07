//! Pixels with channels side by side, in rows between zeros.

use crate::isa::{MAX_LANES, Vector, load, load_few, store, transpose};
use std::ops::Range;

/// How rows of a map lie in a tile, whose other values are zeros.
pub(crate) struct Side {
    /// Pixels of a row of the tile.
    pub(crate) pitch: usize,
    /// Columns that are so many apart lie next to each other; divides the pitch.
    pub(crate) phases: usize,
    /// Of the map.
    pub(crate) width: usize,
    /// Columns of zeros left of it.
    pub(crate) left: usize,
    /// Where pixels go that no output reads.
    pub(crate) outside: usize,
}

impl Side {
    /// The pixel of a row that holds a column, which is counted from the first zero.
    #[inline(always)]
    pub(crate) fn column(&self, column: usize) -> usize {
        match self.phases {
            1 => column,
            phases => column % phases * (self.pitch / phases) + column / phases,
        }
    }

    /// Appends where the pixels of the rows `rows` of the tile go, and of as many more as fill whole vectors.
    #[inline(always)]
    pub(crate) fn places<V: Vector>(&self, rows: Range<usize>, places: &mut Vec<usize>) {
        let lanes = V::F32_LANES;
        let pixels = rows.len() * self.width;
        for row in rows {
            places.extend((self.left..self.left + self.width).map(|column| {
                if column < self.pitch {
                    (row * self.pitch + self.column(column)) * lanes
                } else {
                    self.outside
                }
            }));
        }
        places.resize(places.len() + pixels.next_multiple_of(lanes) - pixels, self.outside);
    }
}

/// Copies the pixels of a block into the places of `tile`.
#[inline(always)]
pub(crate) fn place<V: Vector>(block: &[f32], places: &[usize], tile: &mut [f32]) {
    for (pixel, &place) in block.chunks_exact(V::F32_LANES).zip(places) {
        store::<V>(&mut tile[place..], load::<V>(pixel));
    }
}

/// Transposes pixels of channels into the places of `tile`, of which there are as many as fill whole blocks.
#[inline(always)]
pub(crate) fn fill<V: Vector>(v: V, sources: &[&[f32]; MAX_LANES], places: &[usize], tile: &mut [f32]) {
    let (lanes, pixels) = (V::F32_LANES, sources[0].len());
    for (at, places) in (0..pixels).step_by(lanes).zip(places.chunks_exact(lanes)) {
        let mut block = [v.splat_f32s(0.0); MAX_LANES];
        if at + lanes <= pixels {
            for (i, value) in block.iter_mut().enumerate() {
                if i < lanes {
                    *value = load::<V>(&sources[i][at..]);
                }
            }
        } else {
            for (i, value) in block.iter_mut().enumerate() {
                if i < lanes {
                    *value = load_few(v, &sources[i][at..]);
                }
            }
        }
        let block = transpose(v, block);
        for (i, &value) in block.iter().enumerate() {
            if i < lanes {
                store::<V>(&mut tile[places[i]..], value);
            }
        }
    }
}
