//! Transposed convolution.
//!
//! Output rows and columns that lie a stride apart see the same taps of the kernel: each such phase is an ordinary dense
//! convolution of stride 1 with its own part of the weights. The phases of a row are computed side by side and then
//! interleaved. Bound: multiply-adds, as [`crate::product`]; with few output channels gathering.

use crate::epilogue::{Activation, Epilogue, residual_plane};
use crate::gather::Window;
use crate::isa::{Kernel, Vector};
use crate::map::{PlaneList, check_planes};
use crate::product::Dense;
use crate::scratch::{Buffer, Buffers};
use crate::weights::PackedWeights;
use crate::{Isa, KernelError, Map, Scratch};
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
    /// One for each phase of rows and columns, columns fastest; none where the phase has no taps.
    phases: Arc<Vec<Option<PackedWeights>>>,
    isa: Isa,
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
        let [kernel_rows, kernel_columns] = shape.kernel;
        let (inside, outside) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
        let expected = shape.in_channels * outside * kernel_rows * kernel_columns;
        if weights.len() != expected {
            return Err(KernelError::Length { what: "weights", expected, found: weights.len() });
        }
        let mut phases = Vec::new();
        for row_phase in 0..shape.stride[0] {
            for column_phase in 0..shape.stride[1] {
                let (rows, columns) = (shape.taps(0, row_phase), shape.taps(1, column_phase));
                let depth = inside * rows * columns;
                let packed = (depth > 0).then(|| {
                    PackedWeights::pack(shape.groups, outside, depth, |group, channel, k| {
                        let (row, column) = (k / columns % rows, k % columns);
                        let from = group * inside + k / (rows * columns);
                        // The taps run backwards: the last belongs to the earliest input value.
                        let y = row_phase + (rows - 1 - row) * shape.stride[0];
                        let x = column_phase + (columns - 1 - column) * shape.stride[1];
                        weights[((from * outside + channel) * kernel_rows + y) * kernel_columns + x]
                    })
                });
                phases.push(packed);
            }
        }
        Ok(Transposed {
            shape: Arc::new(shape),
            epilogue: Arc::new(epilogue),
            phases: Arc::new(phases),
            isa: isa.checked()?,
        })
    }

    /// The layer's shape.
    pub fn shape(&self) -> &TransposedShape {
        &self.shape
    }

    /// Bytes of the packed weights, shared by all clones.
    pub fn weight_bytes(&self) -> usize {
        self.phases.iter().flatten().map(PackedWeights::bytes).sum()
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
        let Scratch { buffers, planes, phases, .. } = scratch;
        for phase in 0..shape.stride[0].min(rows.len()) {
            // The phase of the rows first, first + stride, …
            let first = rows.start + phase;
            let count = (rows.end - first).div_ceil(shape.stride[0]);
            self.isa.run(RowPhase { layer: self, strip, first, count, output, buffers, planes, phases });
        }
        Ok(())
    }
}

/// Output rows `first`, `first + stride`, …: `count` of them.
struct RowPhase<'a, 'b> {
    layer: &'a Transposed,
    strip: &'a TransposedStrip<'a>,
    first: usize,
    count: usize,
    output: &'a mut [&'b mut [f32]],
    buffers: &'a mut Buffers,
    planes: &'a mut PlaneList,
    phases: &'a mut Buffer,
}

impl Kernel for RowPhase<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let RowPhase { layer, strip, first, count, output, buffers, planes, phases } = self;
        let shape = &*layer.shape;
        let [row_stride, stride] = shape.stride;
        let plain =
            Epilogue { bias: Vec::new(), scale: Vec::new(), shift: Vec::new(), activation: Activation::None };
        let width = shape.out_width.div_ceil(stride);
        let plane = count * width;
        let values = phases.take(stride * shape.out_channels * plane + shape.out_width);
        let (values, row) = values.split_at_mut(stride * shape.out_channels * plane);
        for (start, values) in values.chunks_exact_mut(shape.out_channels * plane).enumerate() {
            let at = start + shape.left;
            let (row_phase, column_phase) = (first % row_stride, at % stride);
            let Some(weights) = &layer.phases[row_phase * stride + column_phase] else {
                values.fill(0.0);
                continue;
            };
            let taps = [shape.taps(0, row_phase), shape.taps(1, column_phase)];
            let window = Window {
                map: strip.input,
                kernel: taps,
                stride: [1, 1],
                dilation: [1, 1],
                top: taps[0] - 1,
                left: taps[1] as isize - 1 - (at / stride) as isize,
                out_width: width,
                first_row: first / row_stride,
            };
            let mut planes_of_phase = planes.split(values, shape.out_channels);
            Dense {
                weights,
                epilogue: &plain,
                window,
                residual: None,
                output: &mut planes_of_phase,
                groups: shape.groups,
                pixels: plane,
                buffers,
            }
            .call(v);
            planes.keep(planes_of_phase);
        }
        for (channel, out) in output.iter_mut().enumerate() {
            let epilogue = layer.epilogue.channel(channel);
            let residual = residual_plane(&strip.residual, channel);
            for y in 0..count {
                for (start, values) in values.chunks_exact(shape.out_channels * plane).enumerate() {
                    let from = &values[channel * plane + y * width..][..width];
                    row[start.min(shape.out_width)..]
                        .iter_mut()
                        .step_by(stride)
                        .zip(from)
                        .for_each(|(t, f)| *t = *f);
                }
                let at = (first - strip.rows.start + y * row_stride) * shape.out_width;
                let residual = residual.map(|r| &r[at..][..shape.out_width]);
                epilogue.apply_row(v, row, residual, &mut out[at..][..shape.out_width]);
            }
        }
    }
}
