//! Resizing by interpolation, as an operator of our own: its taps are worked out once, from the whole map.
//!
//! The engine's operator derives coordinates from the size of what it is given, so it cannot resize a part.
//! This one carries the taps of every output row, and a strip takes those of its rows. Taps and sums are the
//! engine's own (`tract_core::ops::nn::resize`), in the same order.

use std::hash::{Hash, Hasher};

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::resize::{
    AxisPlan, CoordTransformer, Interpolator, Resize, cubic_weights, linear_weights, plan_axis,
    resample_axis, window_size,
};
use tract_onnx_opl::resize as onnx;

use super::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Resizes along some axes, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resample {
    axes: Vec<(usize, Taps)>,
    /// Bits of the value of what lies outside the map.
    outside: u32,
}

/// Which input values each output index along one axis reads, and how much of each.
#[derive(Clone, Debug)]
pub(crate) struct Taps(Arc<AxisPlan>);

impl PartialEq for Taps {
    fn eq(&self, other: &Self) -> bool {
        let bits = |taps: &Self| taps.0.weights.iter().map(|weight| weight.to_bits()).collect::<Vec<_>>();
        self.0.window == other.0.window
            && self.0.indices == other.0.indices
            && self.0.extrapolated == other.0.extrapolated
            && bits(self) == bits(other)
    }
}

impl Eq for Taps {}

impl Hash for Taps {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.window, &self.0.indices, &self.0.extrapolated).hash(state);
    }
}

impl Resample {
    /// How it resizes along an axis, if it does.
    pub(crate) fn along(&self, axis: usize) -> Option<&Taps> {
        self.axes.iter().find(|(other, _)| *other == axis).map(|(_, taps)| taps)
    }
}

impl Taps {
    /// The same for our kernel, unless some indices lie outside the map.
    pub(crate) fn kernel(&self) -> Option<collab_kernels::Taps> {
        let AxisPlan { window, indices, weights, extrapolated } = &*self.0;
        let sources = indices.iter().map(|&index| index as u32).collect();
        let inside = !extrapolated.contains(&true);
        inside.then(|| collab_kernels::Taps::blends(*window, sources, weights.clone()))
    }

    fn len(&self) -> usize {
        self.0.extrapolated.len()
    }

    /// First and last input index that output index `row` reads with a weight, if any.
    fn reach(&self, row: usize) -> Option<(usize, usize)> {
        if self.0.extrapolated[row] {
            return None;
        }
        let window = row * self.0.window..(row + 1) * self.0.window;
        let taps = || {
            let pairs = self.0.indices[window.clone()].iter().zip(&self.0.weights[window.clone()]);
            pairs.filter(|(_, weight)| **weight != 0.0).map(|(&index, _)| index)
        };
        Some((taps().min()?, taps().max()?))
    }

    /// The taps of output indices `out`, into the input indices `held`.
    fn part(&self, out: Rows, held: Rows) -> Self {
        let (window, start) = (self.0.window, held.start as usize);
        let rows = out.start as usize..out.end as usize;
        let taps = rows.start * window..rows.end * window;
        let shift = |&index: &usize| index.saturating_sub(start).min(held.len() as usize - 1);
        Self(Arc::new(AxisPlan {
            window,
            indices: self.0.indices[taps.clone()].iter().map(shift).collect(),
            weights: self.0.weights[taps].to_vec(),
            extrapolated: self.0.extrapolated[rows].to_vec(),
        }))
    }
}

impl Op for Resample {
    fn name(&self) -> StaticName {
        "Resize".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(self.axes.iter().map(|(axis, taps)| format!("axis {axis} to {}", taps.len())).collect())
    }

    op_as_typed_op!();
}

impl EvalOp for Resample {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut tensor = inputs.remove(0).into_tensor();
        for (axis, taps) in &self.axes {
            let mut shape: TVec<usize> = tensor.shape().into();
            shape[*axis] = taps.len();
            let mut resized = Tensor::zero::<f32>(&shape)?;
            resample_axis(
                tensor.try_as_plain_ram()?.as_slice::<f32>()?,
                tensor.shape(),
                *axis,
                &taps.0,
                f32::from_bits(self.outside),
                resized.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?,
            );
            tensor = resized;
        }
        Ok(tvec!(tensor.into_tvalue()))
    }
}

