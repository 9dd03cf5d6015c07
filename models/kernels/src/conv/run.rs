//! One run of a convolution: sizes are checked, and the kernel is entered that fits layer and layouts.

use super::Conv;
use crate::blocked::{Pointwise, Windowed, Winograd, holds_blocks};
use crate::depthwise::Depthwise;
use crate::gather::Window;
use crate::map::check_planes;
use crate::product::Dense;
use crate::run::{Residual, Run};
use crate::winograd::pairs::WinogradPairs;
use crate::winograd::rows::WinogradRows;
use crate::{Algorithm, Isa, KernelError, Layout, Map, Scratch};
use std::ops::Range;

/// What one run computes: output rows from the input rows at hand.
#[derive(Debug, Clone)]
pub struct Strip<'a> {
    /// The input rows at hand.
    pub input: Map<'a>,
    /// Rows of zeros above them.
    pub top: usize,
    /// Rows of zeros below them.
    pub bottom: usize,
    /// The output rows to compute; row 0 is the first that `top` and `input` give.
    pub rows: Range<usize>,
    /// Added before the activation: as many rows as `rows`, channels and width as the output, in planes or, where the layer
    /// [adds](Conv::adds) these, in blocks.
    pub residual: Option<Map<'a>>,
}

impl Conv {
    /// Computes `strip.rows` into `output`: out channels × rows × out width.
    ///
    /// # Errors
    /// If a size does not match the layer's.
    pub fn run(
        &self,
        strip: &Strip<'_>,
        output: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let expected = self.shape.out_channels * strip.rows.len() * self.shape.out_width();
        if output.len() != expected {
            return Err(KernelError::Length { what: "output", expected, found: output.len() });
        }
        let mut list = std::mem::take(&mut scratch.planes);
        let mut planes = list.split(output, self.shape.out_channels);
        let result = self.run_planes(strip, &mut planes, scratch);
        list.keep(planes);
        scratch.planes = list;
        result
    }

    /// As [`Conv::run`], into one slice a channel: so that several threads can each compute some rows of one output.
    ///
    /// # Errors
    /// If a size does not match the layer's.
    pub fn run_planes(
        &self,
        strip: &Strip<'_>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.run_channels(strip, 0..self.shape.out_channels, output, scratch)
    }

    /// As [`Conv::run_planes`], only the output channels `channels`, one slice for each: so that several threads can
    /// each compute some channels of one output, with the bits of one thread. The residual has all channels.
    ///
    /// # Errors
    /// If a size does not match the layer's, or the range does not begin and end at multiples of
    /// [`Conv::channel_step`] or at the last channel.
    pub fn run_channels(
        &self,
        strip: &Strip<'_>,
        channels: Range<usize>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.run_part(strip, [Layout::Planes; 2], channels, output, scratch)
    }

    pub(crate) fn run_part(
        &self,
        strip: &Strip<'_>,
        layouts: [Layout; 2],
        channels: Range<usize>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let shape = &*self.shape;
        let Strip { input, top, bottom, ref rows, residual } = *strip;
        let (count, out_width) = (rows.len(), shape.out_width());
        let [planes, width] = layouts[0].as_planes(shape.in_channels, shape.width);
        input.check("input", planes, input.rows(), width)?;
        let available = shape.out_rows(input.rows(), top, bottom);
        if rows.start > rows.end || rows.end > available {
            return Err(KernelError::Rows { first: rows.start, end: rows.end, rows: available });
        }
        let (step, all) = (self.channel_step(), shape.out_channels);
        let fits = |at: usize| at == all || at < all && at.is_multiple_of(step);
        if channels.start > channels.end || !fits(channels.start) || !fits(channels.end) {
            return Err(KernelError::Channels {
                first: channels.start,
                end: channels.end,
                step,
                channels: all,
            });
        }
        let [planes, width] = layouts[1].as_planes(channels.len(), out_width);
        check_planes(output, planes, count * width)?;
        let mut added = Residual::None;
        if let Some(map) = residual {
            let layout = map.layout(shape.out_channels, out_width);
            let [planes, width] = layout.as_planes(shape.out_channels, out_width);
            map.check("residual", planes, count, width)?;
            added = match layout {
                Layout::Planes => Residual::Planes(map),
                Layout::Blocks => Residual::Blocks(map),
            };
        }
        let adds_blocks = matches!(added, Residual::Blocks(_));
        if adds_blocks && !(self.isa == Isa::Avx512 && self.adds(layouts, Layout::Blocks)) {
            return Err(KernelError::Layout { layouts });
        }
        if count == 0 || channels.is_empty() {
            return Ok(());
        }
        let window = Window {
            map: input,
            kernel: shape.kernel,
            stride: shape.stride,
            dilation: shape.dilation,
            top,
            left: shape.left as isize,
            out_width,
            first_row: rows.start,
        };
        let [stride, _] = shape.stride;
        let reach = (count - 1) * stride + 1;
        // The first input row of a kernel of one tap, which does not read rows of zeros.
        let first = (rows.start * stride).checked_sub(top).filter(|first| first + reach <= input.rows());
        let reads_one = self.is_pointwise() || self.skips();
        let in_planes = layouts == [Layout::Planes; 2] && !adds_blocks;
        let gathers = in_planes && self.is_pointwise() && first.is_none();
        let broadcasts = self.isa == Isa::Avx512 && !gathers && (adds_blocks || self.broadcasts(layouts));
        let run = Run {
            weights: &self.weights,
            epilogue: &self.epilogue,
            window,
            rows: count,
            residual: added,
            output,
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            groups: shape.groups,
            channels,
            layouts,
            buffers: &mut scratch.buffers,
        };
        let odd = (self.first_row + rows.start) % 2 == 1;
        let in_blocks = self.isa == Isa::Avx512 && self.transforms_blocks();
        match self.algorithm {
            Algorithm::Dense if broadcasts && (!reads_one || first.is_none() && holds_blocks(shape)) => {
                self.isa.run(Windowed(run));
            }
            Algorithm::Dense if broadcasts => {
                // Rows of zeros are there so that rows keep their numbers.
                let first = first.ok_or(KernelError::Layout { layouts })?;
                let window =
                    Window { map: input.rows_between(first, first + reach), top: 0, first_row: 0, ..window };
                self.isa.run(Pointwise(Run { window, ..run }));
            }
            Algorithm::Dense => self.isa.run(Dense(run)),
            Algorithm::WinogradRows | Algorithm::WinogradPairs if in_blocks => {
                let odd = (self.algorithm == Algorithm::WinogradPairs).then_some(odd);
                self.isa.run(Winograd { run, odd });
            }
            Algorithm::WinogradRows => self.isa.run(WinogradRows(run)),
            Algorithm::WinogradPairs => self.isa.run(WinogradPairs { run, odd }),
            Algorithm::Depthwise => self.isa.run(Depthwise(run)),
        }
        Ok(())
    }
}
