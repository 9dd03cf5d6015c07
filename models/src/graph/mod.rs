//! The network as it is executed: steps (the engine's operators), gathered into layers, cut into units.
//!
//! [`Graph`] keeps the operators and constants; what others may know of it is the
//! [`collab_core::network::Network`] made from it here. Layers and units have the same numbers in both.

mod label;
mod layers;
mod steps;
mod units;
mod work;

use collab_core::id::NetworkId;
use collab_core::network::{Cut, Input, Layer, Network, Unit};
use tract_onnx::tract_core::internal::*;

pub(crate) use steps::{Source, Step};

use crate::load::LoadOptions;
use crate::rows::Along;

/// Everything needed to run any part of a network.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The input's shape.
    pub(crate) input: Vec<usize>,
    /// The input's divided axis.
    pub(crate) input_along: Along,
    /// Operators that depend on the input, in an order in which they can run.
    pub(crate) steps: Vec<Step>,
    /// For each layer its steps, ascending; the last one yields its output.
    pub(crate) members: Vec<Vec<usize>>,
    layers: Vec<Layer>,
    units: Vec<Unit>,
}

impl Graph {
    /// Reads a prepared model with one input of shape `input` and one output.
    pub(crate) fn new(model: &TypedModel, input: &[usize]) -> TractResult<Self> {
        let input_along = input_along(input);
        let steps = steps::read(model, input, input_along)?;
        ensure!(!steps.is_empty(), "the output does not depend on the input");
        let members = layers::gather(&steps);
        let layers = layers::describe(&steps, &members);
        let units = units::cut(&steps, &members, &layers);
        Ok(Self { input: input.to_vec(), input_along, steps, members, layers, units })
    }

    /// The geometry, without operators and weights.
    pub(crate) fn network(&self, id: NetworkId, options: &LoadOptions, shape: Vec<usize>) -> Network {
        Network {
            id,
            name: options.name.clone(),
            input: Input { cut: cut(&self.input, self.input_along), shape, pixels: options.pixels.clone() },
            output_shape: self.steps.last().map(|step| step.shape.clone()).unwrap_or_default(),
            layers: self.layers.clone(),
            units: self.units.clone(),
        }
    }

    /// Shape and divided axis of the tensor that layer `layer` yields; the input's for `None`.
    pub(crate) fn tensor(&self, layer: Option<usize>) -> (&[usize], Along) {
        match layer.and_then(|layer| self.members[layer].last()) {
            Some(&step) => (&self.steps[step].shape, self.steps[step].split.along),
            None => (&self.input, self.input_along),
        }
    }
}

/// Height comes before width, wherever the channels are: last if they are few there and many in front.
fn input_along(shape: &[usize]) -> Along {
    let channels_last = shape[3] <= 4 && shape[1] > 4;
    Along::Rows(if channels_last { 1 } else { 2 })
}

/// A tensor of this shape as `outer × rows × inner`.
pub(crate) fn cut(shape: &[usize], along: Along) -> Cut {
    let volume = |shape: &[usize]| shape.iter().product::<usize>() as u32;
    match along.axis() {
        Some(axis) => {
            Cut { outer: volume(&shape[..axis]), rows: shape[axis] as u32, inner: volume(&shape[axis + 1..]) }
        }
        None => Cut { outer: volume(shape), rows: 1, inner: 1 },
    }
}
