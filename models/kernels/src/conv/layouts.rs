//! Which layers have kernels for maps in blocks, and where inputs are broadcast.

use super::Conv;
use crate::blocked::{holds_blocks, holds_groups, reads_few};
use crate::{Algorithm, Isa, Layout};

/// Columns up to which whole blocks are broadcast from planes too, and those without groups at all. 1×1 kernels copy nothing, and
/// values of wide planes come from too many places: half as many.
const NARROW: usize = 28;

impl Conv {
    /// Whether there are kernels for maps laid out so: for planes always; for blocks in depthwise layers, 1×1 layers, larger ones
    /// in groups of whole blocks or of such on narrow maps, Winograd's of whole blocks, and behind layers of an image's few channels.
    pub fn suits(&self, [input, output]: [Layout; 2]) -> bool {
        let shape = &*self.shape;
        let grouped = holds_groups(shape) || holds_blocks(shape) && self.is_narrow();
        let plain = self.is_pointwise();
        match (self.algorithm, input, output) {
            (_, Layout::Planes, Layout::Planes) => true,
            (Algorithm::Depthwise, ..) => shape.out_channels == shape.in_channels,
            (Algorithm::Dense, Layout::Planes, Layout::Blocks) => {
                plain || grouped || reads_few(shape) && shape.kernel != [1, 1]
            }
            (Algorithm::Dense, Layout::Blocks, _) => plain || grouped || self.skips(),
            (Algorithm::WinogradRows | Algorithm::WinogradPairs, ..) => self.transforms_blocks(),
        }
    }

    /// Whether it is computed by Winograd's algorithm on blocks, however its maps lie, where a vector holds one.
    pub fn transforms_blocks(&self) -> bool {
        matches!(self.algorithm, Algorithm::WinogradRows | Algorithm::WinogradPairs)
            && holds_blocks(&self.shape)
    }

    /// Whether there are kernels that add a residual laid out as `residual` and read and write maps laid out so: Winograd's of
    /// whole blocks and those that broadcast inputs in any way, others planes to planes.
    pub fn adds(&self, layouts: [Layout; 2], residual: Layout) -> bool {
        let in_planes = layouts == [Layout::Planes; 2];
        let broadcast = self.algorithm == Algorithm::Dense && (!in_planes || self.is_pointwise());
        let planes = residual == Layout::Planes && layouts[1] == Layout::Planes;
        self.suits(layouts) && (planes || broadcast || self.transforms_blocks())
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
        self.algorithm == Algorithm::Dense && (narrow || layouts != [Layout::Planes; 2])
    }

    /// Whether the output has few columns, and the kernel more than one tap.
    fn is_narrow(&self) -> bool {
        self.shape.kernel != [1, 1] && self.shape.out_width() <= NARROW
    }

    /// Whether each output pixel reads the input's in the same place.
    pub(super) fn is_pointwise(&self) -> bool {
        self.reads_one(1)
    }

    /// Whether each output pixel reads one of four of the input.
    pub(super) fn skips(&self) -> bool {
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
}
