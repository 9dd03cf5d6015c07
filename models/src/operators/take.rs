//! Rows of a map of which a strip holds more: what is added to the end of a bottleneck whose beginning reaches further.
//!
//! The engine's own slice moves 0.5 values a nanosecond, which took as long as the product that the rows are added to, and
//! a map that it reads has to have memory of its own.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_kernels::Layout;
use tract_onnx::tract_core::internal::TVec;

use super::{Computed, Lies, Operator, Workspace};
use crate::rows::{Node, Split};

/// A range of one axis.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    shape: TVec<usize>,
    axis: usize,
    /// How many there are, and which are taken.
    held: usize,
    taken: Range<usize>,
    /// How the map lies, before and after.
    layout: Layout,
}

impl Take {
    /// `taken` of a map of `shape` along `axis`.
    pub(crate) fn new(shape: &[usize], axis: usize, taken: Range<usize>) -> Self {
        let held = shape[axis];
        let mut shape: TVec<usize> = shape.into();
        shape[axis] = taken.len();
        Self { shape, axis, held, taken, layout: Layout::Planes }
    }
}

impl Operator for Take {
    fn name(&self) -> &'static str {
        "Take"
    }

    fn label(&self) -> (String, Kind) {
        ("Take".to_owned(), Kind::Move)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let planes: usize = self.shape[..self.axis].iter().product();
        let row: usize = self.shape[self.axis + 1..].iter().product();
        let [planes, row] = self.layout.as_planes(planes, row);
        workspace.by_rows(output, [planes, self.taken.len()], 0, |part, planes, _| {
            let part = (self.taken.start + part.start) * row..(self.taken.start + part.end) * row;
            for (plane, held) in planes.iter_mut().zip(inputs[0].chunks_exact(self.held * row)) {
                plane.copy_from_slice(&held[part.clone()]);
            }
            Ok(())
        })
    }

    fn suits(&self, lies: &Lies) -> bool {
        let rows = self.axis + 2 == self.shape.len();
        *lies == Lies::default() || rows && *lies == Lies::through(Layout::Blocks)
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        Some(Arc::new(Self { layout: lies.output, ..self.clone() }))
    }

    fn lies(&self) -> Lies {
        Lies::through(self.layout)
    }

    /// Only strips have it, which are not divided again.
    fn split(&self, _node: &Node) -> Option<Split> {
        None
    }
}