impl TypedOp for Resample {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        for (axis, taps) in &self.axes {
            shape[*axis] = taps.len().to_dim();
        }
        Ok(tvec!(f32::fact(shape)))
    }

    as_op!();
}

/// Replaces the engine's operators.
pub(crate) fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let Some(op) = resampled(model, id)? else { continue };
        let data = model.node(id).inputs[0];
        for (slot, outlet) in model.node(id).inputs.clone().into_iter().enumerate().skip(1) {
            let inlet = InletId::new(id, slot);
            model.node_mut(outlet.node).outputs[outlet.slot].successors.retain(|succ| *succ != inlet);
        }
        let node = model.node_mut(id);
        node.inputs = vec![data];
        node.op = Box::new(op);
    }
    Ok(())
}

/// What node `id` becomes, if it resizes by constants.
fn resampled(model: &TypedModel, id: usize) -> TractResult<Option<Resample>> {
    let node = model.node(id);
    let facts = model.node_input_facts(id)?;
    let (Some(from), Some(to)) =
        (facts.first().and_then(|fact| fact.shape.as_concrete()), node.outputs[0].fact.shape.as_concrete())
    else {
        return Ok(None);
    };
    if facts[0].datum_type != f32::datum_type() {
        return Ok(None);
    }
    let konst = |input: Option<usize>| {
        input.and_then(|input| facts.get(input)).and_then(|fact| fact.konst.clone()).filter(|k| k.len() > 0)
    };
    if let Some(op) = node.op_as::<Resize>() {
        let scales = scales(konst(op.optional_scales_input), &all_axes(from.len()), from, to)?;
        let sizes = from.iter().zip(to).zip(scales).enumerate();
        let axes = sizes
            .filter(|&(_, ((from, to), scale))| from != to || scale != 1.0)
            .map(|(axis, ((&from, &to), scale))| (axis, Taps(Arc::new(op.plan_axis(scale, from, to)))));
        return Ok(Some(Resample { axes: axes.collect(), outside: 0 }));
    }
    let Some(op) = node.op_as::<onnx::Resize>() else { return Ok(None) };
    let onnx::CoordTransform::Plain(coordinates) = &op.coord_transformer else { return Ok(None) };
    if op.keep_aspect_ratio_policy != onnx::AspectRatio::Stretch {
        return Ok(None);
    }
    let resized = op.resized_axes(from.len())?;
    let scales = scales(konst(op.optional_scales_input), &resized, from, to)?;
    let sizes = from.iter().zip(to).zip(scales).enumerate();
    let axes = sizes
        .filter(|&(_, ((from, to), scale))| from != to || scale != 1.0)
        .map(|(axis, ((&from, &to), scale))| (axis, onnx_taps(op, coordinates, scale, from, to)));
    Ok(Some(Resample { axes: axes.collect(), outside: op.extrapolation_value_bits }))
}

fn all_axes(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// The scale of every axis: as stated for `axes`, or what the sizes amount to.
fn scales(
    stated: Option<Arc<Tensor>>,
    axes: &[usize],
    from: &[usize],
    to: &[usize],
) -> TractResult<Vec<f32>> {
    let Some(stated) = stated.filter(|stated| stated.len() == axes.len()) else {
        return Ok(from.iter().zip(to).map(|(&from, &to)| to as f32 / from as f32).collect());
    };
    let stated = stated.cast_to::<f32>()?;
    let mut scales = vec![1.0; from.len()];
    for (&axis, &scale) in axes.iter().zip(stated.try_as_plain_ram()?.as_slice::<f32>()?) {
        scales[axis] = scale;
    }
    Ok(scales)
}

/// The taps of ONNX's own modes, as `tract_onnx_opl::resize::Resize` works them out.
fn onnx_taps(op: &onnx::Resize, coordinates: &CoordTransformer, scale: f32, from: usize, to: usize) -> Taps {
    let window = window_size(&op.interpolator, op.antialias, scale);
    let place = |index| Some(coordinates.transform(index, scale, from, to));
    let weigh = |ratio: f32, weights: &mut [f32]| match op.interpolator {
        Interpolator::Linear => linear_weights(ratio, scale, op.antialias, weights),
        Interpolator::Cubic => cubic_weights(ratio, scale, op.cubic_coeff_a(), op.antialias, weights),
        Interpolator::Nearest => {
            let right = ratio == 1.0
                || match op.nearest {
                    onnx::Nearest::Floor => false,
                    onnx::Nearest::Ceil => true,
                    onnx::Nearest::RoundPreferFloor => ratio > 0.5,
                    onnx::Nearest::RoundPreferCeil => ratio >= 0.5,
                };
            weights[0] = f32::from(u8::from(!right));
            weights[1] = f32::from(u8::from(right));
        }
    };
    Taps(Arc::new(plan_axis(from, to, window, op.exclude_outside, place, weigh)))
}

/// Knows [`Resample`], which [`rewrite`] has put in place of the engine's operators.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<Resample>()?;
    let (_, feed) = node.only_feed()?;
    let tracked = match feed.along {
        Along::Rows(axis) => Some(axis),
        _ => None,
    };
    let axis = tracked.or(op.axes.first().map(|(axis, _)| *axis))?;
    let taps = op.along(axis);
    let map = match (tracked, taps) {
        (None, _) => feed.whole(),
        (Some(_), None) => RowMap::SAME,
        (Some(_), Some(taps)) => {
            let reaches: Vec<_> = (0..taps.len()).map(|row| taps.reach(row)).collect();
            fit(feed.shape[axis], &reaches)
        }
    };
    let by = ResampledRows { op: op.clone(), axis, input_rows: feed.shape[axis], tracked: tracked.is_some() };
    Some(Split {
        along: Along::Rows(axis),
        needs: node.needs(map),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(by),
    })
}

