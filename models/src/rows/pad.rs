//! Padding along the divided axis: constant, mirrored or with the edge's values.

use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Gather, Pad, PadMode};

use super::resample::fit;
use super::{ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// A pad that adds rows.
#[derive(Debug)]
struct Padded {
    op: Pad,
    axis: usize,
    input_rows: usize,
}

/// Knows pads that add rows; [`super::elementwise`] knows the others.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<Pad>()?;
    let (_, feed) = node.only_feed()?;
    let axis = feed.along.axis()?;
    if op.pads[axis] == (0, 0) {
        return None;
    }
    let by = Padded { op: op.clone(), axis, input_rows: feed.shape[axis] };
    let taps: Vec<Option<(usize, usize)>> = (0..node.shape[axis])
        .map(|row| source(op, axis, feed.shape[axis], row).map(|source| (source, source)))
        .collect();
    Some(Split {
        along: feed.along,
        needs: node.needs(fit(feed.shape[axis], &taps)),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(by),
    })
}

/// The input index that output index `at` along `axis` copies, if it copies one of the `size` there are.
pub(crate) fn source(op: &Pad, axis: usize, size: usize, at: usize) -> Option<usize> {
    let (before, _) = op.pads[axis];
    let last = size - 1;
    if (before..before + size).contains(&at) {
        return Some(at - before);
    }
    match op.mode {
        PadMode::Constant(_) => None,
        PadMode::Edge => Some(if at < before { 0 } else { last }),
        PadMode::Reflect if at < before => Some(before - at),
        PadMode::Reflect => Some((2 * last + before).saturating_sub(at)),
    }
}

/// What a pad puts where nothing is copied; none if that is no 32-bit float.
pub(crate) fn outside(op: &Pad) -> TractResult<Option<f32>> {
    match &op.mode {
        PadMode::Constant(value) if value.datum_type() == f32::datum_type() => {
            Ok(Some(*value.try_as_plain_ram()?.to_scalar::<f32>()?))
        }
        PadMode::Constant(_) => Ok(None),
        PadMode::Edge | PadMode::Reflect => Ok(Some(0.0)),
    }
}

impl ByRows for Padded {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let Some(Part::Held { wire, rows }) = parts.first() else { bail!("a pad has one feed") };
        let mut op = self.op.clone();
        let nominal = op.pads[self.axis].0 as u32;
        if let PadMode::Constant(_) = op.mode {
            let placed = Rows::new(rows.start + nominal, rows.end + nominal);
            let before = placed.start.saturating_sub(out.start);
            let after = out.end.saturating_sub(placed.end);
            op.pads[self.axis] = (before as usize, after as usize);
            let made = Rows::new(placed.start - before, placed.end + after);
            return Ok((wiring.op(Box::new(op), &[*wire])?, made));
        }
        let sources: Vec<i64> = (out.start..out.end)
            .filter_map(|row| source(&self.op, self.axis, self.input_rows, row as usize))
            .map(|source| source as i64 - i64::from(rows.start))
            .collect();
        let indices = wiring.konst(&tensor1(&sources).into_arc_tensor())?;
        let gathered = wiring.op(Box::new(Gather::new(self.axis)), &[*wire, indices])?;
        op.pads[self.axis] = (0, 0);
        Ok((wiring.op(Box::new(op), &[gathered])?, out))
    }
}
