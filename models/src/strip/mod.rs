//! Strips: some rows of a block, wired for the engine and run.
//!
//! A strip's graph is wired from [`Network::demand`], layer by layer: every layer computes the rows that the
//! demand says, with its operators made for them by [`crate::rows`]. It then goes through the engine's
//! code generation, and nothing else: simplifying it again could change what is fused.

mod assembly;
mod wiring;

use std::ops::Range;
use std::time::Duration;

use collab_core::network::{Cut, Demand, Network, Split};
use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::knobs::KnobScope;
use tract_onnx::tract_core::ops::array::{Slice, TypedConcat};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::nn::{Reduce, Softmax};
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_core::optim::Optimizer;
use tract_onnx::tract_core::plan;

use assembly::{uncut, wire};
pub(crate) use wiring::Wiring;
use wiring::layers_of;

use crate::graph::cut;
use crate::load::Model;
use crate::map::Map;
use crate::operators::{self, Own, Places, Workspaces};
use crate::packs::{Packs, SharePacks};
use crate::rows::Along;
use crate::run::LayerTimes;
use crate::summation;

/// Why a strip cannot be prepared or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripError {
    /// The block is not part of the network.
    #[error("units {start}..{end} were asked for, the network has {units}")]
    Units {
        /// First unit.
        start: usize,
        /// One past the last.
        end: usize,
        /// Units there are.
        units: usize,
    },
    /// The rows are not part of the block's output.
    #[error("rows {rows} were asked for of a block whose output has {available}")]
    Rows {
        /// Rows asked for.
        rows: Rows,
        /// Rows there are.
        available: u32,
    },
    /// The block can only be computed whole.
    #[error("rows {rows} were asked for of a block that cannot be divided: {reason}")]
    Whole {
        /// Rows asked for.
        rows: Rows,
        /// Why not.
        reason: String,
    },
    /// The input is not what the strip needs.
    #[error(
        "the strip reads rows {expected} of {expected_cut:?}, it was given rows {found} of {found_cut:?}"
    )]
    Input {
        /// Rows it reads.
        expected: Rows,
        /// Of this tensor.
        expected_cut: Cut,
        /// Rows it was given.
        found: Rows,
        /// Of this tensor.
        found_cut: Cut,
    },
    /// The engine refuses.
    #[error("the engine cannot run this strip: {0}")]
    Engine(String),
}

/// The form a tensor has inside the engine.
#[derive(Clone, Debug)]
struct Form {
    cut: Cut,
    rows: Rows,
    shape: Vec<usize>,
}

/// Rows of a block, ready to run.
#[derive(Debug)]
pub struct Strip {
    units: Range<usize>,
    input: Form,
    output: Form,
    state: TypedSimpleState,
    /// The layers of each of the engine's nodes: several where they are computed together.
    layers: Vec<TVec<u32>>,
    /// Where what each of the engine's nodes yields lies.
    places: Places,
    workspaces: Arc<Workspaces>,
}

impl Model {
    /// Prepares rows `rows` of the output of the block `units`.
    ///
    /// # Errors
    /// If there are no such units or rows, or the block cannot be divided.
    pub fn strip(&self, units: Range<usize>, rows: Rows) -> Result<Strip, StripError> {
        check(&self.network, &units, rows)?;
        let demand = self.network.demand(&units, rows);
        self.prepare(units, &demand, rows).map_err(|error| StripError::Engine(format!("{error:#}")))
    }

    /// Prepares the whole network as it was loaded, nothing cut: what strips are compared with.
    ///
    /// # Errors
    /// If the engine refuses.
    pub fn whole(&self) -> Result<Strip, StripError> {
        let engine = |error: TractError| StripError::Engine(format!("{error:#}"));
        let (model, output) = uncut(&self.graph, &self.packs).map_err(engine)?;
        let units = 0..self.network.units.len();
        let input = form(self.graph.tensor(None), Rows::all(self.network.input.cut.rows));
        self.ready(units, model, input, output).map_err(engine)
    }

    fn prepare(&self, units: Range<usize>, demand: &Demand, rows: Rows) -> TractResult<Strip> {
        let layers = self.network.layers_of(&units);
        let before = layers.start.checked_sub(1);
        let input = form(self.graph.tensor(before), demand.input);
        let output = form(self.graph.tensor(Some(layers.end - 1)), rows);
        let model = wire(&self.graph, &self.packs, layers, demand, &input)?;
        self.ready(units, model, input, output)
    }

    fn ready(
        &self,
        units: Range<usize>,
        mut model: TypedModel,
        input: Form,
        output: Form,
    ) -> TractResult<Strip> {
        if !model.nodes().iter().all(|node| runs_as_it_is(node.op.as_ref())) {
            generate(&self.packs, &mut model)?;
        }
        operators::lay_out(&mut model)?;
        operators::join(&mut model)?;
        let layers = model.nodes().iter().map(|node| layers_of(&node.name)).collect();
        let inner: Vec<bool> = model.nodes().iter().map(|node| is_inner(&model, node)).collect();
        let plan = TypedSimplePlan::new(model)?;
        let places = Places::of(plan.model(), plan.order_without_consts(), &inner);
        let (state, workspaces) = (plan.spawn()?, self.workspaces.clone());
        Ok(Strip { units, input, output, state, layers, places, workspaces })
    }
}

