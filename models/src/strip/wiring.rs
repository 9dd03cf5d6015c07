//! The graph of one strip, as it grows operator by operator.

use std::ops::Range;

use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Slice;
use tract_onnx::tract_core::ops::konst::Const;

use crate::operators::{self, Operator, Own, Take};
use crate::packs::Packs;
use crate::rows::Part;

/// A graph under construction. Every node is named for the layer it belongs to.
pub(crate) struct Wiring<'a> {
    model: TypedModel,
    packs: &'a Packs,
    layer: usize,
    count: usize,
}

impl<'a> Wiring<'a> {
    pub(super) fn new(packs: &'a Packs) -> Self {
        Self { model: TypedModel::default(), packs, layer: 0, count: 0 }
    }

    /// Names what follows for layer `layer`.
    pub(super) fn enter(&mut self, layer: usize) {
        self.layer = layer;
    }

    /// Adds the graph's input.
    pub(super) fn source(&mut self, shape: &[usize]) -> TractResult<OutletId> {
        self.model.add_source("input", f32::fact(shape))
    }

    /// The graph with one output.
    pub(super) fn finish(mut self, output: OutletId) -> TractResult<TypedModel> {
        self.model.select_output_outlets(&[output])?;
        Ok(self.model)
    }

    /// Adds an operator and returns its first output.
    ///
    /// The engine's own way compares every constant with every other and looks up every name.
    pub(crate) fn op(&mut self, op: Box<dyn TypedOp>, feeds: &[OutletId]) -> TractResult<OutletId> {
        let facts = {
            let read = feeds.iter().map(|&feed| self.model.outlet_fact(feed));
            op.output_facts(&read.collect::<TractResult<TVec<_>>>()?)?
        };
        let name = self.name();
        let id = self.model.add_node(name, op, facts)?;
        for (slot, &feed) in feeds.iter().enumerate() {
            self.model.add_edge(feed, InletId::new(id, slot))?;
        }
        Ok(id.into())
    }

    /// Adds an operator of ours and returns its output.
    pub(crate) fn own(&mut self, operator: impl Operator, feeds: &[OutletId]) -> TractResult<OutletId> {
        self.op(Box::new(Own::new(operator)), feeds)
    }

    /// Adds a constant.
    pub(crate) fn konst(&mut self, tensor: &Arc<Tensor>) -> TractResult<OutletId> {
        let fact = TypedFact::try_from(tensor.clone())?;
        let op = Const::new(tensor.clone())?;
        let name = self.name();
        Ok(self.model.add_node(name, op, tvec!(fact))?.into())
    }

    /// Adds rows `rows` of a constant along `axis`, of `size` there are; all of it if those are all.
    pub(crate) fn konst_part(
        &mut self,
        tensor: &Arc<Tensor>,
        axis: usize,
        rows: Rows,
        size: usize,
    ) -> TractResult<OutletId> {
        if rows == Rows::all(size as u32) || tensor.shape()[axis] != size {
            return self.konst(tensor);
        }
        let part = self.packs.slice(tensor, axis, rows)?;
        self.konst(&part)
    }

    /// Rows `rows` along `axis` of a wire that holds either exactly these or all.
    pub(crate) fn narrow(&mut self, wire: OutletId, axis: usize, rows: Rows) -> TractResult<OutletId> {
        if self.shape(wire)?[axis] == rows.len() as usize {
            return Ok(wire);
        }
        self.range(wire, axis, rows.start as usize..rows.end as usize)
    }

    /// Rows `wanted` of a wire that holds rows `held` along `axis`.
    pub(super) fn take(
        &mut self,
        wire: OutletId,
        axis: usize,
        held: Rows,
        wanted: Rows,
    ) -> TractResult<OutletId> {
        if held == wanted {
            return Ok(wire);
        }
        ensure!(held.contains(wanted), "rows {wanted} are needed, {held} are there");
        let (start, end) = ((wanted.start - held.start) as usize, (wanted.end - held.start) as usize);
        self.range(wire, axis, start..end)
    }

    /// A range of an axis.
    fn range(&mut self, wire: OutletId, axis: usize, range: Range<usize>) -> TractResult<OutletId> {
        let fact = self.model.outlet_fact(wire)?;
        if fact.datum_type == f32::datum_type() && fact.konst.is_none() {
            let shape = self.shape(wire)?;
            return self.own(Take::new(&shape, axis, range), &[wire]);
        }
        self.op(Box::new(Slice::new(axis, range.start, range.end)), &[wire])
    }

    /// Whatever is given, as a wire.
    pub(crate) fn part(&mut self, part: &Part) -> TractResult<OutletId> {
        match part {
            Part::Konst(tensor) => self.konst(tensor),
            Part::Held { wire, .. } => Ok(*wire),
        }
    }

    /// All that is given, as wires.
    pub(crate) fn parts(&mut self, parts: &[Part]) -> TractResult<TVec<OutletId>> {
        parts.iter().map(|part| self.part(part)).collect()
    }

    /// The shape of what a wire carries.
    pub(crate) fn shape(&self, wire: OutletId) -> TractResult<Vec<usize>> {
        let shape = self.model.outlet_fact(wire)?.shape.as_concrete().map(<[usize]>::to_vec);
        shape.context("the shape of a strip is known")
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("{}:{}", self.layer, self.count)
    }
}

/// The layers that a node of a strip's graph belongs to; the engine's rewrites keep the beginning of names.
pub(super) fn layers_of(name: &str) -> TVec<u32> {
    let layer = |name: &str| name.split_once(':')?.0.parse().ok();
    name.split(operators::BETWEEN).filter_map(layer).collect()
}
