//! The memory that a worker's process takes, predicted.
//!
//! Counted: the program; the weights of every layer as the engine keeps them, as a worker loads all of a network,
//! whatever its share; and, for the block where it is largest, the maps: those alive at once while it is computed, its
//! input until its last part has run, and its output until that is sent. Maps that are passed on in bands are never
//! there; what bands, maps kept for the next run, the kernels' scratch and the link's buffers take is told from the maps.

use std::ops::Range;

use crate::network::{Kind, Layer, Network};
use crate::partition::Partition;
use crate::rows::Rows;

/// Bytes of code, graphs, buffers and the allocator's slack of a worker that has loaded a network without weights:
/// one with 1 MB of them takes 31 MB.
const PROGRAM_BYTES: u64 = 28 << 20;
/// Bytes that computing takes beside the maps of its largest block at most, and how many times these where they are small:
/// workers that compute most of a shipped network take 8 to 17 MB more than maps, those that compute part of its first
/// layer none.
const SCRATCH_BYTES: u64 = 8 << 20;
const SCRATCH_OF_MAPS: u64 = 2;

/// Bytes of maps that `rows` of the block `units` take.
pub(crate) fn maps_of_strip(network: &Network, units: &Range<usize>, rows: Rows) -> u64 {
    if rows.is_empty() || units.is_empty() {
        return 0;
    }
    let span = network.layers_of(units);
    let demand = network.demand(units, rows);
    let layers = &network.layers[span.clone()];
    let mut bytes: Vec<u64> =
        layers.iter().zip(&demand.layers).map(|(layer, rows)| layer.output.bytes(rows.len())).collect();
    let input = network.cut(units.start).bytes(demand.input.len());
    let inside = |from: Option<u32>| from.and_then(|from| (from as usize).checked_sub(span.start));
    let mut readers = vec![0; layers.len()];
    layers
        .iter()
        .flat_map(|layer| &layer.inputs)
        .filter_map(|edge| inside(edge.from))
        .for_each(|at| readers[at] += 1);
    // The layer with which each is computed together and ends, and which maps are passed on until then.
    let mut ends: Vec<usize> = (0..layers.len()).collect();
    for place in (1..layers.len()).rev() {
        let (from, to) = (&layers[place - 1], &layers[place]);
        let main = to.inputs.first().is_some_and(|edge| inside(edge.from) == Some(place - 1));
        if main && readers[place - 1] == 1 && from.hands_bands_to(to, bytes[place - 1]) {
            (ends[place - 1], bytes[place - 1]) = (ends[place], 0);
        }
    }
    // When each layer's map, and the block's input, has been read for the last time.
    let (mut last, mut input_last) = (vec![None; layers.len()], 0);
    for (layer, &end) in layers.iter().zip(&ends) {
        for edge in &layer.inputs {
            match inside(edge.from) {
                Some(from) => last[from] = last[from].max(Some(end)),
                None => input_last = input_last.max(end),
            }
        }
    }
    let (mut alive, mut most) = (input, input);
    for place in 0..layers.len() {
        alive += bytes[place];
        most = most.max(alive);
        alive -= (0..place).filter(|&from| last[from] == Some(place)).map(|from| bytes[from]).sum::<u64>();
        if place == input_last {
            alive -= input;
        }
    }
    most + input + network.cut(units.end).bytes(rows.len())
}

/// Bytes of maps that `partition` takes on each worker, beside the program and the network.
pub fn maps_of_partition(network: &Network, partition: &Partition) -> Vec<u64> {
    let most = |worker| {
        let strips = partition.blocks.iter();
        strips.map(|block| maps_of_strip(network, &block.span(), block.rows(worker))).max().unwrap_or(0)
    };
    (0..partition.workers()).map(most).collect()
}

/// Bytes that a worker has of `network` once it is loaded, and of the program: what maps come on top of.
pub fn loaded_memory(network: &Network) -> u64 {
    PROGRAM_BYTES + network.kept_bytes()
}

/// The most bytes that a worker has at once while it loads `network`. Folding batch norms makes the weights of all
/// convolutions anew before the old ones go; of dense layers, the largest is there twice.
pub fn loading_memory(network: &Network) -> u64 {
    let weights = |layer: &Layer| layer.weight_bytes;
    let convolves = |layer: &&Layer| {
        matches!(
            layer.kind,
            Kind::Conv | Kind::Pointwise | Kind::Depthwise | Kind::Grouped | Kind::Transposed
        )
    };
    let convolutions = network.layers.iter().filter(convolves).map(weights).sum();
    let largest = network.layers.iter().map(weights).max().unwrap_or(0);
    loaded_memory(network).max(PROGRAM_BYTES + network.weight_bytes() + largest.max(convolutions))
}

/// The most bytes that each worker has at once from when it starts, loads `network` and runs `partition`. What loading
/// gives back lies in pieces too small for maps.
pub fn peak_memory(network: &Network, partition: &Partition) -> Vec<u64> {
    let loading = loading_memory(network);
    let scratch = |maps: u64| SCRATCH_BYTES.min(SCRATCH_OF_MAPS * maps);
    maps_of_partition(network, partition).into_iter().map(|maps| loading + maps + scratch(maps)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::chain;

    #[test]
    fn a_strip_takes_the_maps_that_are_alive_at_once() {
        let network = chain(16, 3);
        let memory = maps_of_strip(&network, &(0..2), Rows::new(0, 4));
        // The second layer reads 5 rows of 8 × 16 values and writes 4; the first reads 6 of 3 × 16.
        let (first, second) = (4 * 16 * (6 * 3 + 5 * 8), 4 * 16 * 8 * (5 + 4));
        assert_eq!(memory, first.max(second) + 4 * 16 * (6 * 3 + 4 * 8));
        assert_eq!(maps_of_strip(&network, &(0..2), Rows::EMPTY), 0);
    }

    #[test]
    fn a_peak_counts_the_weights_that_are_there_twice_while_a_network_is_loaded() {
        let mut network = chain(16, 3);
        let each = network.layers[0].weight_bytes;
        let plan = Partition::single(&network, crate::id::WorkerId(0), 2);
        let maps = maps_of_partition(&network, &plan);
        assert!(maps[0] > 0 && maps[1] == 0);
        assert_eq!(
            peak_memory(&network, &plan),
            [6 * each + (1 + SCRATCH_OF_MAPS) * maps[0], 6 * each].map(|more| PROGRAM_BYTES + more)
        );
        network.layers[1].kind = Kind::Dense;
        network.layers[1].weight_bytes = 1 << 30;
        assert_eq!(loading_memory(&network), PROGRAM_BYTES + 2 * each + 2 * (1 << 30));
        network.layers[1].kept_bytes = 1 << 40;
        assert_eq!(loading_memory(&network), PROGRAM_BYTES + 2 * each + (1 << 40));
    }
}