/// Whether only operators of ours read what a node yields.
fn is_inner(model: &TypedModel, node: &TypedNode) -> bool {
    let ours = |reader: &InletId| model.node(reader.node).op_is::<Own>();
    node.outputs.iter().all(|output| output.successors.iter().all(ours))
        && model.outputs.iter().all(|outlet| outlet.node != node.id)
}

/// Whether the engine's code generation would leave an operator as it is, or make it no faster.
fn runs_as_it_is(op: &dyn TypedOp) -> bool {
    op.is::<Own>()
        || op.is::<Const>()
        || op.is::<TypedSource>()
        || op.is::<AxisOp>()
        || op.is::<Slice>()
        || op.is::<TypedConcat>()
        || op.is::<ElementWiseOp>()
        || op.is::<Reduce>()
        || op.is::<Softmax>()
}

/// The engine's code generation, with packed weights shared.
fn generate(packs: &Arc<Packs>, model: &mut TypedModel) -> TractResult<()> {
    summation::settle();
    let mut passes = Optimizer::codegen();
    let packed = passes.passes.iter().position(|pass| format!("{pass:?}") == "codegen");
    passes.add_pass(packed.map_or(0, |at| at + 1), Box::new(SharePacks(packs.clone())));
    // One way to convolve, whatever the size: wide maps would otherwise take another, and a slower one.
    let knobs = KnobScope::new([("TRACT_DISABLE_DIRECT_SPATIAL", "true")])?;
    knobs.enter(|| passes.optimize(model))
}

fn check(network: &Network, units: &Range<usize>, rows: Rows) -> Result<(), StripError> {
    let count = network.units.len();
    if units.is_empty() || units.end > count {
        return Err(StripError::Units { start: units.start, end: units.end, units: count });
    }
    let available = network.cut(units.end).rows;
    if rows.is_empty() || rows.end > available {
        return Err(StripError::Rows { rows, available });
    }
    if rows != Rows::all(available) {
        for unit in &network.units[units.clone()] {
            if let Split::Whole(reason) = &unit.split {
                return Err(StripError::Whole { rows, reason: reason.clone() });
            }
        }
    }
    Ok(())
}

/// The form of rows `rows` of a tensor.
fn form((shape, along): (&[usize], Along), rows: Rows) -> Form {
    let cut = cut(shape, along);
    let mut shape = shape.to_vec();
    if let Some(axis) = along.axis() {
        shape[axis] = rows.len() as usize;
    }
    Form { cut, rows, shape }
}

impl Strip {
    /// What the engine's nodes are called.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.state.model().nodes().iter().map(|node| &*node.name)
    }

    /// The block it is part of.
    pub fn units(&self) -> Range<usize> {
        self.units.clone()
    }

    /// Rows of the tensor before the block that it reads.
    pub fn input_rows(&self) -> Rows {
        self.input.rows
    }

    /// The tensor before the block.
    pub fn input_cut(&self) -> Cut {
        self.input.cut
    }

    /// Rows of the block's output that it computes.
    pub fn output_rows(&self) -> Rows {
        self.output.rows
    }

    /// The block's output.
    pub fn output_cut(&self) -> Cut {
        self.output.cut
    }

    /// Computes its rows from `input`, which holds exactly [`Strip::input_rows`]. If that has its memory from
    /// [`Spares`](crate::Spares), so has what is computed.
    ///
    /// What `clock` shows is read between the engine's operators and added to `times`, layer by layer; give
    /// it the time of this thread's processor or of the wall.
    ///
    /// # Errors
    /// If `input` is something else, or the engine fails.
    pub fn run(
        &mut self,
        input: Map,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut LayerTimes,
    ) -> Result<Map, StripError> {
        if input.rows() != self.input.rows || input.cut() != self.input.cut {
            return Err(StripError::Input {
                expected: self.input.rows,
                expected_cut: self.input.cut,
                found: input.rows(),
                found_cut: input.cut(),
            });
        }
        self.compute(input, clock, times).map_err(|error| StripError::Engine(format!("{error:#}")))
    }

    fn compute(
        &mut self,
        input: Map,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut LayerTimes,
    ) -> TractResult<Map> {
        let (input, home) = input.into_tensor(&self.input.shape)?;
        let input = input.into_tvalue();
        let (layers, places) = (&self.layers, &self.places);
        let mut workspace = self.workspaces.take(places, home.clone())?;
        let mut last = clock();
        let mut outputs = self.state.run_plan_with_eval(tvec!(input), |context, state, node, inputs| {
            let result = match node.op_as::<Own>() {
                Some(own) => own.compute(inputs, &mut workspace, places.get(node.id)),
                None => plan::eval(context, state, node, inputs),
            };
            let now = clock();
            let spent = now.saturating_sub(last);
            match layers[node.id][..] {
                [] => {}
                [layer] => times.add(layer, spent),
                [..] => times.share(&layers[node.id], spent, &workspace.take_laps()),
            }
            last = now;
            result
        })?;
        self.workspaces.keep(workspace);
        Map::from_tensor(self.output.cut, self.output.rows, outputs.remove(0).into_tensor(), home)
    }
}
