//! What it takes to predict a run of a whole plan from what a lab has learnt.

use std::sync::Arc;

use collab_core::event::{Event, Host, What, WorkerInfo};
use collab_core::id::{Digest, WorkerId};
use collab_core::lab::Lab;
use collab_core::network::Network;
use collab_core::network::samples::chain;
use collab_core::partition::{Block, Partition};
use collab_core::time::Micros;

const WORKERS: usize = 3;

fn main() {
    divan::main();
}

/// A lab whose workers were measured alone.
fn lab(network: &Network) -> Lab {
    let mut lab = Lab::default();
    let mut tell = |what| lab.apply(&Event { at: Micros(1), what });
    tell(What::NetworkLoaded { network: Arc::new(network.clone()) });
    for worker in (0..WORKERS).map(WorkerId::at) {
        tell(What::WorkerJoined(WorkerInfo {
            worker,
            name: worker.to_string(),
            address: "127.0.0.1:4000".to_owned(),
            fingerprint: Digest([worker.index() as u8; 32]),
            engine: "collab".to_owned(),
            host: Host::default(),
            emulation: None,
            memory_limit: None,
        }));
        tell(What::SingleMeasured { worker, ms: 100.0, compute_ms: 98.0 });
    }
    lab
}

/// 40 units on 3 workers, blocks of this many units: every span and layer, from the workers' memories.
#[divan::bench(args = [1, 2, 4, 8])]
fn a_run_of_40_units_on_3_workers(bencher: divan::Bencher, length: usize) {
    let network = chain(224, 40);
    let lab = lab(&network);
    let units = network.units.len();
    let blocks = (0..units).step_by(length).map(|from| {
        let to = (from + length).min(units);
        Block::shared(from..to, network.cut(to).rows, &[1.0; WORKERS])
    });
    let plan = Partition { blocks: blocks.collect() };
    assert!(lab.predict(&plan).is_some_and(|predicted| predicted.ms > 0.0));
    bencher.bench_local(|| lab.predict(&plan));
}
