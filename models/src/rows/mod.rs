//! How rows depend on rows, operator by operator, and what computes some rows of each.
//!
//! One file per family of operators. Each has a function `split` that looks at a node and, if it is one of
//! its own, says which axis of the output is divided, which input rows any output rows need, and how to wire
//! just those ([`ByRows`]). To add an operator, write such a function and list it in [`OPERATORS`];
//! [`elementwise`] is the simplest example, [`window`] the full one. What no function knows is computed
//! whole ([`whole`]). Operators of our own ([`crate::operators`]) say it themselves.

mod axis;
mod elementwise;
mod join;
pub(crate) mod pad;
mod product;
mod reduce;
pub(crate) mod resample;
mod transposed;
mod whole;
mod window;

use std::fmt::Debug;
use std::sync::Arc;

use collab_core::rows::{RowMap, Rows};
use tract_onnx::tract_core::internal::*;

use crate::operators;
use crate::strip::Wiring;

/// The axis of a tensor that is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// Rows of a feature map, on this axis.
    Rows(usize),
    /// Output features of a dense layer, on this axis.
    Features(usize),
    /// Nothing: it is one piece.
    Nothing,
}

impl Along {
    /// The axis, if there is one.
    pub(crate) fn axis(self) -> Option<usize> {
        match self {
            Self::Rows(axis) | Self::Features(axis) => Some(axis),
            Self::Nothing => None,
        }
    }

    /// The same meaning on another axis.
    pub(crate) fn on(self, axis: usize) -> Self {
        match self {
            Self::Rows(_) => Self::Rows(axis),
            Self::Features(_) => Self::Features(axis),
            Self::Nothing => Self::Nothing,
        }
    }
}

/// What a node reads.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// Its whole shape.
    pub(crate) shape: Vec<usize>,
    /// How it is divided.
    pub(crate) along: Along,
    /// Its value, if it does not depend on the network's input.
    pub(crate) konst: Option<Arc<Tensor>>,
}

impl Feed {
    /// Rows along its divided axis; one if it is one piece.
    pub(crate) fn rows(&self) -> usize {
        self.along.axis().map_or(1, |axis| self.shape[axis])
    }

    /// The map for an output that needs all of it.
    pub(crate) fn whole(&self) -> RowMap {
        RowMap::whole(self.rows() as u32)
    }
}

/// A node, as the functions of [`OPERATORS`] see it.
pub(crate) struct Node<'a> {
    /// The operator.
    pub(crate) op: &'a dyn TypedOp,
    /// What it reads.
    pub(crate) feeds: Vec<Feed>,
    /// The whole shape of what it yields.
    pub(crate) shape: &'a [usize],
}

impl Node<'_> {
    /// The one feed that is no constant, if there is exactly one.
    pub(crate) fn only_feed(&self) -> Option<(usize, &Feed)> {
        let mut feeds = self.feeds.iter().enumerate().filter(|(_, feed)| feed.konst.is_none());
        let first = feeds.next()?;
        feeds.next().is_none().then_some(first)
    }

    /// The maps of a node with one feed that is no constant.
    pub(crate) fn needs(&self, map: RowMap) -> Vec<RowMap> {
        vec![map; self.feeds.len()]
    }
}

/// How a layer may join its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Moves values about, as good as free.
    Move,
    /// Light work per element: goes with what computed its input.
    Light,
    /// A layer of its own.
    Heavy,
}

/// What one node does with rows.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// How its output is divided.
    pub(crate) along: Along,
    /// For each feed, the rows needed for rows of the output; without meaning for constants.
    pub(crate) needs: Vec<RowMap>,
    /// Whether it may share a layer.
    pub(crate) weight: Weight,
    /// Why its output is one piece, if it is for no good reason of the network's own.
    pub(crate) obstacle: Option<String>,
    /// What wires some of its rows.
    pub(crate) by: Arc<dyn ByRows>,
}

/// What is given of one feed.
pub(crate) enum Part<'a> {
    /// All of a constant.
    Konst(&'a Arc<Tensor>),
    /// Exactly the rows that [`Split::needs`] asks for.
    Held {
        /// Where they are in the strip's graph.
        wire: OutletId,
        /// Which they are.
        rows: Rows,
    },
}

impl Part<'_> {
    /// The rows that are given; none of a constant.
    pub(crate) fn rows(&self) -> Rows {
        match self {
            Part::Konst(_) => Rows::EMPTY,
            Part::Held { rows, .. } => *rows,
        }
    }
}

/// Computes some rows of an operator's output.
pub(crate) trait ByRows: Debug + Send + Sync {
    /// Wires rows `out` and returns them, or more rows around them and which these are.
    ///
    /// # Errors
    /// If the engine refuses the graph, which is a mistake in here.
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)>;
}

/// Everything that can be divided. The first that knows a node is asked.
const OPERATORS: &[fn(&Node) -> Option<Split>] = &[
    operators::split,
    window::split,
    transposed::split,
    product::split,
    axis::split,
    resample::split,
    pad::split,
    join::split,
    reduce::split,
    elementwise::split,
];

/// What `node` does with rows.
pub(crate) fn split(node: &Node) -> Split {
    OPERATORS.iter().find_map(|split| split(node)).unwrap_or_else(|| whole::split(node))
}

/// What `node` does with rows if it must not be divided.
pub(crate) fn split_whole(node: &Node) -> Split {
    whole::split(node)
}
