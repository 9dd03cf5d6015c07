//! Memory that operators work in, kept from layer to layer and from run to run.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use collab_kernels::{KernelError, PlaneList, Scratch};
use tract_onnx::tract_core::internal::*;

/// The workspaces of a network's strips: as many as strips ever ran at once.
#[derive(Debug, Default)]
pub(crate) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// One that nobody uses.
    pub(crate) fn take(&self) -> Workspace {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes it back.
    pub(crate) fn keep(&self, workspace: Workspace) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}

/// Scratch of the kernels, and maps that nobody reads any more.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    scratch: Scratch,
    planes: PlaneList,
    /// The oldest first.
    spare: VecDeque<Tensor>,
}

/// Maps kept for reuse: a network of few branches needs no more.
const SPARE: usize = 8;

impl Workspace {
    /// Runs `kernel` on `output`, cut into one slice a channel.
    pub(super) fn planes(
        &mut self,
        output: &mut [f32],
        channels: usize,
        kernel: impl FnOnce(&mut [&mut [f32]], &mut Scratch) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let mut planes = self.planes.split(output, channels);
        let result = kernel(&mut planes, &mut self.scratch);
        self.planes.keep(planes);
        result
    }

    /// A tensor of 32-bit floats of unspecified value.
    pub(super) fn tensor(&mut self, shape: &[usize]) -> TractResult<Tensor> {
        let len = shape.iter().product::<usize>();
        match self.spare.iter().position(|spare| spare.len() == len).and_then(|at| self.spare.remove(at)) {
            Some(spare) => spare.into_shape(shape),
            None => Tensor::zero::<f32>(shape),
        }
    }

    /// Keeps what nobody else reads.
    pub(super) fn recycle(&mut self, value: TValue) {
        if !value.is_exclusive() || value.datum_type() != f32::datum_type() || !value.is_plain() {
            return;
        }
        if self.spare.len() >= SPARE {
            self.spare.pop_front();
        }
        self.spare.push_back(value.into_tensor());
    }
}
