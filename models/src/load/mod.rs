//! From ONNX bytes to a [`Model`].
//!
//! The steps, in order: [`proto`] puts the file right, tract parses, types and simplifies it, [`prepare`]
//! applies the passes that every graph of ours goes through and puts our own operators in place of the engine's,
//! [`crate::graph`] cuts it into units and layers.

mod apart;
mod axes;
mod channels_last;
mod dequantize;
mod error;
mod prepare;
mod proto;
mod upsample;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use collab_core::id::NetworkId;
use collab_core::network::{Network, Pixels};
use collab_kernels::Isa;

pub use error::LoadError;
pub(crate) use prepare::with_natural_strides;

use crate::graph::Graph;
use crate::operators::Workspaces;
use crate::packs::Packs;
use crate::source::{self, Onnx, Source, SourceError};
use crate::team::Team;

/// What a file does not say about its network.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// For people.
    pub name: String,
    /// How pictures are fed, if it starts from pictures.
    pub pixels: Option<Pixels>,
    /// The input's shape, batch 1, where the file leaves sizes open.
    pub input_shape: Option<Vec<usize>>,
}

/// A network and what runs it. Clones share everything.
#[derive(Clone)]
pub struct Model {
    pub(crate) network: Arc<Network>,
    pub(crate) graph: Arc<Graph>,
    pub(crate) packs: Arc<Packs>,
    pub(crate) workspaces: Arc<Workspaces>,
}

impl Model {
    /// Reads a network from the bytes of an ONNX file or of a recipe.
    ///
    /// # Errors
    /// If the bytes are neither, or no convolutional network on pictures, or need an operator that is not
    /// supported.
    pub fn load(bytes: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        Self::load_for(bytes, options, Isa::best())
    }

    /// As [`Model::load`], with kernels for another instruction set than the machine's best. Its answers are equal bit
    /// for bit only to those of the same one.
    ///
    /// # Errors
    /// As [`Model::load`], or if the machine lacks it.
    pub fn load_for(bytes: &[u8], options: &LoadOptions, isa: Isa) -> Result<Self, LoadError> {
        Self::of(source::read(bytes), options, isa)
    }

    /// As [`Model::load`], from a file whose bytes have the SHA-256 `id`. The file is never in memory as a whole.
    ///
    /// # Errors
    /// As [`Model::load`], or if the file cannot be read.
    pub fn load_file(path: &Path, id: NetworkId, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::of(source::open(path, id), options, Isa::best())
    }

    fn of(source: Result<Source, SourceError>, options: &LoadOptions, isa: Isa) -> Result<Self, LoadError> {
        let Source { id, onnx } = source.map_err(|error| LoadError::Source(error.to_string()))?;
        Self::build(onnx, id, options, isa)
    }

    /// Builds a network from a model that was decoded or generated; `id` is the SHA-256 of its bytes.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_onnx(onnx: impl Into<Onnx>, id: NetworkId, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::build(onnx.into(), id, options, Isa::best())
    }

    fn build(mut onnx: Onnx, id: NetworkId, options: &LoadOptions, isa: Isa) -> Result<Self, LoadError> {
        let shape = proto::repair(&mut onnx, options.input_shape.as_deref())?;
        // The engine asserts its way through damaged graphs; such a file must not end the program.
        let graph = catch_unwind(AssertUnwindSafe(|| {
            let model = prepare::prepare(onnx, &shape, isa)?;
            Graph::new(&model, &shape).map_err(|error| LoadError::engine(&error))
        }))
        .unwrap_or_else(|_| Err(LoadError::Engine { reason: "the engine gave up on it".to_owned() }))?;
        let network = graph.network(id, options, shape);
        let (network, graph) = (Arc::new(network), Arc::new(graph));
        Ok(Self { network, graph, packs: Arc::default(), workspaces: Arc::default() })
    }

    /// The same network, fed with pictures as `pixels` says; its answers to the same values stay the same.
    pub fn fed(mut self, pixels: Option<Pixels>) -> Self {
        Arc::make_mut(&mut self.network).input.pixels = pixels;
        self
    }

    /// The same network, computed by `team`.
    pub fn with_team(self, team: Arc<Team>) -> Self {
        Self { workspaces: Arc::new(Workspaces::of(team)), ..self }
    }

    /// [`Team::awaited`] of its team.
    pub fn awaited(&self) -> std::time::Duration {
        self.workspaces.team().awaited()
    }

    /// What a planner, a schedule and a screen must know of it.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }
}
