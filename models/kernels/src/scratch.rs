//! Memory a kernel works in, owned by the caller and reused from layer to layer.

use crate::map::PlaneList;
use crate::memory::{LINE, Memory};

/// Grows to the largest need it has met and stays there: a second run of the same layers allocates nothing. One for
/// each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) buffers: Buffers,
    pub(crate) planes: PlaneList,
    /// Outputs of a transposed convolution before they are interleaved.
    pub(crate) phases: Buffer,
}

/// The numbers a kernel works with; what each buffer holds is the kernel's own affair.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) first: Buffer,
    pub(crate) second: Buffer,
    pub(crate) third: Buffer,
    pub(crate) taps: Vec<usize>,
}

impl Scratch {
    /// Empty.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Bytes held at present.
    pub fn bytes(&self) -> usize {
        let values = [&self.buffers.first, &self.buffers.second, &self.buffers.third, &self.phases];
        values.iter().map(|buffer| buffer.bytes()).sum::<usize>()
            + self.buffers.taps.capacity() * size_of::<usize>()
    }
}

/// At least `len` values, in an odd number of cache lines, so that what lies so far apart spreads over the whole cache.
pub(crate) fn odd_lines(len: usize) -> usize {
    (len.div_ceil(LINE) | 1) * LINE
}

/// Memory for values that start on a cache line; it grows to the largest need it has met.
#[derive(Debug, Default)]
pub struct Buffer(Memory);

impl Buffer {
    /// `len` values of unspecified content, the first on a cache line.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.values().len() < len {
            // The old memory goes first, so that both are never there at once.
            self.0 = Memory::default();
            self.0 = Memory::to_work_in(len);
        }
        &mut self.0.values_mut()[..len]
    }

    /// Bytes held at present.
    fn bytes(&self) -> usize {
        size_of_val(self.0.values())
    }
}
