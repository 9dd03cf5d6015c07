//! Transposed convolution.
//!
//! Output rows and columns that lie a stride apart, a phase, see the same taps of the kernel: each phase is an ordinary
//! dense convolution of stride 1 with its own part of the weights. Where the stride divides the kernel, all phases read
//! the same input values and are computed together, as so many more output channels; otherwise one by one. Then they are
//! interleaved. Bound: as [`crate::product`]; with few output channels gathering.

use crate::epilogue::{Epilogue, residual_plane};
use crate::gather::Window;
use crate::isa::{Kernel, Vector};
use crate::map::check_planes;
use crate::product::Dense;
use crate::run::{Residual, Run};
use crate::weights::PackedWeights;
use crate::{Isa, KernelError, Layout, Map, Scratch};
use std::ops::Range;
use std::sync::Arc;

/// The geometry of a transposed convolution of dilation 1, without its rows. Pairs are (rows, columns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransposedShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Groups; divides both.
    pub groups: usize,
    /// Width of the input.
    pub width: usize,
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Step in the output from one input value to the next.
    pub stride: [usize; 2],
    /// Columns cut off at the left of the full output, whose column `x · stride` is where input column `x` begins.
    pub left: usize,
    /// Width of the output.
    pub out_width: usize,
}

impl TransposedShape {
    /// Multiply-adds of one output row, were all taps inside the map.
    pub fn macs_per_row(&self) -> usize {
        let taps = self.kernel[0] * self.kernel[1];
        self.out_width * self.out_channels * self.in_channels / self.groups * taps
            / (self.stride[0] * self.stride[1])
    }

    fn check(&self) -> Result<(), KernelError> {
        let sizes = [self.in_channels, self.out_channels, self.groups, self.width, self.out_width];
        if sizes.iter().chain(&self.kernel).chain(&self.stride).any(|&size| size == 0) {
            return Err(KernelError::Shape("channels, groups, widths, kernel and stride must be at least 1"));
        }
        if !self.in_channels.is_multiple_of(self.groups) || !self.out_channels.is_multiple_of(self.groups) {
            return Err(KernelError::Shape("the groups must divide the input and the output channels"));
        }
        Ok(())
    }

    /// Taps of a phase in direction `axis`: 0 rows, 1 columns.
    fn taps(&self, axis: usize, phase: usize) -> usize {
        self.kernel[axis].saturating_sub(phase).div_ceil(self.stride[axis])
    }
}

/// What one run of a transposed convolution computes.
#[derive(Debug, Clone)]
pub struct TransposedStrip<'a> {
    /// The input rows at hand. Rows outside count as zeros.
    pub input: Map<'a>,
    /// The output rows to compute, numbered so that the first input row begins in output row 0, nothing cut off: output
    /// row `o` of the whole layer is row `o + top − first · stride` for a strip whose input begins in row `first`.
    pub rows: Range<usize>,
    /// Added before the activation: as many rows as `rows`, channels and width as the output.
    pub residual: Option<Map<'a>>,
}

/// A transposed convolution ready to run. Cloning shares the weights.
#[derive(Debug, Clone)]
pub struct Transposed {
    shape: Arc<TransposedShape>,
    epilogue: Arc<Epilogue>,
    parts: Arc<Vec<Part>>,
    isa: Isa,
}

/// Phases computed together.
#[derive(Debug)]
struct Part {
    /// Rows × columns of phases, columns fastest.
    phases: Range<usize>,
    taps: [usize; 2],
    /// A set for each group, whose channels are the phases' output channels one phase after the other. None where there
    /// are no taps.
    weights: Option<PackedWeights>,
}

impl Transposed {
    /// Packs `weights`, which are in channels × (out channels / groups) × kernel rows × kernel columns.
    ///
    /// # Errors
    /// If the shape contradicts itself, a list has the wrong length, or the machine lacks the instruction set.
    pub fn new(
        shape: TransposedShape,
        weights: &[f32],
        epilogue: Epilogue,
        isa: Isa,
    ) -> Result<Transposed, KernelError> {
        shape.check()?;
        epilogue.check(shape.out_channels)?;
        let [kernel, stride] = [shape.kernel, shape.stride];
        let (inside, outside) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
        let expected = shape.in_channels * outside * kernel[0] * kernel[1];
        if weights.len() != expected {
            return Err(KernelError::Length { what: "weights", expected, found: weights.len() });
        }
        let all = stride[0] * stride[1];
        let together = kernel[0].is_multiple_of(stride[0]) && kernel[1].is_multiple_of(stride[1]);
        let step = if together { all } else { 1 };
        let parts = (0..all).step_by(step).map(|first| {
            let taps = [shape.taps(0, first / stride[1]), shape.taps(1, first % stride[1])];
            let depth = inside * taps[0] * taps[1];
            let pack = || {
                PackedWeights::pack(shape.groups, step * outside, depth, |group, channel, k| {
                    let phase = first + channel / outside;
                    let from = group * inside + k / (taps[0] * taps[1]);
                    // The taps run backwards: the last belongs to the earliest input value.
                    let y = phase / stride[1] + (taps[0] - 1 - k / taps[1] % taps[0]) * stride[0];
                    let x = phase % stride[1] + (taps[1] - 1 - k % taps[1]) * stride[1];
                    weights[((from * outside + channel % outside) * kernel[0] + y) * kernel[1] + x]
                })
            };
            Part { phases: first..first + step, taps, weights: (depth > 0).then(pack) }
        });
        Ok(Transposed {
            parts: Arc::new(parts.collect()),
            shape: Arc::new(shape),
            epilogue: Arc::new(epilogue),
            isa: isa.checked()?,
        })
    }

