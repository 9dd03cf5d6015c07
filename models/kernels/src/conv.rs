//! A convolution layer: its shape, its packed weights, its epilogue, and the algorithm that computes it.

use crate::blocked::{Pointwise, Residual, Windowed, Winograd, holds_blocks, holds_groups, reads_few};
use crate::depthwise;
use crate::gather::Window;
use crate::map::check_planes;
use crate::product::Dense;
use crate::tile::PANEL;
use crate::winograd;
use crate::winograd::pairs::{self, WinogradPairs};
use crate::winograd::rows::{self, WinogradRows};
use crate::{
    Activation, Algorithm, ConvShape, Epilogue, Isa, KernelError, Layout, Map, PackedWeights, Scratch,
};
use std::ops::Range;
use std::sync::Arc;

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

/// A convolution ready to run. Cloning shares the weights.
#[derive(Debug, Clone)]
pub struct Conv {
    shape: Arc<ConvShape>,
    epilogue: Arc<Epilogue>,
    weights: Weights,
    isa: Isa,
    /// The row of the whole layer's output that row 0 of strips is.
    pub(crate) first_row: usize,
}

/// Columns up to which whole blocks are broadcast from planes too, and those without groups at all. 1×1 kernels copy nothing, and
/// values of wide planes come from too many places: half as many.
const NARROW: usize = 28;

#[derive(Debug, Clone)]
enum Weights {
    Dense(Arc<PackedWeights>),
    WinogradRows(Arc<PackedWeights>),
    WinogradPairs(Arc<PackedWeights>),
    Depthwise(Arc<PackedWeights>),
}

