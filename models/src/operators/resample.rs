//! Resizes by interpolation and pads of a map: every output row reads a few input rows, as does every column.

use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::Rows;
use collab_kernels::{Isa, Map, Resample as Kernel, Taps};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Pad;

use super::chain::{Found, floats};
use super::{Computed, Operator, Workspace};
use crate::rows::resample::{Resample as Interpolation, fit};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight, pad};
use crate::strip::Wiring;

/// Some output rows of one resize or pad. Leading axes of the map are as good as channels.
#[derive(Clone, Debug)]
pub(crate) struct Resample {
    pub(crate) kernel: Kernel,
    shape: TVec<usize>,
    input_rows: usize,
    input_width: usize,
    kind: Kind,
    isa: Isa,
}

/// Knows what changes rows and columns, and nothing else.
pub(super) fn find(model: &TypedModel, id: usize, _taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let node = model.node(id);
    if !node.op_is::<Interpolation>() && !node.op_is::<Pad>() {
        return Ok(None);
    }
    let (from, to) = (floats(model, node.inputs[0])?, floats(model, OutletId::new(id, 0))?);
    let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
    let Some(columns) = to.len().checked_sub(1).filter(|&last| last > 0 && from.len() == to.len()) else {
        return Ok(None);
    };
    let rows = columns - 1;
    if from[..rows] != to[..rows] || from.contains(&0) || to.contains(&0) {
        return Ok(None);
    }
    let (taps, outside, kind) = if let Some(op) = node.op_as::<Interpolation>() {
        let taps =
            |axis: usize| op.along(axis).map_or_else(|| Some(Taps::same(to[axis])), |taps| taps.kernel());
        (taps(rows).zip(taps(columns)), 0.0, Kind::Resize)
    } else if let Some(op) = node.op_as::<Pad>() {
        let Some(outside) = pad::outside(op)? else { return Ok(None) };
        let source = |axis: usize, at| pad::source(op, axis, from[axis], at).map(|at| at as u32);
        let taps = |axis: usize| Taps::copies((0..to[axis]).map(|at| source(axis, at)).collect());
        (Some((taps(rows), taps(columns))), outside, Kind::Move)
    } else {
        return Ok(None);
    };
    let Some((row_taps, column_taps)) = taps else { return Ok(None) };
    let kernel = Kernel { rows: row_taps, columns: column_taps, outside };
    let (input_rows, input_width) = (from[rows], from[columns]);
    let operator = Resample { kernel, shape: to.into(), input_rows, input_width, kind, isa };
    let inputs = tvec!(node.inputs[0]);
    Ok(Some(Found { operator: Arc::new(operator), inputs, members: vec![id] }))
}

impl Resample {
    fn axis(&self) -> usize {
        self.shape.len() - 2
    }
}

impl Operator for Resample {
    fn name(&self) -> &'static str {
        "Resample"
    }

    fn label(&self) -> (String, Kind) {
        let text = if self.kind == Kind::Resize { "Resize" } else { "Pad" };
        (text.to_owned(), self.kind)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let channels = self.shape[..self.axis()].iter().product();
        let input = Map::new(inputs[0], channels, self.input_rows, self.input_width)?;
        workspace.by_rows(output, [channels, self.shape[self.axis()]], 0, |rows, planes, hand| {
            self.kernel.run(self.isa, input, rows, planes, &mut hand.scratch)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let feed = &node.feeds[0];
        let taps = &self.kernel.rows;
        // What enlarges something in one piece can be divided nevertheless.
        let need = if feed.along == Along::Rows(self.axis()) {
            fit(self.input_rows, &(0..taps.len()).map(|row| taps.reach(row)).collect::<Vec<_>>())
        } else {
            feed.whole()
        };
        Some(Split {
            along: Along::Rows(self.axis()),
            needs: node.needs(need),
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(Strip { of: self.clone(), divided: feed.along == Along::Rows(self.axis()) }),
        })
    }
}

/// A [`Resample`] divided by rows, and whether its input is too.
#[derive(Debug)]
struct Strip {
    of: Resample,
    divided: bool,
}

impl ByRows for Strip {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let Part::Held { wire, rows } = parts[0] else { bail!("a resize or pad reads a map") };
        let held = if self.divided { rows } else { Rows::all(self.of.input_rows as u32) };
        let mut strip = self.of.clone();
        strip.kernel.rows = strip
            .kernel
            .rows
            .part(out.start as usize..out.end as usize, held.start as usize..held.end as usize);
        strip.input_rows = held.len() as usize;
        strip.shape[self.of.axis()] = out.len() as usize;
        Ok((wiring.own(strip, &[wire])?, out))
    }
}
