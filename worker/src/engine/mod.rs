//! What a worker needs of an inference engine.
//!
//! The executor knows only these traits, so that it can be tested with a tiny engine whose arithmetic is
//! plain to see.

mod tract;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use collab_core::id::NetworkId;
use collab_core::network::Network;
use collab_core::rows::Rows;
use collab_core::wire::NetworkOptions;

pub use collab_models::{Map, MapError, Spares};
pub use tract::Tract;

/// Loads networks.
pub trait Engine: Send + Sync + 'static {
    /// CPU time that the computing thread waited for helpers to compute beyond its own, since the beginning.
    fn awaited(&self) -> Duration {
        Duration::ZERO
    }

    /// Reads the network `id` from its file. An error is a sentence.
    fn load(&self, file: &Path, id: NetworkId, options: &NetworkOptions) -> Result<Box<dyn Model>, String>;

    /// The synthetic network `index` with the strips of it that a calibration times; `None` past the last one.
    /// An error is a sentence.
    fn synthetic(&self, index: usize) -> Option<Result<Synthetic, String>>;

    /// Its name, version and what was chosen for this device.
    fn name(&self) -> String;
}

/// A synthetic network with strips to be timed, in this order.
pub type Synthetic = (Box<dyn Model>, Vec<(Range<usize>, Rows)>);

/// A network that can be run in strips.
pub trait Model: Send + 'static {
    /// Its geometry.
    fn network(&self) -> &Arc<Network>;

    /// As [`Engine::awaited`], by this network's own team.
    fn awaited(&self) -> Duration {
        Duration::ZERO
    }

    /// Prepares rows `rows` of the output of the block `units`. An error is a sentence.
    fn strip(&self, units: Range<usize>, rows: Rows) -> Result<Box<dyn Strip>, String>;
}

/// Rows of a block, ready to be computed.
pub trait Strip: Send + 'static {
    /// Computes its rows from exactly the input rows that [`Network::demand`] says.
    ///
    /// Adds to `times`, one for each of the network's layers, what `clock` shows to have passed in them.
    /// An error is a sentence.
    fn run(
        &mut self,
        input: Map,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut [Duration],
    ) -> Result<Map, String>;
}
