//! How one layer is divided between threads: by rows of its output, or by output channels where rows are few and the
//! weights are many.
//!
//! Either way every output value has the bits of one thread. The caller owns the threads, and a
//! [`Scratch`](crate::Scratch) for each:
//! ```
//! # use collab_kernels::*;
//! # fn run(conv: &Conv, strip: &Strip<'_>, output: &mut [f32], scratches: &mut [Scratch]) -> Result<(), KernelError> {
//! let width = conv.shape().out_width();
//! let shares = conv.shares(strip.rows.len(), scratches.len());
//! let mut lists: Vec<_> = shares.iter().map(|_| Vec::new()).collect();
//! divide(output.chunks_exact_mut(strip.rows.len() * width), width, &shares, &mut lists);
//! std::thread::scope(|scope| {
//!     for ((share, mut planes), scratch) in shares.iter().zip(lists).zip(scratches) {
//!         scope.spawn(move || conv.run_share(strip, share, &mut planes, scratch));
//!     }
//! });
//! # Ok(())
//! # }
//! ```

use crate::{Conv, KernelError, Layout, Map, Scratch, Strip};
use std::ops::Range;

/// A part of a layer's output: some rows of some channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Rows, counted from the first that is computed.
    pub rows: Range<usize>,
    /// Output channels.
    pub channels: Range<usize>,
}

impl Conv {
    /// Divides `rows` output rows into at most `count` shares of about the same work.
    pub fn shares(&self, rows: usize, count: usize) -> Vec<Share> {
        let shape = self.shape();
        let map = shape.in_channels * shape.width * rows * shape.stride[0];
        let (channels, step) = (shape.out_channels, self.channel_step());
        // Each share reads all weights if it has rows, the whole input if it has channels: the smaller of both.
        let smaller = if shape.is_depthwise() {
            // A share reads its own channels only: what counts is that shares are even, within an eighth.
            let panels = channels.div_ceil(step);
            8 * count * panels.div_ceil(count) <= 9 * panels
        } else {
            shape.weights() > map
        };
        let by_channels = smaller || rows < count;
        if by_channels && channels.div_ceil(step) >= count {
            Share::by_channels([channels, step], rows, count)
        } else {
            // Pairs of rows stay together, as a row alone takes longer.
            let step = self.row_step();
            let skipped = self.first_row % step;
            divided((rows + skipped).div_ceil(step), count)
                .map(|part| Share {
                    rows: (part.start * step).saturating_sub(skipped)..(part.end * step - skipped).min(rows),
                    channels: 0..channels,
                })
                .collect()
        }
    }

    /// Computes one share of what `strip` asks for; `output` has one slice for each of the share's channels.
    ///
    /// # Errors
    /// As [`Conv::run_channels`].
    pub fn run_share(
        &self,
        strip: &Strip<'_>,
        share: &Share,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.run_laid_out(strip, [Layout::Planes; 2], share, output, scratch)
    }

    /// As [`Conv::run_share`] for an input and an output laid out so; one slice a block where the output has blocks.
    ///
    /// # Errors
    /// If a size does not match the layer's, or it does not take these layouts ([`Conv::takes`]) or a residual with them.
    pub fn run_laid_out(
        &self,
        strip: &Strip<'_>,
        layouts: [Layout; 2],
        share: &Share,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let shape = self.shape();
        let lies = |map: Map<'_>| map.layout(shape.out_channels, shape.out_width());
        let adds = strip.residual.is_none_or(|map| self.adds(layouts, lies(map)));
        if !adds || !self.takes(layouts) {
            return Err(KernelError::Layout { layouts });
        }
        let Range { start, end } = share.rows;
        if start > end || end > strip.rows.len() {
            return Err(KernelError::Rows { first: start, end, rows: strip.rows.len() });
        }
        let rows = strip.rows.start + start..strip.rows.start + end;
        let residual = match strip.residual {
            // One of too few rows is refused below, as it is.
            Some(map) if map.rows() >= end => Some(map.rows_between(start, end)),
            residual => residual,
        };
        let strip = Strip { rows, residual, ..strip.clone() };
        self.run_part(&strip, layouts, share.channels.clone(), output, scratch)
    }
}

impl Share {
    /// All of an output's channels, `rows` divided into at most `count` shares.
    pub fn by_rows(channels: usize, rows: usize, count: usize) -> Vec<Share> {
        divided(rows, count).map(|rows| Share { rows, channels: 0..channels }).collect()
    }

    /// All of an output's rows, its channels divided at multiples of `step` into at most `count` shares.
    pub fn by_channels([channels, step]: [usize; 2], rows: usize, count: usize) -> Vec<Share> {
        let part = |part: Range<usize>| Share {
            rows: 0..rows,
            channels: part.start * step..(part.end * step).min(channels),
        };
        divided(channels.div_ceil(step), count).map(part).collect()
    }
}

/// `0..len` in at most `count` ranges, none empty, as even as can be; the caller's, the first, is none of the shorter ones.
fn divided(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let count = count.min(len).max(1);
    (0..count).map(move |i| (i * len).div_ceil(count)..((i + 1) * len).div_ceil(count))
}

/// Deals the planes of an output, `width` values a row, to shares: `lists` has one empty list for each, which takes a
/// slice a channel. Shares must be disjoint and in order, as [`Conv::shares`] gives them.
///
/// # Panics
/// If they are not, or lie outside the output.
pub fn divide<'a>(
    planes: impl Iterator<Item = &'a mut [f32]>,
    width: usize,
    shares: &[Share],
    lists: &mut [Vec<&'a mut [f32]>],
) {
    for (channel, mut plane) in planes.enumerate() {
        let mut at = 0;
        for (share, list) in shares.iter().zip(&mut *lists) {
            if share.channels.contains(&channel) {
                let (_, rest) = plane.split_at_mut(share.rows.start * width - at);
                let (own, rest) = rest.split_at_mut(share.rows.len() * width);
                list.push(own);
                (plane, at) = (rest, share.rows.end * width);
            }
        }
    }
}
