//! What happens to a sum before it is stored: bias, batch norm, residual, activation, in this order.

use crate::exponential::sigmoid;
use crate::isa::{MAX_LANES, Vector, load, load_few};
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
    /// `x / (1 + exp(−x))`, also called swish.
    Silu,
}

impl Activation {
    /// `max(x, 0)`.
    pub const RELU: Activation = Activation::Clamp { low: 0.0, high: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Activation = Activation::Clamp { low: 0.0, high: 6.0 };

    #[inline(always)]
    fn apply<V: Vector, const N: usize>(self, v: V, mut row: [V::f32s; N]) -> [V::f32s; N] {
        match self {
            Activation::None => {}
            Activation::Clamp { low, high } => {
                let (low, high) = (v.splat_f32s(low), v.splat_f32s(high));
                for x in &mut row {
                    *x = v.min_f32s(v.max_f32s(*x, low), high);
                }
            }
            Activation::Leaky { slope } => {
                let (zero, slope) = (v.splat_f32s(0.0), v.splat_f32s(slope));
                for x in &mut row {
                    let below = v.mul_f32s(v.min_f32s(*x, zero), slope);
                    *x = v.add_f32s(v.max_f32s(*x, zero), below);
                }
            }
            Activation::Silu => {
                for x in &mut row {
                    *x = v.mul_f32s(*x, sigmoid(v, *x));
                }
            }
            Activation::HardSwish => {
                let (sixth, half) = (v.splat_f32s(1.0 / 6.0), v.splat_f32s(0.5));
                let (zero, one) = (v.splat_f32s(0.0), v.splat_f32s(1.0));
                for x in &mut row {
                    let gate = v.fma(*x, sixth, half);
                    *x = v.mul_f32s(*x, v.min_f32s(v.max_f32s(gate, zero), one));
                }
            }
        }
        row
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

    /// The values of `count` output channels, `step` apart, one in each of the first lanes.
    #[inline(always)]
    pub(crate) fn lanes<V: Vector>(&self, v: V, first: usize, step: usize, count: usize) -> LaneEpilogue<V> {
        let bias = match self.bias.is_empty() {
            true => None,
            false => Some(every::<V>(v, &self.bias[first..], step, count)),
        };
        let scale = match self.scale.is_empty() {
            true => None,
            false => Some((
                every::<V>(v, &self.scale[first..], step, count),
                every::<V>(v, &self.shift[first..], step, count),
            )),
        };
        LaneEpilogue { bias, scale, activation: self.activation }
    }
}

/// `count` values that lie `step` apart.
#[inline(always)]
fn every<V: Vector>(v: V, values: &[f32], step: usize, count: usize) -> V::f32s {
    let mut lanes = [0.0; MAX_LANES];
    lanes[..count].iter_mut().zip(values.iter().step_by(step)).for_each(|(lane, value)| *lane = *value);
    load_few(v, &lanes[..V::F32_LANES])
}

/// The epilogue of one output channel.
#[derive(Clone, Copy)]
pub(crate) struct ChannelEpilogue {
    bias: Option<f32>,
    scale: Option<(f32, f32)>,
    activation: Activation,
}

/// The epilogue of as many output channels as a vector has lanes, or of one in all lanes.
#[derive(Clone, Copy)]
pub(crate) struct LaneEpilogue<V: Vector> {
    bias: Option<V::f32s>,
    scale: Option<(V::f32s, V::f32s)>,
    activation: Activation,
}

impl<V: Vector> LaneEpilogue<V> {
    /// Nothing: the sums as they are.
    pub(crate) fn none() -> Self {
        LaneEpilogue { bias: None, scale: None, activation: Activation::None }
    }

    /// What comes before a residual.
    pub(crate) fn before_residual(self) -> Self {
        LaneEpilogue { activation: Activation::None, ..self }
    }

    #[inline(always)]
    pub(crate) fn apply<const N: usize>(
        self,
        v: V,
        sums: [V::f32s; N],
        residual: Option<[V::f32s; N]>,
    ) -> [V::f32s; N] {
        let mut x = sums;
        if let Some(bias) = self.bias {
            for x in &mut x {
                *x = v.add_f32s(*x, bias);
            }
        }
        if let Some((scale, shift)) = self.scale {
            for x in &mut x {
                *x = v.fma(*x, scale, shift);
            }
        }
        if let Some(residual) = residual {
            for (x, residual) in x.iter_mut().zip(residual) {
                *x = v.add_f32s(*x, residual);
            }
        }
        self.activation.apply(v, x)
    }

    /// Applies to the pixels of a block and writes `to`; `residual`, where there is one, is as long as both.
    #[inline(always)]
    #[allow(clippy::manual_map)]
    pub(crate) fn apply_pixels(self, v: V, sums: &[f32], residual: Option<&[f32]>, to: &mut [f32]) {
        for (at, to) in (0..).step_by(V::F32_LANES).zip(to.chunks_exact_mut(V::F32_LANES)) {
            // No `map`: a closure is not always compiled for the instruction set.
            let residual = match residual {
                Some(residual) => Some([load::<V>(&residual[at..])]),
                None => None,
            };
            let [value] = self.apply(v, [load::<V>(&sums[at..])], residual);
            crate::isa::store::<V>(to, value);
        }
    }
}

impl Activation {
    /// What is left of an epilogue from the residual on.
    #[inline(always)]
    pub(crate) fn apply_to_sum<V: Vector>(self, v: V, x: V::f32s, residual: V::f32s) -> V::f32s {
        let [value] = self.apply(v, [v.add_f32s(x, residual)]);
        value
    }
}

impl ChannelEpilogue {
    /// Applies to some vectors at once: what the channel lacks is asked once for all of them.
    #[inline(always)]
    #[allow(clippy::manual_map)]
    pub(crate) fn apply<V: Vector, const N: usize>(
        self,
        v: V,
        sums: [V::f32s; N],
        residual: Option<[V::f32s; N]>,
    ) -> [V::f32s; N] {
        // No `map`: a closure is not always compiled for the instruction set.
        let bias = match self.bias {
            Some(bias) => Some(v.splat_f32s(bias)),
            None => None,
        };
        let scale = match self.scale {
            Some((scale, shift)) => Some((v.splat_f32s(scale), v.splat_f32s(shift))),
            None => None,
        };
        LaneEpilogue { bias, scale, activation: self.activation }.apply(v, sums, residual)
    }

    /// Applies to `sums` and writes `to`; `residual`, where there is one, is as long as both.
    #[inline(always)]
    #[allow(clippy::manual_map)]
    pub(crate) fn apply_row<V: Vector>(self, v: V, sums: &[f32], residual: Option<&[f32]>, to: &mut [f32]) {
        let whole = to.len() / V::F32_LANES * V::F32_LANES;
        for at in (0..whole).step_by(V::F32_LANES) {
            let sum = load::<V>(&sums[at..]);
            // No `map`: a closure is not always compiled for the instruction set.
            let residual = match residual {
                Some(residual) => Some([load::<V>(&residual[at..])]),
                None => None,
            };
            let [value] = self.apply(v, [sum], residual);
            crate::isa::store::<V>(&mut to[at..], value);
        }
        if whole < to.len() {
            let sum = load_few(v, &sums[whole..to.len()]);
            let residual = match residual {
                Some(residual) => Some([load_few(v, &residual[whole..to.len()])]),
                None => None,
            };
            let [value] = self.apply(v, [sum], residual);
            crate::isa::store_few(v, &mut to[whole..], value);
        }
    }
}

/// The residual of one channel, as long as the output plane.
#[inline(always)]
pub(crate) fn residual_plane<'a>(residual: &Option<Map<'a>>, channel: usize) -> Option<&'a [f32]> {
    residual.map(|map| map.plane(channel))
}
