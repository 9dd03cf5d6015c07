//! Turns what was computed with channels side by side into planes.

use crate::Map;
use crate::epilogue::Epilogue;
use crate::isa::{MAX_LANES, Vector, load, transpose};
use crate::target::{load_row, store_row};
use std::ops::Range;

/// Transposes outputs into `span` of every `multiple`th plane from number `copy` on.
#[inline(always)]
pub(crate) fn turn_back<V: Vector>(
    v: V,
    sums: &[f32],
    [copy, multiple]: [usize; 2],
    planes: &mut [&mut [f32]],
    span: Range<usize>,
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
                store_row(v, &mut planes[i * multiple + copy][at..end], [value]);
            }
        }
    }
}

/// Adds `span` of a residual's plane to the sums of output channel `channel`, and applies the epilogue to them.
#[inline(always)]
pub(crate) fn add_residual<V: Vector>(
    v: V,
    epilogue: &Epilogue,
    residual: Map<'_>,
    channel: usize,
    plane: &mut [f32],
    span: Range<usize>,
) {
    let added = residual.plane(channel)[span.clone()].chunks(V::F32_LANES);
    let epilogue = epilogue.channel(channel);
    for (to, added) in plane[span].chunks_mut(V::F32_LANES).zip(added) {
        let sums = load_row(v, to);
        store_row(v, to, epilogue.apply::<V, 1>(v, sums, Some(load_row(v, added))));
    }
}
