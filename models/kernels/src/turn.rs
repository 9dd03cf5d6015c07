//! Turns what was computed with channels side by side into planes, and planes into channels side by side.

use crate::Map;
use crate::epilogue::Activation;
use crate::isa::{MAX_LANES, Vector, load, load_few, store, transpose};
use crate::target::{load_row, store_row};
use std::ops::Range;

/// What is added to outputs that are turned, and what they pass through then.
#[derive(Clone, Copy)]
pub(crate) struct Added<'a> {
    pub(crate) residual: Map<'a>,
    /// The output channel of plane 0.
    pub(crate) channel: usize,
    pub(crate) activation: Activation,
}

/// Transposes outputs into `span` of every `multiple`th plane from number `copy` on.
#[inline(always)]
pub(crate) fn turn_back<V: Vector>(
    v: V,
    sums: &[f32],
    [copy, multiple]: [usize; 2],
    planes: &mut [&mut [f32]],
    span: Range<usize>,
    added: Option<Added<'_>>,
) {
    let lanes = V::F32_LANES;
    for at in span.clone().step_by(lanes) {
        let sums = &sums[(at - span.start) * lanes..][..lanes * lanes];
        let mut block = [v.splat_f32s(0.0); MAX_LANES];
        for (i, value) in block.iter_mut().enumerate() {
            if i < lanes {
                *value = load::<V>(&sums[i * lanes..]);
            }
        }
        let block = transpose(v, block);
        let end = span.end.min(at + lanes);
        for (i, &value) in block.iter().enumerate() {
            if i < lanes && i * multiple < planes.len() {
                let plane = i * multiple + copy;
                let mut value = value;
                if let Some(added) = added {
                    let [residual] = load_row(v, &added.residual.plane(added.channel + plane)[at..end]);
                    value = added.activation.apply_to_sum(v, value, residual);
                }
                store_row(v, &mut planes[plane][at..end], [value]);
            }
        }
    }
}

/// Lays as many planes side by side as a vector has lanes: `to` has room for a whole number of vectors of pixels.
#[inline(always)]
pub(crate) fn side_by_side<V: Vector>(v: V, planes: &[&[f32]; MAX_LANES], to: &mut [f32]) {
    let (lanes, pixels) = (V::F32_LANES, planes[0].len());
    for at in (0..pixels).step_by(lanes) {
        let mut square = [v.splat_f32s(0.0); MAX_LANES];
        for (i, value) in square.iter_mut().enumerate() {
            if i < lanes {
                let plane = &planes[i][at..];
                *value = if plane.len() >= lanes { load::<V>(plane) } else { load_few(v, plane) };
            }
        }
        let square = transpose(v, square);
        for (values, to) in square.into_iter().zip(to[at * lanes..].chunks_exact_mut(lanes).take(lanes)) {
            store::<V>(to, values);
        }
    }
}
