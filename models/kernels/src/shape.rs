//! The geometry of a convolution, without its rows: those belong to a strip.

use crate::KernelError;

/// A two-dimensional convolution. Pairs are (rows, columns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Groups; divides both. As many as `in_channels` makes a depthwise convolution.
    pub groups: usize,
    /// Width of the input.
    pub width: usize,
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Step from one output to the next.
    pub stride: [usize; 2],
    /// Step from one tap of the kernel to the next.
    pub dilation: [usize; 2],
    /// Columns of zeros left of the input.
    pub left: usize,
    /// Columns of zeros right of the input.
    pub right: usize,
}

impl ConvShape {
    /// Width of the output.
    pub fn out_width(&self) -> usize {
        outputs(self.left + self.width + self.right, self.kernel[1], self.stride[1], self.dilation[1])
    }

    /// Rows of the output of `in_rows` rows with `top` and `bottom` rows of zeros around them.
    pub fn out_rows(&self, in_rows: usize, top: usize, bottom: usize) -> usize {
        outputs(top + in_rows + bottom, self.kernel[0], self.stride[0], self.dilation[0])
    }

    /// Taps of one channel of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Products summed for one output value.
    pub fn depth(&self) -> usize {
        self.in_channels / self.groups * self.taps()
    }

    /// Multiply-adds of one output row, by definition (Winograd needs fewer).
    pub fn macs_per_row(&self) -> usize {
        self.out_width() * self.out_channels * self.depth()
    }

    /// Values of the weights.
    pub fn weights(&self) -> usize {
        self.out_channels * self.depth()
    }

    /// Whether each output channel sees one input channel.
    pub fn is_depthwise(&self) -> bool {
        self.groups == self.in_channels && self.out_channels.is_multiple_of(self.groups)
    }

    /// Fails if sizes are zero or the groups do not divide the channels.
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let sizes = [self.in_channels, self.out_channels, self.groups, self.width];
        let steps = self.kernel.iter().chain(&self.stride).chain(&self.dilation);
        if sizes.iter().chain(steps).any(|&size| size == 0) {
            return Err(KernelError::Shape(
                "channels, groups, width, kernel, stride and dilation must be at least 1",
            ));
        }
        if !self.in_channels.is_multiple_of(self.groups) || !self.out_channels.is_multiple_of(self.groups) {
            return Err(KernelError::Shape("the groups must divide the input and the output channels"));
        }
        if self.out_width() == 0 {
            return Err(KernelError::Shape("the kernel is wider than the padded input"));
        }
        Ok(())
    }
}

/// Positions of a window of `kernel` taps over `size` values.
pub(crate) fn outputs(size: usize, kernel: usize, stride: usize, dilation: usize) -> usize {
    (size + stride).saturating_sub((kernel - 1) * dilation + 1) / stride
}
