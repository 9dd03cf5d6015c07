//! Memory of maps that are gone, kept for maps of the same size.
//!
//! What a run yields is read by the next block or sent, and then gone. Given back to the system, a map's memory is
//! fetched from it again in the next run, page by page, each of which it clears first: of a run of 15 ms on one core that
//! took 2, in some runs and not in others. A run is made of the same sizes as the one before, so what is kept fits exactly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use collab_core::network::Cut;
use collab_core::rows::Rows;
use tract_onnx::prelude::{Datum, Tensor};
use tract_onnx::tract_core::internal::TractResult;

use crate::map::Map;

/// Bytes and maps that are kept at most. Those that were kept longest go first: nobody asked for their size since.
const MOST: usize = 32 << 20;
const MOST_MAPS: usize = 256;

/// Where maps take their memory from and leave it; clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct Spares(Arc<Mutex<VecDeque<Tensor>>>);

impl Spares {
    /// Rows `rows` of the tensor at `cut`, to be written: what they hold is arbitrary.
    ///
    /// # Panics
    /// If the tensor cannot be allocated.
    pub fn map(&self, cut: Cut, rows: Rows) -> Map {
        let tensor = self.tensor(&Map::shape(cut, rows)).expect("a tensor of this size can be allocated");
        Map::kept_in(self, cut, rows, tensor)
    }

    /// Lets go of all that is kept.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A tensor of floats of this shape whose values are arbitrary.
    pub(crate) fn tensor(&self, shape: &[usize]) -> TractResult<Tensor> {
        let len: usize = shape.iter().product();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|tensor| tensor.len() == len).and_then(|at| kept.remove(at));
        drop(kept);
        found.map_or_else(|| Tensor::zero::<f32>(shape), |tensor| tensor.into_shape(shape))
    }

    /// Keeps a tensor that nobody reads any more.
    pub(crate) fn keep(&self, tensor: Tensor) {
        if tensor.datum_type() != f32::datum_type() || tensor.try_as_plain_ram().is_err() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(tensor);
        let mut all: usize = kept.iter().map(bytes).sum();
        while all > MOST || kept.len() > MOST_MAPS {
            all -= kept.pop_front().as_ref().map_or(all, bytes);
        }
    }
}

fn bytes(tensor: &Tensor) -> usize {
    size_of::<f32>() * tensor.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Cut = Cut { outer: 8, rows: 100, inner: 100 };

    fn place(map: &Map) -> *const f32 {
        map.values().as_ptr()
    }

    #[test]
    fn a_map_of_the_same_size_takes_the_place_of_one_that_is_gone() {
        let spares = Spares::default();
        let first = spares.map(CUT, Rows::new(0, 50));
        let at = place(&first);
        let beside = spares.map(CUT, Rows::new(0, 50));
        assert_ne!(place(&beside), at);
        drop(first);
        let other = spares.map(CUT, Rows::new(0, 40));
        assert_ne!(place(&other), at, "of another size");
        // Another tensor, as large.
        let second = spares.map(Cut { outer: 4, rows: 100, inner: 200 }, Rows::new(50, 100));
        assert_eq!(place(&second), at);
        assert_eq!(second.values().len(), 4 * 50 * 200);
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_when_too_much_is_kept() {
        let spares = Spares::default();
        let rows = |count: usize| Rows::new(0, count as u32);
        let wide = Cut { outer: 64, rows: 1000, inner: 100 };
        let row_bytes = 64 * 100 * size_of::<f32>();
        let (half, rest) = (MOST / row_bytes / 2, MOST / row_bytes / 2 - 1);
        let maps = [spares.map(wide, rows(half)), spares.map(wide, rows(rest)), spares.map(wide, rows(1))];
        let places = maps.each_ref().map(place);
        maps.into_iter().for_each(drop);
        let again = [spares.map(wide, rows(rest)), spares.map(wide, rows(1))];
        assert_eq!(again.each_ref().map(place), places[1..], "all of them fit");
        drop(again);
        drop(spares.map(wide, rows(3)));
        let kept: Vec<usize> = spares.0.lock().unwrap().iter().map(bytes).collect();
        assert_eq!(kept, [rest, 1, 3].map(|rows| rows * row_bytes));
        spares.clear();
        assert!(spares.0.lock().unwrap().is_empty());
    }
}
