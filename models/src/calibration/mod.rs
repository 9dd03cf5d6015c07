//! Calibration: small synthetic networks that together exercise every kind of operation that the engine
//! executes, and the strips of them that are timed.
//!
//! The lab and a worker build the same networks from here, so layer times alone travel between them. Each
//! network is a chain, so that a layer finds the caches as another layer left them. The first few cover every
//! kind; those after them add shapes, and some have weights that no cache holds. So a calibration that ends early lacks
//! precision and what such weights cost, not kinds.

mod chains;

use std::ops::Range;

use collab_core::id::Digest;
use collab_core::network::{Network, Split};
use collab_core::rows::Rows;
use sha2::{Digest as _, Sha256};

use crate::load::{LoadError, LoadOptions, Model};
use crate::recipe::weights::Weights;

/// The version of the networks and of what is timed of them. It must change whenever either does.
pub const VERSION: u32 = 10;

/// How many networks there are.
pub fn count() -> usize {
    chains::CHAINS.len()
}

/// Builds the synthetic network `index`; `None` past the last one.
///
/// The same index gives the same network on every machine.
pub fn network(index: usize) -> Option<Result<Model, LoadError>> {
    let chain = chains::CHAINS.get(index)?;
    let name = format!("calibration {VERSION}.{index}");
    let id = Digest(Sha256::digest(name.as_bytes()).into());
    let proto = chains::build(chain, &name, Weights::new(id));
    Some(Model::from_onnx(proto, id, &LoadOptions { name, ..LoadOptions::default() }))
}

/// The strips of a synthetic network that are timed, in this order: the network as one block, then blocks of
/// one to three units with half the rows of their output, then such with a few.
pub fn strips(network: &Network) -> Vec<(Range<usize>, Rows)> {
    let units = network.units.len();
    let mut strips = vec![(0..units, Rows::all(network.cut(units).rows))];
    for (share, lengths) in [(2, [2, 3, 1]), (6, [3, 1, 2])] {
        let mut start = 0;
        for length in lengths.into_iter().cycle() {
            let end = block_end(network, start, length);
            if end == start {
                break;
            }
            let rows = network.cut(end).rows;
            let some = rows.div_ceil(share).max(2);
            if some < rows && network.units[start..end].iter().all(divides) {
                let first = (rows - some) / 2;
                strips.push((start..end, Rows::new(first, first + some)));
            }
            start = end;
        }
    }
    strips
}

/// Up to `length` units from `start` on, all divided alike.
fn block_end(network: &Network, start: usize, length: usize) -> usize {
    let rest = network.units.iter().skip(start).take(length);
    start + rest.take_while(|unit| unit.split == network.units[start].split).count()
}

fn divides(unit: &collab_core::network::Unit) -> bool {
    !matches!(unit.split, Split::Whole(_))
}

/// The engine with what was chosen for this device: times that another one took say nothing about it.
pub fn engine(threads: usize) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match threads {
        1 => format!("collab {version} calibration {VERSION}"),
        _ => format!("collab {version} calibration {VERSION} on {threads} threads"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use collab_core::network::Term;

    use super::*;

    /// How often the timed strips exercise each term of work.
    fn exercised(indices: std::ops::Range<usize>) -> BTreeMap<Term, u32> {
        let mut counts = BTreeMap::new();
        for index in indices {
            let model = network(index).unwrap().unwrap();
            let network = model.network();
            for (units, rows) in strips(network) {
                let demand = network.demand(&units, rows);
                let layers = network.layers_of(&units).zip(&demand.layers);
                for (layer, _) in layers.filter(|(_, rows)| !rows.is_empty()) {
                    network.work(layer).iter().for_each(|work| *counts.entry(work.term).or_default() += 1);
                }
            }
        }
        counts
    }

    #[test]
    fn every_term_is_timed_often_enough_and_the_first_four_networks_have_all() {
        let all = exercised(0..count());
        let rare: Vec<_> = all.iter().filter(|(_, count)| **count < 4).collect();
        assert!(rare.is_empty(), "{rare:?}");
        let first = exercised(0..4);
        let late: Vec<_> = all.into_keys().filter(|term| !first.contains_key(term)).collect();
        assert_eq!(late, [Term::MemoryBytes, Term::MemoryRows], "these take a large network");
    }

    #[test]
    fn every_synthetic_network_is_cut_into_units_and_every_strip_of_it_can_be_prepared() {
        for index in 0..count() {
            let model = network(index).unwrap().unwrap();
            let network = model.network();
            for (units, rows) in strips(network) {
                model.strip(units.clone(), rows).unwrap_or_else(|error| panic!("{index} {units:?}: {error}"));
            }
        }
        assert!(network(count()).is_none());
    }
}
