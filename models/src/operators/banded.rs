//! What operators must tell to be computed together, see [`super::bands`].

use std::ops::Range;

use collab_kernels::{KernelError, Layout, Map, Scratch, Strip};

use super::Operator;

/// An operator that computes an output row from rows nearby of its first input, and from the same row of a second one
/// if it adds that.
pub(crate) trait Banded: Operator {
    /// Which rows.
    fn reach(&self) -> Reach;

    /// Whether it, reading a map laid out as `before`, and `next`, which alone reads what it yields, take that in blocks.
    fn passes_blocks_to(&self, before: Layout, next: &dyn Banded) -> bool {
        let (_, _) = (before, next);
        false
    }

    /// Whether some of its output channels can be computed by themselves: from multiples of how many on, and whether they
    /// need the same channels of the input only.
    fn by_channels(&self) -> Option<ByChannels> {
        None
    }

    /// Computes `strip.rows` of `channels` (all of them unless it has said that some can be) into one slice a channel or
    /// block, from and to maps laid out as it takes them. The input is as wide as [`Reach`] says and holds what they need.
    ///
    /// # Errors
    /// If a size is another one, which is a mistake in here.
    fn run_band(
        &self,
        strip: &Strip<'_>,
        layouts: [Layout; 2],
        channels: Range<usize>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError>;
}

/// How the output channels of an operator are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByChannels {
    /// Ranges begin at multiples of this.
    pub(crate) step: usize,
    /// Whether channels need the same channels of the input only.
    pub(crate) apart: bool,
}

/// The first input of an operator, and the window over its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Channels, rows and width.
    pub(crate) input: [usize; 3],
    /// Rows from the first tap of a window to the last, and from one window to the next.
    pub(crate) span: usize,
    pub(crate) stride: usize,
    /// Rows of zeros above and below.
    pub(crate) pads: [usize; 2],
    /// 1 if pairs of output rows that are computed together begin at odd rows, 0 if at even ones.
    pub(crate) odd: usize,
}

impl Reach {
    /// An operator that reads of `input` the row that it writes.
    pub(crate) fn same_row(input: [usize; 3]) -> Self {
        Self { input, span: 0, stride: 1, pads: [0, 0], odd: 0 }
    }

    /// The input rows that output rows `rows` need.
    pub(super) fn need(&self, rows: &Range<usize>) -> Range<usize> {
        let first = rows.start * self.stride;
        let end = (rows.end - 1) * self.stride + self.span + 1;
        first.saturating_sub(self.pads[0])..end.saturating_sub(self.pads[0]).min(self.input[1])
    }

    /// Input rows that so many output rows need at most.
    pub(super) fn most(&self, rows: usize) -> usize {
        ((rows - 1) * self.stride + self.span + 1).min(self.input[1])
    }

    /// Whether a pair of output rows would be cut in two before row `row`.
    pub(super) fn cuts_a_pair(&self, row: usize) -> bool {
        (row + self.odd) % 2 == 1
    }

    /// What computes output rows `rows` from `held`, whose first row is row `first` of the input.
    pub(super) fn strip<'a>(&self, rows: &Range<usize>, held: Map<'a>, first: usize) -> Strip<'a> {
        let need = self.need(rows);
        let end = (rows.end - 1) * self.stride + self.span + 1;
        // An odd row stays an odd one: some kernels compute rows by pairs, which begin at even ones.
        let skipped = rows.start % 2;
        Strip {
            input: held.rows_between(need.start - first, need.end - first),
            top: self.pads[0].saturating_sub(rows.start * self.stride) + skipped * self.stride,
            // A window may reach beyond the padding, as with rounding up.
            bottom: end.saturating_sub(self.pads[0] + self.input[1]).min(self.pads[1]),
            rows: skipped..skipped + rows.len(),
            residual: None,
        }
    }
}