/// A [`Resample`] divided along one of its axes.
#[derive(Debug)]
struct ResampledRows {
    op: Resample,
    axis: usize,
    input_rows: usize,
    tracked: bool,
}

impl ByRows for ResampledRows {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let Some(Part::Held { wire, rows }) = parts.first() else { bail!("a resize has one feed") };
        let held = if self.tracked { *rows } else { Rows::all(self.input_rows as u32) };
        let mut op = self.op.clone();
        for (axis, taps) in &mut op.axes {
            if *axis == self.axis {
                *taps = taps.part(out, held);
            }
        }
        Ok((wiring.op(Box::new(op), &[*wire])?, out))
    }
}

/// The affine map that holds all of `reaches` (first and last input row for each output row) most tightly.
///
/// `first` must be at most `reach.0` and `last` at least `reach.1` for every row, which bounds the offsets
/// once the slope is chosen. Tried are the ratio of the sizes and that of the distances between first and
/// last row (aligned corners).
pub(crate) fn fit(input_rows: usize, reaches: &[Option<(usize, usize)>]) -> RowMap {
    let slopes = [(input_rows, reaches.len()), (input_rows - 1, reaches.len().saturating_sub(1)), (1, 1)];
    let fitted = slopes.into_iter().filter(|&(_, den)| den > 0).map(|(num, den)| {
        let (num, den) = reduced(num as i64, den as i64);
        let rows = || reaches.iter().enumerate().filter_map(|(row, reach)| Some((row as i64, (*reach)?)));
        let lo = rows().map(|(row, reach)| (reach.0 as i64 + 1) * den - 1 - row * num).min().unwrap_or(0);
        let hi = rows().map(|(row, reach)| reach.1 as i64 * den - row * num).max().unwrap_or(0);
        let map = RowMap { num: num as u32, den: den as u32, lo: lo as i32, hi: hi as i32 };
        ((hi - lo) as f64 / den as f64, map)
    });
    let best = fitted.min_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map_or(RowMap::whole(input_rows as u32), |(_, map)| map)
}

fn reduced(num: i64, den: i64) -> (i64, i64) {
    let (mut a, mut b) = (num, den);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (num / a.max(1), den / a.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_fitted_map_holds_every_tap_and_little_more(
            input in 1usize..40, output in 1usize..80, spread in 0usize..3,
        ) {
            let reach = |row: usize| {
                let centre = row * input / output;
                Some((centre.saturating_sub(spread), (centre + spread).min(input - 1)))
            };
            let reaches: Vec<_> = (0..output).map(reach).collect();
            let map = fit(input, &reaches);
            for (row, reach) in reaches.iter().enumerate() {
                let row = row as u32;
                let need = map.need(Rows::new(row, row + 1), input as u32);
                let (first, last) = reach.expect("every row has taps");
                prop_assert!(need.start as usize <= first && last < need.end as usize);
                prop_assert!(need.len() as usize <= 2 * spread + 3);
            }
        }
    }
}
