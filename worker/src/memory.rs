//! How much memory a worker's share of a partition takes: an estimate, made before anything is loaded.

use std::collections::BTreeSet;
use std::ops::Range;

use collab_core::network::Network;
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;

/// Bytes of code, buffers and allocator slack of a worker that does nothing.
const PROCESS: u64 = 24 << 20;

/// What a share takes, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The program itself.
    pub process: u64,
    /// The network's weights as they were loaded: all of them, whatever the share.
    pub weights: u64,
    /// Weights laid out for the kernels: those of the layers in the share, once each.
    pub packed: u64,
    /// The largest sum of tensors that are alive at one moment in one run.
    pub tensors: u64,
}

impl Footprint {
    /// Of `worker`'s share.
    pub fn of(network: &Network, schedule: &Schedule, worker: usize) -> Self {
        let mut layers = BTreeSet::new();
        let mut tensors = 0;
        for stage in &schedule.stages {
            let units = stage.units.0 as usize..stage.units.1 as usize;
            let strip = &stage.strips[worker];
            if strip.rows.is_empty() {
                continue;
            }
            layers.extend(network.layers_of(&units));
            let input = network.cut(units.start).bytes(strip.need.len());
            let output = network.cut(units.end).bytes(strip.rows.len());
            let parts = strip.parts.iter().map(|part| largest_step(network, &units, part.rows));
            tensors = tensors.max(input + output + parts.max().unwrap_or(0));
        }
        let packed = layers.into_iter().map(|layer| network.layers[layer].weight_bytes).sum();
        Self { process: PROCESS, weights: network.weight_bytes(), packed, tensors }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.process + self.weights + self.packed + self.tensors
    }

    /// Fails with a sentence if it is more than `limit`.
    pub fn check(&self, limit: Option<u64>) -> Result<(), String> {
        match limit {
            Some(limit) if self.total() > limit => Err(format!(
                "it needs about {} ({} of weights, {} of them laid out for the kernels, {} of tensors), \
                 the worker allows itself {}: give it fewer rows or layers, or start it with more --memory",
                mib(self.total()),
                mib(self.weights),
                mib(self.packed),
                mib(self.tensors),
                mib(limit)
            )),
            _ => Ok(()),
        }
    }
}

/// Bytes as whole mebibytes, rounded up.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// The layer whose inputs and output are largest together, bytes.
fn largest_step(network: &Network, units: &Range<usize>, rows: Rows) -> u64 {
    let span = network.layers_of(units);
    let demand = network.demand(units, rows);
    let size = |layer: usize| {
        let rows = demand.layers.get(layer.wrapping_sub(span.start)).map_or(0, |rows| rows.len());
        network.layers[layer].output.bytes(rows)
    };
    let step = |layer: usize| {
        let inputs = network.layers[layer].inputs.iter().filter_map(|edge| edge.from);
        size(layer) + inputs.map(|from| size(from as usize)).sum::<u64>()
    };
    span.clone().map(step).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::chain;
    use collab_core::partition::Partition;

    use super::*;

    fn footprint(text: &str, worker: usize) -> Footprint {
        let network = chain(64, 4);
        let partition = Partition::parse(text, &network, 2).unwrap();
        Footprint::of(&network, &Schedule::new(&network, &partition), worker)
    }

    #[test]
    fn fewer_rows_take_fewer_tensors_and_fewer_layers_fewer_weights() {
        let (whole, half) = (footprint("0-3:A", 0), footprint("0-3:=", 0));
        assert!(half.tensors < whole.tensors);
        assert_eq!(half.packed, whole.packed);
        assert_eq!(footprint("0-1:A/2-3:B", 0).packed * 2, whole.packed);
        let none = footprint("0-3:A", 1);
        assert_eq!((none.packed, none.tensors), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_figures() {
        let footprint = Footprint { process: 0, weights: 600 << 20, packed: 0, tensors: 0 };
        assert_eq!(footprint.check(None), Ok(()));
        assert_eq!(footprint.check(Some(600 << 20)), Ok(()));
        let reason = footprint.check(Some(512 << 20)).unwrap_err();
        assert!(reason.contains("600 MiB") && reason.contains("512 MiB"), "{reason}");
    }
}