    /// The layer's shape.
    pub fn shape(&self) -> &TransposedShape {
        &self.shape
    }

    /// Bytes of the packed weights, shared by all clones.
    pub fn weight_bytes(&self) -> usize {
        self.parts.iter().filter_map(|part| part.weights.as_ref()).map(PackedWeights::bytes).sum()
    }

    /// Computes `strip.rows` into `output`: one slice a channel, rows × out width each.
    ///
    /// # Errors
    /// If a size does not match the layer's.
    pub fn run_planes(
        &self,
        strip: &TransposedStrip<'_>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let shape = &*self.shape;
        let rows = strip.rows.clone();
        strip.input.check("input", shape.in_channels, strip.input.rows(), shape.width)?;
        check_planes(output, shape.out_channels, rows.len() * shape.out_width)?;
        if let Some(residual) = strip.residual {
            residual.check("residual", shape.out_channels, rows.len(), shape.out_width)?;
        }
        if !rows.is_empty() {
            self.isa.run(Transpose { layer: self, strip, output, scratch });
        }
        Ok(())
    }
}

struct Transpose<'a, 'b> {
    layer: &'a Transposed,
    strip: &'a TransposedStrip<'a>,
    output: &'a mut [&'b mut [f32]],
    scratch: &'a mut Scratch,
}

impl Kernel for Transpose<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Transpose { layer, strip, output, scratch } = self;
        let shape = &*layer.shape;
        let Scratch { buffers, planes, phases } = scratch;
        let [row_stride, stride] = shape.stride;
        let (channels, outside) = (shape.out_channels, shape.out_channels / shape.groups);
        // Each phase has an output where the input has a row and a column: these rows and columns.
        let first_row = strip.rows.start / row_stride;
        let first_column = shape.left / stride;
        let width = (shape.left + shape.out_width - 1) / stride + 1 - first_column;
        let plane = ((strip.rows.end - 1) / row_stride + 1 - first_row) * width;
        let size = row_stride * stride * channels * plane;
        let (values, line) = phases.take(size + shape.out_width).split_at_mut(size);

        let plain = Epilogue::none();
        for part in layer.parts.iter() {
            let count = part.phases.len() * channels;
            let values = &mut values[part.phases.start * channels * plane..][..count * plane];
            let Some(weights) = &part.weights else {
                values.fill(0.0);
                continue;
            };
            let window = Window {
                map: strip.input,
                kernel: part.taps,
                stride: [1, 1],
                dilation: [1, 1],
                top: part.taps[0] - 1,
                left: part.taps[1] as isize - 1 - first_column as isize,
                out_width: width,
                first_row,
            };
            let mut part_planes = planes.split(values, count);
            let run = Run {
                weights,
                epilogue: &plain,
                window,
                rows: plane / width,
                residual: Residual::None,
                output: &mut part_planes,
                in_channels: strip.input.channels(),
                out_channels: count,
                groups: shape.groups,
                channels: 0..count,
                layouts: [Layout::Planes; 2],
                buffers,
            };
            Dense(run).call(v);
            planes.keep(part_planes);
        }
        // Where a phase's plane of an output channel lies among all planes.
        let together = layer.parts[0].phases.len();
        let place = |phase: usize, channel: usize| {
            let first = phase / together * together;
            let in_part = (channel / outside * together + phase - first) * outside + channel % outside;
            (first * channels + in_part) * plane
        };
        for (channel, out) in output.iter_mut().enumerate() {
            let epilogue = layer.epilogue.channel(channel);
            let residual = residual_plane(&strip.residual, channel);
            for (y, to) in strip.rows.clone().zip(out.chunks_exact_mut(shape.out_width)) {
                for start in 0..stride.min(shape.out_width) {
                    let at = start + shape.left;
                    let from = place(y % row_stride * stride + at % stride, channel)
                        + (y / row_stride - first_row) * width
                        + (at / stride - first_column);
                    let to = line[start..].iter_mut().step_by(stride);
                    to.zip(&values[from..]).for_each(|(to, from)| *to = *from);
                }
                let at = (y - strip.rows.start) * shape.out_width;
                let residual = residual.map(|r| &r[at..][..shape.out_width]);
                epilogue.apply_row(v, line, residual, to);
            }
        }
    }
}
