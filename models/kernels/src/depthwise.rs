//! Convolution of each channel by itself.
//!
//! A channel's rows are copied with their zeros, split into phases where the stride is above 1, so that every tap of
//! consecutive outputs is a contiguous stretch; outputs then run on across the ends of rows, and narrow maps fill whole
//! vectors. Bound: loads, one for every multiply-add.

use crate::epilogue::{Epilogue, residual_plane};
use crate::gather::{Window, copy, outputs_inside, pick};
use crate::isa::{Kernel, Vector, load, store};
use crate::scratch::Buffers;
use crate::{ConvShape, KernelError, Map};

/// Weights of a depthwise layer as they came: out channels × taps.
#[derive(Debug)]
pub(crate) struct DepthwiseWeights {
    values: Vec<f32>,
}

impl DepthwiseWeights {
    pub(crate) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }
}

pub(crate) fn pack(shape: &ConvShape, weights: &[f32]) -> Result<DepthwiseWeights, KernelError> {
    if !shape.is_depthwise() {
        return Err(KernelError::Algorithm {
            algorithm: "Depthwise",
            needs: "as many groups as input channels",
        });
    }
    Ok(DepthwiseWeights { values: weights.to_vec() })
}

/// Values of the copied rows of one channel: they stay in the first-level cache.
const COPIED: usize = 4096;

/// Vectors computed together, to hide the latency of the multiply-adds.
const VECTORS: usize = 4;

/// One run of a layer.
pub(crate) struct Depthwise<'a, 'b> {
    pub(crate) weights: &'a DepthwiseWeights,
    pub(crate) epilogue: &'a Epilogue,
    pub(crate) window: Window<'a>,
    pub(crate) rows: usize,
    pub(crate) residual: Option<Map<'a>>,
    pub(crate) output: &'a mut [&'b mut [f32]],
    pub(crate) buffers: &'a mut Buffers,
}

impl Kernel for Depthwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Depthwise { weights, epilogue, window, rows, residual, output, buffers } = self;
        let Window { kernel, stride, dilation, out_width, .. } = window;
        let reach = [(kernel[0] - 1) * dilation[0], (kernel[1] - 1) * dilation[1]];
        let width = out_width + reach[1] / stride[1];
        let extra = reach[0] / stride[0];
        let phases = stride[0] * stride[1];
        let most = (COPIED / (width * phases)).saturating_sub(extra).clamp(1, rows);
        let block = rows.div_ceil(rows.div_ceil(most));
        let copies = Copies { width, rows: block + extra };

        buffers.taps.clear();
        for row in 0..kernel[0] {
            for column in 0..kernel[1] {
                let (y, x) = (row * dilation[0], column * dilation[1]);
                let phase = y % stride[0] * stride[1] + x % stride[1];
                buffers.taps.push(copies.phase(phase) + y / stride[0] * width + x / stride[1]);
            }
        }
        let group = VECTORS * V::F32_LANES;
        let copied = buffers.first.take(copies.phase(phases) + group);
        let sums = buffers.second.take(block * width + group);
        let multiple = output.len() / window.map.channels();
        for channel in 0..window.map.channels() {
            for start in (0..rows).step_by(block) {
                let count = block.min(rows - start);
                copies.fill::<V>(&window, channel, start, count + extra, copied);
                for out in channel * multiple..(channel + 1) * multiple {
                    let taps = &weights.values[out * kernel[0] * kernel[1]..][..kernel[0] * kernel[1]];
                    let len = (count - 1) * width + out_width;
                    for at in (0..len).step_by(group) {
                        let mut acc = [v.splat_f32s(0.0); VECTORS];
                        for (&weight, &tap) in taps.iter().zip(&buffers.taps) {
                            let from = &copied[tap + at..][..group];
                            let weight = v.splat_f32s(weight);
                            for (j, acc) in acc.iter_mut().enumerate() {
                                *acc = v.fma(weight, load::<V>(&from[j * V::F32_LANES..]), *acc);
                            }
                        }
                        for (j, &acc) in acc.iter().enumerate() {
                            store::<V>(&mut sums[at + j * V::F32_LANES..], acc);
                        }
                    }
                    let span = start * out_width..(start + count) * out_width;
                    let epilogue = epilogue.channel(out);
                    let residual = residual_plane(&residual, out).map(|r| &r[span.clone()]);
                    let plane = &mut output[out][span];
                    for (y, to) in plane.chunks_exact_mut(out_width).enumerate() {
                        let residual = residual.map(|r| &r[y * out_width..][..out_width]);
                        epilogue.apply_row(v, &sums[y * width..], residual, to);
                    }
                }
            }
        }
    }
}

/// How the copied rows lie: phase of the stride, row, column.
#[derive(Clone, Copy)]
struct Copies {
    width: usize,
    rows: usize,
}

impl Copies {
    fn phase(self, phase: usize) -> usize {
        phase * self.rows * self.width
    }

    /// Copies what output rows from `start` on need: `rows` rows of every phase.
    #[inline(always)]
    fn fill<V: Vector>(
        self,
        window: &Window<'_>,
        channel: usize,
        start: usize,
        rows: usize,
        copied: &mut [f32],
    ) {
        let [row_stride, stride] = window.stride;
        for row in 0..rows * row_stride {
            let line = ((window.first_row + start) * row_stride + row).checked_sub(window.top);
            let line = line.filter(|&line| line < window.map.rows());
            for column in 0..stride {
                let phase = row % row_stride * stride + column;
                let to = &mut copied[self.phase(phase) + row / row_stride * self.width..][..self.width];
                let Some(line) = line else {
                    to.fill(0.0);
                    continue;
                };
                let reach = column as isize - window.left;
                let inside = outputs_inside(reach, stride, window.map.width(), to.len());
                to[..inside.start].fill(0.0);
                to[inside.end..].fill(0.0);
                if inside.is_empty() {
                    continue;
                }
                let start = (inside.start * stride).strict_add_signed(reach);
                let from = &window.map.row(channel, line)[start..];
                let to = &mut to[inside];
                match stride {
                    1 => copy::<V>(from, to, to.len()),
                    2 => pick::<2>(from, to),
                    _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f),
                }
            }
        }
    }
}
