//! Operators of our own, computed by [`collab_kernels`] in place of the engine's.
//!
//! [`rewrite`] finds them in a prepared graph, before anything is cut, and folds what follows each (bias, batch
//! norm, residual sum, activation) into it. Each is one file that holds what is computed ([`Operator::run`]), how
//! rows depend on rows ([`Operator::split`]) and what is said of it ([`Operator::label`]); [`lrn`] is the
//! simplest example. A strip is the same operator with other geometry: it shares the packed weights of the whole
//! and computes every value by the same sequence of operations. What no file here knows stays with the engine.

mod arena;
mod banded;
mod bands;
mod chain;
mod channelwise;
mod concat;
mod convolution;
mod dense;
mod fold;
mod gate;
mod global_pool;
mod join;
mod layouts;
mod lrn;
mod piece;
mod places;
mod pool;
mod resample;
mod shuffle;
#[cfg(test)]
mod stand_in;
mod take;
mod transposed;
mod workspace;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::RowMap;
use collab_kernels::KernelError;
use tract_onnx::tract_core::internal::*;

use banded::Banded;
pub(crate) use chain::rewrite;
pub(crate) use convolution::Convolution;
pub(crate) use gate::Gate;
pub(crate) use global_pool::GlobalPool;
pub(crate) use join::{BETWEEN, join};
pub(crate) use layouts::{Among, Lies, choose, lay_out, lies};
pub(crate) use places::{Place, Places};
pub(crate) use pool::Pool as Pooling;
pub(crate) use resample::Resample;
pub(crate) use take::Take;
pub(crate) use workspace::{Workspace, Workspaces};

use crate::rows::{Along, Feed, Node, Split};

/// Whether an operator computed what it yields; an error is a size that it was not made for, which is a mistake in here.
pub(crate) type Computed = Result<(), KernelError>;

/// An operator with fixed geometry: all rows of a layer, or those of a strip.
///
/// It can be asked which it is: `(&*own.0 as &dyn Any).downcast_ref::<Convolution>()` gives its kernel and tile.
pub(crate) trait Operator: Any + Debug + Send + Sync {
    /// One word.
    fn name(&self) -> &'static str;

    /// What people read about the layer, and which kind of work it is.
    fn label(&self) -> (String, Kind);

    /// The shape of what it yields.
    fn shape(&self) -> &[usize];

    /// Multiply-accumulates, by definition.
    fn macs(&self) -> u64 {
        0
    }

    /// Values of its weights.
    fn weights(&self) -> u64 {
        0
    }

    /// Bytes of weights that it keeps for all its strips.
    fn kept(&self) -> u64 {
        4 * self.weights()
    }

    /// Computes `output`, every value of which it writes, from `inputs`: each contiguous, of the shape it was
    /// made for.
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed;

    /// As one that can yield its map where its first input lies, if it can.
    fn overwriting(&self) -> Option<&dyn Overwriting> {
        None
    }

    /// What it does with rows; `node` holds what it reads.
    fn split(&self, node: &Node) -> Option<Split>;

    /// Whether there are kernels, on some processor, for maps that lie so.
    fn suits(&self, lies: &Lies) -> bool {
        *lies == Lies::default()
    }

    /// The same for maps that lie so, which it [suits](Operator::suits); none where this processor has no such kernels.
    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        let _ = lies;
        None
    }

    /// How its maps lie.
    fn lies(&self) -> Lies {
        Lies::default()
    }

    /// Whether all it does is to put its inputs one behind the other, so that nothing is left to do where they were
    /// written so.
    fn concatenates(&self) -> bool {
        false
    }

    /// Where in its input what it yields begins, if all it does is to yield a stretch of it, so that nothing is left to do
    /// where that can be read as it lies.
    fn begins(&self) -> Option<usize> {
        None
    }

    /// As an operator that can be computed in bands, if it can.
    fn banded(self: Arc<Self>) -> Option<Arc<dyn Banded>> {
        None
    }
}

/// An [`Operator`] that can write what it yields over its first input.
pub(crate) trait Overwriting {
    /// The same as [`Operator::run`], where `map` holds the first input before, and `others` are the other ones.
    fn overwrite(&self, others: &[&[f32]], map: &mut [f32], workspace: &mut Workspace) -> Computed;
}

/// An [`Operator`] as the engine sees it.
#[derive(Clone, Debug)]
pub(crate) struct Own(pub(crate) Arc<dyn Operator>);

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Own {}

impl Own {
    /// Wraps an operator.
    pub(crate) fn new(operator: impl Operator) -> Self {
        Self(Arc::new(operator))
    }

    /// Computes it in `workspace`, where what it yields has its `place` if it has one.
    pub(crate) fn compute(
        &self,
        inputs: TVec<TValue>,
        workspace: &mut Workspace,
        place: Option<&Place>,
    ) -> TractResult<TVec<TValue>> {
        let mut arena = std::mem::take(&mut workspace.arena);
        let over = self.0.overwriting().filter(|_| place.is_some_and(|place| place.over));
        let output = arena.fill(self.0.shape(), place, inputs, |inputs, output| {
            let computed = match over {
                Some(over) => over.overwrite(&inputs[1..], output, workspace),
                None => self.0.run(inputs, output, workspace),
            };
            Ok(computed?)
        });
        workspace.arena = arena;
        Ok(tvec!(output?.into_tvalue()))
    }
}

impl Op for Own {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![self.0.label().0])
    }

    op_as_typed_op!();
}

impl EvalOp for Own {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.compute(inputs, &mut Workspace::default(), None)
    }
}

impl TypedOp for Own {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.0.shape())))
    }

    fn cost(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let kind = f32::datum_type();
        Ok(tvec!((Cost::FMA(kind), self.0.macs().to_dim()), (Cost::Params(kind), self.0.weights().to_dim())))
    }

    as_op!();
}

/// Knows every operator of ours.
pub(crate) fn split(node: &Node) -> Option<Split> {
    node.op.downcast_ref::<Own>()?.0.split(node)
}

/// The rows needed of something that is added to an output: the same, where it is divided like the output.
fn residual_need(feed: &Feed) -> RowMap {
    match feed.along {
        Along::Rows(axis) if axis + 2 == feed.shape.len() => RowMap::SAME,
        _ => feed.whole(),
    }
}
