//! Operators that only rename axes: added, removed, moved, split and merged ones.

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;

use super::{Along, ByRows, Feed, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// What becomes of the divided axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is there, on this axis.
    Kept(usize),
    /// `.1` of its rows became one, on axis `.0`.
    Grouped(usize, usize),
    /// Each of its rows became `.1`, on axis `.0`.
    Spread(usize, usize),
}

/// An axis operator and what it does to the divided axis.
#[derive(Debug)]
struct Renamed {
    op: AxisOp,
    fate: Fate,
}

/// Knows all axis operators; one that dissolves the divided axis needs everything.
pub(super) fn split(node: &Node) -> Option<Split> {
    let op = node.op.downcast_ref::<AxisOp>()?;
    let (_, feed) = node.only_feed()?;
    let by = |fate| Arc::new(Renamed { op: op.clone(), fate });
    let Some(fate) = feed.along.axis().and_then(|axis| fate(op, feed, axis)) else {
        return Some(Split {
            along: Along::Nothing,
            needs: node.needs(feed.whole()),
            weight: Weight::Move,
            obstacle: None,
            by: by(Fate::Kept(usize::MAX)),
        });
    };
    let (to, map) = match fate {
        Fate::Kept(to) => (to, RowMap::SAME),
        Fate::Grouped(to, size) => (to, RowMap { num: size as u32, den: 1, lo: 0, hi: size as i32 - 1 }),
        Fate::Spread(to, size) => (to, RowMap { num: 1, den: size as u32, lo: 0, hi: 0 }),
    };
    Some(Split {
        along: feed.along.on(to),
        needs: node.needs(map),
        weight: Weight::Move,
        obstacle: None,
        by: by(fate),
    })
}

fn fate(op: &AxisOp, feed: &Feed, axis: usize) -> Option<Fate> {
    let AxisOp::Reshape(at, from, to) = op else {
        return op.transform_axis(axis).map(Fate::Kept);
    };
    if !(*at..at + from.len()).contains(&axis) {
        return op.transform_axis(axis).map(Fate::Kept);
    }
    let from: Vec<usize> = from.iter().map(|dim| dim.to_usize().ok()).collect::<Option<_>>()?;
    let to: Vec<usize> = to.iter().map(|dim| dim.to_usize().ok()).collect::<Option<_>>()?;
    let rows = feed.shape[axis];
    let before: usize = from[..axis - at].iter().product();
    let starts = |index: &usize| to[..*index].iter().product::<usize>() == before;
    let mut places = (0..to.len()).filter(starts);
    // Axes of size one begin where their neighbour begins: the one with the right size is meant.
    if let Some(place) = places.clone().find(|&place| to[place] == rows) {
        return Some(Fate::Kept(at + place));
    }
    let place = places.find(|&place| to[place] > 1)?;
    let size = to[place];
    if size < rows && rows.is_multiple_of(size) {
        return Some(Fate::Grouped(at + place, rows / size));
    }
    let mut merged = rows;
    for dim in &from[axis - at + 1..] {
        if merged >= size {
            break;
        }
        merged *= dim;
    }
    (merged == size && rows > 1).then(|| Fate::Spread(at + place, size / rows))
}

impl ByRows for Renamed {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let [Part::Held { wire, rows: held }] = parts else { bail!("an axis operator has one feed") };
        let (axis, made) = match self.fate {
            Fate::Kept(axis) => (axis, out),
            Fate::Grouped(axis, size) => (axis, divide(*held, size)),
            Fate::Spread(axis, size) => (axis, multiply(*held, size)),
        };
        let op = match &self.op {
            AxisOp::Reshape(at, from, to) if *at <= axis && axis < at + to.len() => {
                let mut from = from.clone();
                let mut to = to.clone();
                let shape = wiring.shape(*wire)?;
                for (dim, size) in from.iter_mut().zip(&shape[*at..]) {
                    *dim = size.to_dim();
                }
                to[axis - at] = (made.len() as usize).to_dim();
                AxisOp::Reshape(*at, from, to)
            }
            op => op.clone(),
        };
        Ok((wiring.op(Box::new(op), &[*wire])?, made))
    }
}

fn divide(rows: Rows, size: usize) -> Rows {
    Rows::new(rows.start / size as u32, rows.end / size as u32)
}

fn multiply(rows: Rows, size: usize) -> Rows {
    Rows::new(rows.start * size as u32, rows.end * size as u32)
}
