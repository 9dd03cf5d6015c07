//! Rows of the tensor at a cut: what strips read and write, and what links carry.
//!
//! It owns the values and their layout in bytes. It does not know where they come from or go to.

use collab_core::network::Cut;
use collab_core::rows::Rows;
use tract_onnx::prelude::{Datum, Tensor};
use tract_onnx::tract_core::internal::TractResult;

use crate::spares::Spares;

const _: () = assert!(cfg!(target_endian = "little"), "maps are little-endian in memory and on the wire");

/// Rows of a tensor at a cut: 32-bit floats, `outer × rows × inner`.
#[derive(Debug)]
pub struct Map {
    cut: Cut,
    rows: Rows,
    tensor: Tensor,
    /// Where its memory goes when it is gone.
    home: Option<Spares>,
}

impl Drop for Map {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.keep(std::mem::take(&mut self.tensor));
        }
    }
}

/// Why bytes could not be copied into or out of a [`Map`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The map does not hold these rows.
    #[error("rows {asked} were asked for, the map holds {held}")]
    Rows {
        /// Rows asked for.
        asked: Rows,
        /// Rows there are.
        held: Rows,
    },
    /// The bytes are too few or too many for the rows.
    #[error("{found} bytes were given for rows {rows}, which take {expected}")]
    Bytes {
        /// Rows to be written.
        rows: Rows,
        /// Bytes they take.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
}

impl Map {
    /// Rows `rows` of the tensor at `cut`, all zero.
    ///
    /// # Panics
    /// If the tensor cannot be allocated.
    pub fn zeros(cut: Cut, rows: Rows) -> Self {
        let tensor = Tensor::zero::<f32>(&Self::shape(cut, rows));
        Self { cut, rows, tensor: tensor.expect("a tensor of this size can be allocated"), home: None }
    }

    /// The same from memory that `home` kept.
    pub(crate) fn kept_in(home: &Spares, cut: Cut, rows: Rows, tensor: Tensor) -> Self {
        Self { cut, rows, tensor, home: Some(home.clone()) }
    }

    /// `outer × rows × inner`.
    pub(crate) fn shape(cut: Cut, rows: Rows) -> [usize; 3] {
        [cut.outer as usize, rows.len() as usize, cut.inner as usize]
    }

    /// Rows `rows` of the tensor at `cut`, from `values` in the order `outer × rows × inner`.
    pub fn from_values(cut: Cut, rows: Rows, values: &[f32]) -> Result<Self, MapError> {
        let mut map = Self::zeros(cut, rows);
        if map.values().len() != values.len() {
            let found = 4 * values.len() as u64;
            return Err(MapError::Bytes { rows, expected: cut.bytes(rows.len()), found });
        }
        map.values_mut().copy_from_slice(values);
        Ok(map)
    }

    /// The tensor whose rows these are.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// Which of its rows are held.
    pub fn rows(&self) -> Rows {
        self.rows
    }

    /// The values, `outer × rows × inner`.
    pub fn values(&self) -> &[f32] {
        let view = self.tensor.try_as_plain_ram().expect("a map is in memory");
        view.as_slice::<f32>().expect("a map holds 32-bit floats")
    }

    /// The values, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        let view = self.tensor.to_plain_array_view_mut::<f32>().expect("a map holds 32-bit floats");
        view.into_slice().expect("a map is contiguous")
    }

    /// Appends the bytes of `rows` to `bytes`: little-endian floats, `outer × rows × inner` of exactly these.
    pub fn read(&self, rows: Rows, bytes: &mut Vec<u8>) -> Result<(), MapError> {
        let (line, skip, block) = self.lines(rows)?;
        bytes.reserve(self.cut.bytes(rows.len()) as usize);
        for held in self.tensor.as_bytes().chunks_exact(block) {
            bytes.extend_from_slice(&held[skip..skip + line]);
        }
        Ok(())
    }

    /// Writes the bytes of `rows`, as [`Map::read`] gives them.
    pub fn write(&mut self, rows: Rows, bytes: &[u8]) -> Result<(), MapError> {
        let (line, skip, block) = self.lines(rows)?;
        let expected = self.cut.bytes(rows.len());
        if bytes.len() as u64 != expected {
            return Err(MapError::Bytes { rows, expected, found: bytes.len() as u64 });
        }
        if line > 0 {
            let held = self.tensor.as_bytes_mut().chunks_exact_mut(block);
            for (held, given) in held.zip(bytes.chunks_exact(line)) {
                held[skip..skip + line].copy_from_slice(given);
            }
        }
        Ok(())
    }

    /// Bytes of `rows` in one outer slice, bytes before them, bytes of the whole slice.
    fn lines(&self, rows: Rows) -> Result<(usize, usize, usize), MapError> {
        if !self.rows.contains(rows) {
            return Err(MapError::Rows { asked: rows, held: self.rows });
        }
        let row = 4 * self.cut.inner as usize;
        let skip = rows.start.saturating_sub(self.rows.start) as usize;
        Ok((rows.len() as usize * row, skip * row, (self.rows.len() as usize * row).max(1)))
    }

    /// The tensor, in the layout that the engine gives it, and where its memory goes. Copies nothing.
    pub(crate) fn into_tensor(mut self, shape: &[usize]) -> TractResult<(Tensor, Option<Spares>)> {
        Ok((std::mem::take(&mut self.tensor).into_shape(shape)?, self.home.take()))
    }

    /// Takes over a tensor that the engine computed, whose memory goes to `home`. Copies nothing unless the engine still
    /// shares it.
    pub(crate) fn from_tensor(
        cut: Cut,
        rows: Rows,
        tensor: Tensor,
        home: Option<Spares>,
    ) -> TractResult<Self> {
        let tensor = match tensor.datum_type() == f32::datum_type() {
            true => tensor,
            false => tensor.cast_to::<f32>()?.into_owned(),
        };
        Ok(Self { cut, rows, tensor: tensor.into_shape(&Self::shape(cut, rows))?, home })
    }
}
