//! Memory a kernel works in, owned by the caller and reused from layer to layer.

use crate::map::PlaneList;

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
        values.iter().map(|b| b.0.capacity() * size_of::<f32>()).sum::<usize>()
            + self.buffers.taps.capacity() * size_of::<usize>()
    }
}

/// Values of a cache line.
pub(crate) const LINE: usize = 64 / size_of::<f32>();

/// At least `len` values, in an odd number of cache lines, so that what lies so far apart spreads over the whole cache.
pub(crate) fn odd_lines(len: usize) -> usize {
    (len.div_ceil(LINE) | 1) * LINE
}

/// Memory for values that start on a cache line; it grows to the largest need it has met.
#[derive(Debug, Default)]
pub struct Buffer(Vec<f32>);

impl Buffer {
    /// `len` values of unspecified content, the first on a cache line.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + LINE {
            self.0.resize(len + LINE, 0.0);
        }
        // The offset is at most a line, or `usize::MAX` where it cannot be known (under an interpreter).
        let skip = self.0.as_ptr().align_offset(64).min(LINE);
        &mut self.0[skip..skip + len]
    }
}
