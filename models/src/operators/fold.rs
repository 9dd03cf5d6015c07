//! What follows an operator and can be computed where its sums are stored: arithmetic with one value a channel,
//! a residual sum, an activation.

use collab_kernels::{Activation, Epilogue};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{HardSwish, LeakyRelu, Silu};

/// `activation(scale · x + shift + residual)`, one scale and shift a channel.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
    pub(super) residual: Option<OutletId>,
    pub(super) activation: Activation,
    /// The nodes it stands for, in order.
    pub(super) members: Vec<usize>,
}

impl Folded {
    /// Nothing folded yet, for `channels` channels.
    pub(super) fn nothing(channels: usize) -> Self {
        Self {
            scale: vec![1.0; channels],
            shift: vec![0.0; channels],
            residual: None,
            activation: Activation::None,
            members: Vec::new(),
        }
    }

    /// Follows the only readers of node `start`, whose output has its channels on `axis`, until one cannot be
    /// folded or is `taken`.
    pub(super) fn after(model: &TypedModel, start: usize, axis: usize, taken: &[bool]) -> TractResult<Self> {
        let channels = model.node(start).outputs[0].fact.shape[axis].to_usize()?;
        let mut folded = Self::nothing(channels);
        folded.follow(model, start, axis, taken)?;
        Ok(folded)
    }

    /// As [`Folded::after`], without a residual sum.
    pub(super) fn after_product(
        model: &TypedModel,
        start: usize,
        axis: usize,
        taken: &[bool],
    ) -> TractResult<Self> {
        let mut folded = Self::after(model, start, axis, taken)?;
        if folded.residual.is_some() {
            // The sum is the first that cannot stay: what is before it is folded again.
            let mut barred = taken.to_vec();
            let sum = folded.members.iter().find(|&&member| {
                let inputs = &model.node(member).inputs;
                inputs.iter().any(|input| Some(*input) == folded.residual)
            });
            sum.into_iter().for_each(|&sum| barred[sum] = true);
            folded = Self::after(model, start, axis, &barred)?;
        }
        Ok(folded)
    }

    /// Folds the only readers of node `last` in turn.
    pub(super) fn follow(
        &mut self,
        model: &TypedModel,
        mut last: usize,
        axis: usize,
        taken: &[bool],
    ) -> TractResult<()> {
        while let Some(next) = only_reader(model, last).filter(|next| !taken[next.node]) {
            if !self.take(model, last.into(), next, axis)? {
                break;
            }
            self.members.push(next.node);
            last = next.node;
        }
        Ok(())
    }

    /// The whole of it as an epilogue, for weights that stay as they are.
    pub(super) fn whole(&self) -> Epilogue {
        let values = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        if self.scale.iter().all(|&scale| scale == 1.0) {
            return self.epilogue(|_| 0.0);
        }
        let (scale, shift) = (values(&self.scale), values(&self.shift));
        Epilogue { bias: Vec::new(), scale, shift, activation: self.activation }
    }

    /// The epilogue that remains where scales are multiplied into the weights. `bias` comes before the scale.
    pub(super) fn epilogue(&self, bias: impl Fn(usize) -> f32) -> Epilogue {
        let channels = self.scale.iter().zip(&self.shift).enumerate();
        let bias: Vec<f32> = channels
            .map(|(channel, (scale, shift))| (f64::from(bias(channel)) * scale + shift) as f32)
            .collect();
        let bias = if bias.iter().all(|&value| value == 0.0) { Vec::new() } else { bias };
        Epilogue::new(bias, self.activation)
    }

