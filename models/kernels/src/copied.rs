//! Rows of an image's few channels, copied once between zeros, where the taps of all outputs read them.

use crate::copies::Copies;
use crate::gather::Window;
use crate::isa::Vector;
use std::ops::Range;

/// Values of the copied rows computed at once: they stay in the second-level cache.
const COPIED: usize = 48 * 1024;

/// How a run's rows are copied, a block of output rows at a time.
pub(crate) struct Copied {
    copies: Copies,
    /// Rows of a phase beyond those of outputs.
    extra: usize,
    in_channels: usize,
    /// Output rows of a block.
    pub(crate) block: usize,
}

impl Copied {
    pub(crate) fn new(window: &Window<'_>, in_channels: usize, rows: usize) -> Copied {
        let Window { kernel, stride, dilation, out_width, .. } = *window;
        let width = out_width + (kernel[1] - 1) * dilation[1] / stride[1];
        let extra = (kernel[0] - 1) * dilation[0] / stride[0];
        let phases = stride[0] * stride[1];
        let most = (COPIED / (width * phases * in_channels)).saturating_sub(extra).clamp(1, rows);
        let block = rows.div_ceil(rows.div_ceil(most));
        Copied { copies: Copies { width, rows: block + extra, phases: stride }, extra, in_channels, block }
    }

    /// Values from one row to the next.
    pub(crate) fn width(&self) -> usize {
        self.copies.width
    }

    /// Values of all channels.
    pub(crate) fn values(&self) -> usize {
        self.in_channels * self.plane()
    }

    fn plane(&self) -> usize {
        self.copies.phase(self.copies.phases[0] * self.copies.phases[1])
    }

    /// Where the value of each tap of output 0 lies.
    pub(crate) fn taps(&self, window: &Window<'_>, taps: &mut Vec<usize>) {
        let (kernel, dilation) = (window.kernel, window.dilation);
        taps.clear();
        for channel in 0..self.in_channels {
            for row in 0..kernel[0] {
                let row = channel * self.plane() + self.copies.row(row * dilation[0]);
                taps.extend((0..kernel[1]).map(|column| row + self.copies.column(column * dilation[1])));
            }
        }
    }

    /// Copies what the output rows `rows` need of the channels from number `first` on.
    #[inline(always)]
    pub(crate) fn fill<V: Vector>(
        &self,
        v: V,
        window: &Window<'_>,
        first: usize,
        rows: &Range<usize>,
        copied: &mut [f32],
    ) {
        copied.fill(0.0);
        let count = (rows.len() + self.extra) * window.stride[0];
        for channel in 0..self.in_channels {
            let copied = &mut copied[channel * self.plane()..];
            self.copies.fill(v, window, first + channel, rows.start, count, copied);
        }
    }
}