impl Conv {
    /// Packs `weights`, which are out channels × (in channels / groups) × kernel rows × kernel columns.
    ///
    /// # Errors
    /// If the shape contradicts itself, a list has the wrong length, the algorithm does not fit the shape, or the
    /// machine lacks the instruction set.
    pub fn new(
        shape: ConvShape,
        weights: &[f32],
        epilogue: Epilogue,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Result<Conv, KernelError> {
        shape.check()?;
        epilogue.check(shape.out_channels)?;
        if weights.len() != shape.weights() {
            return Err(KernelError::Length {
                what: "weights",
                expected: shape.weights(),
                found: weights.len(),
            });
        }
        let weights = match algorithm {
            Algorithm::Dense => {
                let (channels, depth) = (shape.out_channels / shape.groups, shape.depth());
                let packed = PackedWeights::pack(shape.groups, channels, depth, |group, channel, k| {
                    weights[(group * channels + channel) * depth + k]
                });
                Weights::Dense(Arc::new(packed))
            }
            Algorithm::WinogradRows => Weights::WinogradRows(Arc::new(rows::pack(&shape, weights)?)),
            Algorithm::WinogradPairs => Weights::WinogradPairs(Arc::new(pairs::pack(&shape, weights)?)),
            Algorithm::Depthwise => Weights::Depthwise(Arc::new(depthwise::pack(&shape, weights)?)),
        };
        Ok(Conv {
            shape: Arc::new(shape),
            epilogue: Arc::new(epilogue),
            weights,
            isa: isa.checked()?,
            first_row: 0,
        })
    }

    /// The layer's shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// What every output value passes through last.
    pub fn activation(&self) -> Activation {
        self.epilogue.activation
    }

    /// The algorithm that computes it.
    pub fn algorithm(&self) -> Algorithm {
        match self.weights {
            Weights::Dense(_) => Algorithm::Dense,
            Weights::WinogradRows(_) => Algorithm::WinogradRows,
            Weights::WinogradPairs(_) => Algorithm::WinogradPairs,
            Weights::Depthwise(_) => Algorithm::Depthwise,
        }
    }

    /// The same layer for strips whose row 0 is row `row` of the whole layer's output; 0 unless told. Pairs of rows
    /// that are computed together begin at even rows of the whole.
    pub fn beginning_at(mut self, row: usize) -> Conv {
        self.first_row = row;
        self
    }

    /// Bytes of the packed weights, shared by all clones.
    pub fn weight_bytes(&self) -> usize {
        match &self.weights {
            Weights::Dense(weights)
            | Weights::WinogradRows(weights)
            | Weights::WinogradPairs(weights)
            | Weights::Depthwise(weights) => weights.bytes(),
        }
    }

    /// Ranges of output channels that are computed alone begin and end at multiples of this (or at the last channel).
    pub fn channel_step(&self) -> usize {
        let per_group = self.shape.out_channels / self.shape.groups;
        match self.algorithm() {
            Algorithm::Dense | Algorithm::WinogradRows | Algorithm::WinogradPairs
                if self.shape.groups == 1 =>
            {
                PANEL
            }
            Algorithm::Depthwise => per_group * PANEL,
            _ => per_group,
        }
    }

    /// Whether pairs of rows that are computed together begin at even rows of a strip, 0, or at odd ones, 1.
    pub fn pairs_begin_at(&self) -> usize {
        self.first_row % 2
    }

    /// Rows that are computed together: shares of several threads begin at multiples of this, counted in the whole layer.
    pub(crate) fn row_step(&self) -> usize {
        if self.algorithm() == Algorithm::WinogradPairs { 2 } else { 1 }
    }

    /// Whether there are kernels for maps laid out so: for planes always; for blocks in depthwise layers, 1×1 layers, larger ones
    /// in groups of whole blocks or of such on narrow maps, and behind layers of an image's few channels.
    pub fn suits(&self, [input, output]: [Layout; 2]) -> bool {
        let shape = &*self.shape;
        let grouped = holds_groups(shape) || holds_blocks(shape) && self.is_narrow();
        let plain = self.is_pointwise();
        match (&self.weights, input, output) {
            (_, Layout::Planes, Layout::Planes) => true,
            (Weights::Depthwise(_), ..) => shape.out_channels == shape.in_channels,
            (Weights::Dense(_), Layout::Planes, Layout::Blocks) => {
                plain || grouped || reads_few(shape) && shape.kernel != [1, 1]
            }
            (Weights::Dense(_), Layout::Blocks, _) => plain || grouped || self.skips(),
            (Weights::WinogradRows(_) | Weights::WinogradPairs(_), Layout::Blocks, Layout::Blocks) => {
                holds_blocks(shape)
            }
            _ => false,
        }
    }

    /// Whether there are kernels that add a residual laid out as `residual` and read and write maps laid out so: planes to
    /// planes, and blocks wherever inputs are, or can be, broadcast.
    pub fn adds(&self, layouts: [Layout; 2], residual: Layout) -> bool {
        match residual {
            Layout::Planes => layouts[1] == Layout::Planes && self.suits(layouts),
            Layout::Blocks => {
                let broadcast = layouts != [Layout::Planes; 2] || self.is_pointwise();
                !matches!(self.weights, Weights::Depthwise(_)) && broadcast && self.suits(layouts)
            }
        }
    }

    /// Whether it is computed by broadcasting inputs to 16 output channels, where a vector holds these: with blocks always, and
    /// from planes to planes on narrow maps, for which copying and turning is cheaper than gathering.
    pub fn broadcasts(&self, layouts: [Layout; 2]) -> bool {
        let shape = &*self.shape;
        let narrow = match self.is_pointwise() {
            true => shape.out_width() <= NARROW / 2,
            false => {
                shape.out_width() <= NARROW
                    && (holds_groups(shape) || holds_blocks(shape) && self.is_narrow())
            }
        };
        matches!(self.weights, Weights::Dense(_)) && (narrow || layouts != [Layout::Planes; 2])
    }

    /// Whether the output has few columns, and the kernel more than one tap.
    fn is_narrow(&self) -> bool {
        self.shape.kernel != [1, 1] && self.shape.out_width() <= NARROW
    }

    /// Whether each output pixel reads the input's in the same place.
    fn is_pointwise(&self) -> bool {
        self.reads_one(1)
    }

    /// Whether each output pixel reads one of four of the input.
    fn skips(&self) -> bool {
        self.reads_one(2)
    }

    /// Whether each output pixel reads one of the input, so far from the next.
    fn reads_one(&self, stride: usize) -> bool {
        let shape = &*self.shape;
        let unpadded = shape.left == 0 && shape.right == 0;
        shape.groups == 1 && shape.kernel == [1, 1] && shape.stride == [stride; 2] && unpadded
    }

    /// Whether it reads and writes maps laid out so: where there are kernels, and with blocks where a vector holds one. With
    /// fewer lanes depthwise layers are computed by rows, which need not be turned, or turning is cheap.
    pub fn takes(&self, layouts: [Layout; 2]) -> bool {
        layouts == [Layout::Planes; 2] || self.isa == Isa::Avx512 && self.suits(layouts)
    }

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
        let (epilogue, buffers) = (&*self.epilogue, &mut scratch.buffers);
        let pixels = count * out_width;
        let [stride, _] = shape.stride;
        let reach = (count - 1) * stride + 1;
        // The first input row of a kernel of one tap, which does not read rows of zeros.
        let first = (rows.start * stride).checked_sub(top).filter(|first| first + reach <= input.rows());
        let in_planes = layouts == [Layout::Planes; 2] && !adds_blocks;
        let gathers = in_planes && self.is_pointwise() && first.is_none();
        let broadcasts = self.isa == Isa::Avx512 && !gathers && (adds_blocks || self.broadcasts(layouts));
        match &self.weights {
            Weights::Dense(weights) if broadcasts && !self.is_pointwise() && !self.skips() => {
                self.isa.run(Windowed {
                    weights,
                    epilogue,
                    window,
                    rows: count,
                    residual: added,
                    output,
                    in_channels: shape.in_channels,
                    out_channels: shape.out_channels,
                    channels,
                    groups: shape.groups,
                    layouts,
                    buffers,
                });
            }
            Weights::Dense(weights) if broadcasts => {
                // Rows of zeros are there so that rows keep their numbers.
                let first = first.ok_or(KernelError::Layout { layouts })?;
                self.isa.run(Pointwise {
                    weights,
                    epilogue,
                    input: input.rows_between(first, first + reach),
                    stride,
                    width: out_width,
                    pixels,
                    residual: added,
                    output,
                    in_channels: shape.in_channels,
                    channels,
                    layouts,
                    buffers,
                });
            }
            Weights::Dense(weights) => {
                let (groups, out_channels) = (shape.groups, shape.out_channels);
                self.isa.run(Dense {
                    weights,
                    epilogue,
                    window,
                    residual,
                    output,
                    out_channels,
                    channels,
                    groups,
                    pixels,
                    buffers,
                });
            }
            Weights::WinogradRows(weights) | Weights::WinogradPairs(weights) => {
                let run = winograd::Run {
                    weights,
                    epilogue,
                    window,
                    rows: count,
                    residual,
                    output,
                    out_channels: shape.out_channels,
                    channels,
                    groups: shape.groups,
                    buffers,
                };
                let odd = (self.first_row + rows.start) % 2 == 1;
                match (&self.weights, layouts[0]) {
                    (Weights::WinogradRows(_), Layout::Planes) => self.isa.run(WinogradRows(run)),
                    (_, Layout::Planes) => self.isa.run(WinogradPairs { run, odd }),
                    (Weights::WinogradRows(_), Layout::Blocks) => self.isa.run(Winograd { run, odd: None }),
                    _ => self.isa.run(Winograd { run, odd: Some(odd) }),
                }
            }
            Weights::Depthwise(weights) => {
                self.isa.run(depthwise::Depthwise {
                    weights,
                    epilogue,
                    window,
                    rows: count,
                    residual,
                    output,
                    channels,
                    multiple: shape.out_channels / shape.in_channels,
                    layouts,
                    buffers,
                });
            }
        }
        Ok(())
    }
}
