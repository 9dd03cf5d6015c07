//! How much memory a worker needs for its strips, told before anything is prepared.

use std::collections::BTreeMap;
use std::ops::Range;

use collab_core::network::Network;
use collab_core::rows::Rows;

use crate::load::Model;

/// Memory that strips will take, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights that are read as they were loaded, of the whole network.
    pub loaded: u64,
    /// Weights laid out for the kernels: of the whole network for our own, which keep no others, and of the
    /// layers that the strips have for the engine's. Each once.
    pub packed: u64,
    /// Maps alive at once while the hungriest strip runs.
    pub maps: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.loaded + self.packed + self.maps
    }
}

impl Model {
    /// What `strips` (blocks and rows of their output) will take. They run one after the other.
    ///
    /// Maps are counted as the demand has them; scratch that a kernel takes for itself is not, up to a few
    /// MiB.
    pub fn memory(&self, strips: &[(Range<usize>, Rows)]) -> Memory {
        let network = self.network();
        let mut packed: BTreeMap<usize, u64> = BTreeMap::new();
        let mut maps = 0;
        for (units, rows) in strips.iter().filter(|(units, _)| units.end <= network.units.len()) {
            maps = maps.max(peak(network, units, *rows));
            for layer in network.layers_of(units) {
                packed.insert(layer, self.graph.packed_by_engine(layer));
            }
        }
        let (loaded, own) = self.graph.weights();
        Memory { loaded, packed: own + packed.values().sum::<u64>(), maps }
    }

    /// Bytes of packed weights that are kept now.
    pub fn packed_bytes(&self) -> u64 {
        self.graph.weights().1 + self.packs.bytes()
    }
}

/// Most bytes of maps alive at once.
fn peak(network: &Network, units: &Range<usize>, rows: Rows) -> u64 {
    let demand = network.demand(units, rows);
    let span = network.layers_of(units);
    let bytes = |layer: usize| network.layers[layer].output.bytes(demand.layers[layer - span.start].len());
    let input = network.cut(units.start).bytes(demand.input.len());
    let mut peak = input;
    for now in span.clone() {
        let read_later = |layer: usize| {
            let mut later = (now..span.end).flat_map(|reader| &network.layers[reader].inputs);
            later.any(|edge| edge.from.map(|from| from as usize) == Some(layer))
        };
        let before = |from: Option<u32>| from.is_none_or(|from| !span.contains(&(from as usize)));
        let mut readers = (now..span.end).flat_map(|reader| &network.layers[reader].inputs);
        let input = if readers.any(|edge| before(edge.from)) { input } else { 0 };
        let alive: u64 = (span.start..now).filter(|&layer| read_later(layer)).map(bytes).sum();
        peak = peak.max(input + alive + bytes(now));
    }
    peak
}