    /// Folds the operator at `next`, which reads `last`, if it can be.
    pub(super) fn take(
        &mut self,
        model: &TypedModel,
        last: OutletId,
        next: InletId,
        axis: usize,
    ) -> TractResult<bool> {
        let node = model.node(next.node);
        let from = model.outlet_fact(last)?;
        let [output] = &*node.outputs else { return Ok(false) };
        if output.fact.shape != from.shape || output.fact.datum_type != f32::datum_type() {
            return Ok(false);
        }
        if let Some(op) = node.op_as::<ElementWiseOp>() {
            return Ok(self.unary(op));
        }
        let Some(op) = node.op_as::<TypedBinOp>().filter(|_| node.inputs.len() == 2) else {
            return Ok(false);
        };
        let other = node.inputs[1 - next.slot];
        let fact = model.outlet_fact(other)?;
        let Some(konst) = &fact.konst else {
            let sum = op.0.name() == "Add"
                && fact.shape == from.shape
                && fact.datum_type == f32::datum_type()
                && self.residual.is_none()
                && self.activation == Activation::None;
            if sum {
                self.residual = Some(other);
            }
            return Ok(sum);
        };
        let Some(values) = by_channel(konst, axis, from.shape.rank(), self.scale.len())? else {
            return Ok(false);
        };
        Ok(self.binary(op.0.name(), next.slot == 0, &values))
    }

    fn unary(&mut self, op: &ElementWiseOp) -> bool {
        if self.activation != Activation::None {
            return false;
        }
        if let Some(leaky) = op.0.downcast_ref::<LeakyRelu>() {
            self.activation = Activation::Leaky { slope: leaky.alpha };
            return true;
        }
        self.activation = if op.0.is::<HardSwish>() {
            Activation::HardSwish
        } else if op.0.is::<Silu>() {
            Activation::Silu
        } else {
            return false;
        };
        true
    }

    /// `x op values`, or `values op x`.
    fn binary(&mut self, op: &str, x_first: bool, values: &[f32]) -> bool {
        if matches!(op, "Max" | "Min") {
            let value = values[0];
            if values.iter().any(|&other| other.to_bits() != value.to_bits()) {
                return false;
            }
            let (low, high) = match self.activation {
                Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
                Activation::Clamp { low, high } => (low, high),
                _ => return false,
            };
            self.activation = match op {
                "Max" => Activation::Clamp { low: low.max(value), high: high.max(value) },
                _ => Activation::Clamp { low: low.min(value), high: high.min(value) },
            };
            return true;
        }
        if self.residual.is_some() || self.activation != Activation::None {
            return false;
        }
        let values = values.iter().map(|&value| f64::from(value));
        let channels = self.scale.iter_mut().zip(&mut self.shift).zip(values);
        match (op, x_first) {
            ("Add", _) => channels.for_each(|((_, shift), value)| *shift += value),
            ("Sub", true) => channels.for_each(|((_, shift), value)| *shift -= value),
            ("Sub", false) => channels.for_each(|((scale, shift), value)| {
                *scale = -*scale;
                *shift = value - *shift;
            }),
            ("Mul", _) => channels.for_each(|((scale, shift), value)| {
                *scale *= value;
                *shift *= value;
            }),
            ("Div", true) => channels.for_each(|((scale, shift), value)| {
                *scale /= value;
                *shift /= value;
            }),
            _ => return false,
        }
        true
    }
}

/// The one reader of node `id`, if the world does not read it too.
pub(super) fn only_reader(model: &TypedModel, id: usize) -> Option<InletId> {
    let [output] = &*model.node(id).outputs else { return None };
    let [reader] = *output.successors else { return None };
    let is_output = model.outputs.iter().any(|outlet| outlet.node == id);
    (!is_output).then_some(reader)
}

/// A constant as one value for each of `channels` on `axis`, if it has the same one everywhere else.
fn by_channel(konst: &Tensor, axis: usize, rank: usize, channels: usize) -> TractResult<Option<Vec<f32>>> {
    if konst.datum_type() != f32::datum_type() || konst.rank() != rank {
        return Ok(None);
    }
    let elsewhere = konst.shape().iter().enumerate().any(|(place, &size)| place != axis && size != 1);
    let count = konst.shape().get(axis).copied().unwrap_or(1);
    if elsewhere || (count != 1 && count != channels) {
        return Ok(None);
    }
    let values = konst.try_as_plain_ram()?.as_slice::<f32>()?;
    Ok(Some((0..channels).map(|channel| values[if count == 1 { 0 } else { channel }]).collect()))
}
