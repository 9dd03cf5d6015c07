//! Operators that choose or join rows: concatenation, slices, strides and broadcasts.

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{MultiBroadcastTo, Slice, TypedConcat};
use tract_onnx::tract_core::ops::downsample::Downsample;
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;

use super::{Along, ByRows, Feed, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Knows concatenation, and slices, strides, repeats and broadcasts along the divided axis.
pub(super) fn split(node: &Node) -> Option<Split> {
    if let Some(concat) = node.op.downcast_ref::<TypedConcat>() {
        return concatenation(node, concat.axis);
    }
    let (_, feed) = node.only_feed()?;
    let axis = feed.along.axis()?;
    let chosen = |map: RowMap, by: Chosen| {
        Some(Split {
            along: feed.along,
            needs: node.needs(map),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(by),
        })
    };
    if let Some(slice) = node.op.downcast_ref::<Slice>() {
        let start = slice.start.to_usize().ok()? as i32;
        return match slice.axis == axis {
            true => chosen(RowMap { lo: start, hi: start, ..RowMap::SAME }, Chosen::Slice),
            false => None,
        };
    }
    if let Some(down) = node.op.downcast_ref::<Downsample>() {
        let stride = u32::try_from(down.stride).ok()?;
        let first = down.modulo as i32;
        let map = RowMap { num: stride, den: 1, lo: first, hi: first };
        return match down.axis == axis {
            true => chosen(map, Chosen::Stride(Downsample { modulo: 0, ..down.clone() })),
            false => None,
        };
    }
    if let Some(up) = node.op.downcast_ref::<NearestUpsample>() {
        let scale = up.scales[axis];
        let map = RowMap { num: 1, den: scale as u32, lo: 0, hi: 0 };
        return chosen(map, Chosen::Repeat(up.clone(), scale));
    }
    let broadcast = node.op.downcast_ref::<MultiBroadcastTo>()?;
    broadcast_rows(node, broadcast, feed)
}

/// Rows chosen from one feed.
#[derive(Debug)]
enum Chosen {
    /// Exactly the rows needed.
    Slice,
    /// Every so many.
    Stride(Downsample),
    /// Each so many times.
    Repeat(NearestUpsample, usize),
}

impl ByRows for Chosen {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let Some(Part::Held { wire, rows }) = parts.first() else { bail!("rows are chosen from one feed") };
        Ok(match self {
            Self::Slice => (*wire, out),
            Self::Stride(op) => (wiring.op(Box::new(op.clone()), &[*wire])?, out),
            Self::Repeat(op, scale) => {
                let made = Rows::new(rows.start * *scale as u32, rows.end * *scale as u32);
                (wiring.op(Box::new(op.clone()), &[*wire])?, made)
            }
        })
    }
}

/// A broadcast to a stated shape.
#[derive(Debug)]
struct Broadcast {
    shape: Vec<usize>,
    axis: usize,
}

fn broadcast_rows(node: &Node, op: &MultiBroadcastTo, feed: &Feed) -> Option<Split> {
    let shape: Vec<usize> = op.shape.as_concrete()?.to_vec();
    // Missing axes are added in front.
    let axis = feed.along.axis()? + shape.len().checked_sub(feed.shape.len())?;
    let needs = if feed.rows() == shape[axis] { RowMap::SAME } else { feed.whole() };
    Some(Split {
        along: feed.along.on(axis),
        needs: node.needs(needs),
        weight: Weight::Heavy,
        obstacle: None,
        by: Arc::new(Broadcast { shape, axis }),
    })
}

impl ByRows for Broadcast {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let feeds = wiring.parts(parts)?;
        let mut shape = self.shape.clone();
        shape[self.axis] = out.len() as usize;
        let shape = ShapeFact::from_dims(shape.iter().map(|size| size.to_dim()));
        Ok((wiring.op(Box::new(MultiBroadcastTo { shape }), &feeds[..1])?, out))
    }
}

/// A concatenation.
#[derive(Debug)]
struct Joined {
    axis: usize,
    along: usize,
    /// Where each feed begins, if it is joined along the divided axis.
    offsets: Vec<(u32, u32)>,
}

fn concatenation(node: &Node, axis: usize) -> Option<Split> {
    let feeds = || node.feeds.iter().filter(|feed| feed.konst.is_none() && feed.along.axis().is_some());
    let main = feeds().find(|feed| matches!(feed.along, Along::Rows(_))).or_else(|| feeds().next())?;
    let along = main.along.axis()?;
    let mut start = 0;
    let (mut needs, mut offsets) = (Vec::new(), Vec::new());
    for feed in &node.feeds {
        let size = feed.shape[along] as u32;
        let tracked = feed.along.axis() == Some(along);
        let shift = -(start as i32);
        needs.push(match (axis == along, tracked) {
            (false, true) => RowMap::SAME,
            (true, true) => RowMap { lo: shift, hi: shift, ..RowMap::SAME },
            (_, false) => feed.whole(),
        });
        offsets.push((start, size));
        if axis == along {
            start += size;
        }
    }
    let by = Arc::new(Joined { axis, along, offsets });
    Some(Split { along: main.along, needs, weight: Weight::Heavy, obstacle: None, by })
}

impl ByRows for Joined {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let mut feeds = TVec::new();
        for (part, &(start, size)) in parts.iter().zip(&self.offsets) {
            let wanted = match self.axis == self.along {
                true => Rows::new(out.start.max(start) - start, out.end.clamp(start, start + size) - start),
                false => out,
            };
            if wanted.is_empty() {
                continue;
            }
            feeds.push(match part {
                Part::Konst(tensor) => wiring.konst_part(tensor, self.along, wanted, size as usize)?,
                Part::Held { wire, .. } => wiring.narrow(*wire, self.along, wanted)?,
            });
        }
        if let [one] = *feeds {
            return Ok((one, out));
        }
        Ok((wiring.op(Box::new(TypedConcat::new(self.axis)), &feeds)?, out))
    }
}
