//! What happens to a sum before it is stored: bias, batch norm, residual, activation, in this order.

use crate::isa::{Vector, load, load_few};
use crate::{KernelError, Map};

/// A function applied to every output value last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// The value as it is.
    None,
    /// `min(max(x, low), high)`. ReLU is `low` 0 and `high` infinity, ReLU6 is 0 and 6.
    Clamp {
        /// The least value let through.
        low: f32,
        /// The greatest value let through.
        high: f32,
    },
    /// `x` where it is at least 0, `slope · x` below.
    Leaky {
        /// The factor below 0.
        slope: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
}

impl Activation {
    /// `max(x, 0)`.
    pub const RELU: Activation = Activation::Clamp { low: 0.0, high: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Activation = Activation::Clamp { low: 0.0, high: 6.0 };

    #[inline(always)]
    pub(crate) fn apply<V: Vector>(self, v: V, x: V::f32s) -> V::f32s {
        match self {
            Activation::None => x,
            Activation::Clamp { low, high } => {
                v.min_f32s(v.max_f32s(x, v.splat_f32s(low)), v.splat_f32s(high))
            }
            Activation::Leaky { slope } => {
                let zero = v.splat_f32s(0.0);
                let below = v.mul_f32s(v.min_f32s(x, zero), v.splat_f32s(slope));
                v.add_f32s(v.max_f32s(x, zero), below)
            }
            Activation::HardSwish => {
                let gate = v.fma(x, v.splat_f32s(1.0 / 6.0), v.splat_f32s(0.5));
                let gate = v.min_f32s(v.max_f32s(gate, v.splat_f32s(0.0)), v.splat_f32s(1.0));
                v.mul_f32s(x, gate)
            }
        }
    }
}

/// What is folded into the output loop of an operator. Each list is empty or has one value an output channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Epilogue {
    /// Added to the sum.
    pub bias: Vec<f32>,
    /// Multiplies the sum after the bias (batch norm); goes with `shift`.
    pub scale: Vec<f32>,
    /// Added after `scale`.
    pub shift: Vec<f32>,
    /// Applied last, after the residual.
    pub activation: Activation,
}

impl Epilogue {
    /// Nothing: the sums as they are.
    pub fn none() -> Epilogue {
        Epilogue { bias: Vec::new(), scale: Vec::new(), shift: Vec::new(), activation: Activation::None }
    }

    /// A bias and an activation.
    pub fn new(bias: Vec<f32>, activation: Activation) -> Epilogue {
        Epilogue { bias, scale: Vec::new(), shift: Vec::new(), activation }
    }

    /// Fails unless every list is empty or `channels` long, and `scale` and `shift` are equally long.
    pub(crate) fn check(&self, channels: usize) -> Result<(), KernelError> {
        for (what, list) in [("bias", &self.bias), ("scale", &self.scale), ("shift", &self.shift)] {
            if !list.is_empty() && list.len() != channels {
                return Err(KernelError::Length { what, expected: channels, found: list.len() });
            }
        }
        if self.scale.len() != self.shift.len() {
            return Err(KernelError::Length {
                what: "shift",
                expected: self.scale.len(),
                found: self.shift.len(),
            });
        }
        Ok(())
    }

    /// The values of one output channel.
    #[inline(always)]
    pub(crate) fn channel(&self, channel: usize) -> ChannelEpilogue {
        ChannelEpilogue {
            bias: self.bias.get(channel).copied(),
            scale: self.scale.get(channel).copied().zip(self.shift.get(channel).copied()),
            activation: self.activation,
        }
    }
}

/// The epilogue of one output channel.
#[derive(Clone, Copy)]
pub(crate) struct ChannelEpilogue {
    bias: Option<f32>,
    scale: Option<(f32, f32)>,
    activation: Activation,
}

impl ChannelEpilogue {
    #[inline(always)]
    pub(crate) fn apply<V: Vector>(self, v: V, sum: V::f32s, residual: Option<V::f32s>) -> V::f32s {
        let mut x = sum;
        if let Some(bias) = self.bias {
            x = v.add_f32s(x, v.splat_f32s(bias));
        }
        if let Some((scale, shift)) = self.scale {
            x = v.fma(x, v.splat_f32s(scale), v.splat_f32s(shift));
        }
        if let Some(residual) = residual {
            x = v.add_f32s(x, residual);
        }
        self.activation.apply(v, x)
    }

    /// Applies to `sums` and writes `to`; `residual`, where there is one, is as long as both.
    #[inline(always)]
    pub(crate) fn apply_row<V: Vector>(self, v: V, sums: &[f32], residual: Option<&[f32]>, to: &mut [f32]) {
        let whole = to.len() / V::F32_LANES * V::F32_LANES;
        for at in (0..whole).step_by(V::F32_LANES) {
            let sum = load::<V>(&sums[at..]);
            let residual = residual.map(|r| load::<V>(&r[at..]));
            crate::isa::store::<V>(&mut to[at..], self.apply(v, sum, residual));
        }
        if whole < to.len() {
            let sum = load_few(v, &sums[whole..to.len()]);
            let residual = residual.map(|r| load_few(v, &r[whole..to.len()]));
            crate::isa::store_few(v, &mut to[whole..], self.apply(v, sum, residual));
        }
    }
}

/// The residual of one channel, as long as the output plane.
#[inline(always)]
pub(crate) fn residual_plane<'a>(residual: &Option<Map<'a>>, channel: usize) -> Option<&'a [f32]> {
    residual.map(|map| map.plane(channel))
}
