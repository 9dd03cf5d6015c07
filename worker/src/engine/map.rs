//! Rows of the tensor at a cut.

use collab_core::network::Cut;
use collab_core::rows::Rows;
use thiserror::Error;

/// Rows of a tensor at a cut: 32-bit floats, `outer × rows × inner`.
#[derive(Debug)]
pub struct Map {
    cut: Cut,
    rows: Rows,
    values: Vec<f32>,
}

/// Why bytes could not be copied into or out of a [`Map`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
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
    pub fn zeros(cut: Cut, rows: Rows) -> Self {
        let count = cut.row_values() as usize * rows.len() as usize;
        Self { cut, rows, values: vec![0.0; count] }
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
        &self.values
    }

    /// The values, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Appends the bytes of `rows` to `bytes`: little-endian floats, `outer × rows × inner` of exactly these.
    pub fn read(&self, rows: Rows, bytes: &mut Vec<u8>) -> Result<(), MapError> {
        let (line, skip, block) = self.lines(rows)?;
        for held in self.values.chunks_exact(block) {
            bytes.extend(held[skip..skip + line].iter().flat_map(|value| value.to_le_bytes()));
        }
        Ok(())
    }

    /// Writes the bytes of `rows`, as [`Map::read`] gives them.
    pub fn write(&mut self, rows: Rows, bytes: &[u8]) -> Result<(), MapError> {
        let (line, skip, block) = self.lines(rows)?;
        let (expected, found) = (self.cut.bytes(rows.len()), bytes.len() as u64);
        if found != expected {
            return Err(MapError::Bytes { rows, expected, found });
        }
        for (held, given) in self.values.chunks_exact_mut(block).zip(bytes.chunks_exact(4 * line)) {
            for (value, bytes) in held[skip..skip + line].iter_mut().zip(given.as_chunks().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Ok(())
    }

    fn lines(&self, rows: Rows) -> Result<(usize, usize, usize), MapError> {
        if !self.rows.contains(rows) {
            return Err(MapError::Rows { asked: rows, held: self.rows });
        }
        let row = self.cut.inner as usize;
        let skip = rows.start.saturating_sub(self.rows.start) as usize;
        Ok((rows.len() as usize * row, skip * row, (self.rows.len() as usize * row).max(1)))
    }
}
