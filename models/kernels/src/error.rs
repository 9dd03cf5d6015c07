//! What can be wrong with what a kernel is given.

use crate::{Isa, Layout};

/// Why a kernel was refused or did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// A list or slice has the wrong number of values.
    #[error("the {what} must have {expected} values, but has {found}")]
    Length {
        /// Which list.
        what: &'static str,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A feature map has the wrong size.
    #[error("the {what} must be {expected:?} (channels, rows, width), but is {found:?}")]
    Size {
        /// Which map.
        what: &'static str,
        /// Channels, rows, width needed.
        expected: [usize; 3],
        /// Channels, rows, width given.
        found: [usize; 3],
    },
    /// The shape of a layer contradicts itself.
    #[error("{0}")]
    Shape(&'static str),
    /// The rows asked for lie beyond what the input gives.
    #[error("rows {first}..{end} were asked for, but the input with its padding gives {rows}")]
    Rows {
        /// First row asked for.
        first: usize,
        /// Row after the last asked for.
        end: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A range of output channels that cannot be computed alone.
    #[error(
        "channels {first}..{end} of {channels} were asked for, but ranges begin and end at multiples of {step} or at the end"
    )]
    Channels {
        /// First channel asked for.
        first: usize,
        /// Channel after the last asked for.
        end: usize,
        /// What ranges must be multiples of.
        step: usize,
        /// Channels there are.
        channels: usize,
    },
    /// The algorithm cannot compute a layer of this shape.
    #[error("the algorithm {algorithm} needs {needs}")]
    Algorithm {
        /// Its name.
        algorithm: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// The layer cannot read and write maps laid out so.
    #[error("the layer does not take maps laid out as {layouts:?}")]
    Layout {
        /// Of input and output.
        layouts: [Layout; 2],
    },
    /// The machine lacks the instruction set.
    #[error("this machine lacks {isa:?}; its best is {best:?}")]
    Unavailable {
        /// The one asked for.
        isa: Isa,
        /// The best there is.
        best: Isa,
    },
}
