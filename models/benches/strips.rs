//! How long a worker takes to prepare its strips again, what it then holds, and what cutting costs when it runs.
//!
//! `cargo bench --workspace --bench strips`. The network is VGG-like, where none is named: its weights are what makes
//! preparing slow.

use std::time::Duration;

use collab_core::id::Digest;
use collab_core::rows::Rows;
use collab_models::{LayerTimes, LoadOptions, Map, Model, Strip, catalogue};

#[path = "../tests/support/mod.rs"]
mod support;

fn main() {
    divan::main();
}

/// Ten 3×3 convolutions of 64 to 256 channels on 64×64 pixels, 7.6 MB of weights.
fn network() -> Model {
    let mut b = support::Builder::new(1, &[1, 3, 64, 64]);
    let mut x = "input".to_owned();
    let mut from = 3;
    for (index, to) in [64, 64, 128, 128, 128, 256, 256, 256, 256, 256].into_iter().enumerate() {
        let y = b.conv(&x, (from, to), 3, if index == 2 || index == 5 { 2 } else { 1 }, [1; 4]);
        x = b.relu(&y);
        from = to;
    }
    let proto = b.proto(&[&x]);
    Model::from_onnx(proto, Digest([0; 32]), &LoadOptions::default()).expect("the network loads")
}

/// A network of the catalogue.
fn named(name: &str) -> Model {
    let entry = catalogue::find(name).expect("the catalogue has it");
    Model::load(&entry.bytes(7), &LoadOptions::default()).expect("it loads")
}

/// The strips of worker `worker` of `workers`, blocks of so many units; a block that cannot be divided is the first
/// worker's.
fn share(model: &Model, worker: u32, workers: u32, length: usize) -> Vec<Strip> {
    let units = model.network().units.len();
    let blocks = (0..units).step_by(length).map(|start| start..(start + length).min(units));
    let strip = |block: std::ops::Range<usize>| {
        let rows = model.network().cut(block.end).rows;
        let part = Rows::new(rows * worker / workers, rows * (worker + 1) / workers);
        let whole = || (worker == 0).then(|| Rows::all(rows));
        let part = Some(part).filter(|part| !part.is_empty());
        part.and_then(|part| model.strip(block.clone(), part).ok())
            .or_else(|| model.strip(block.clone(), whole()?).ok())
    };
    blocks.filter_map(strip).collect()
}

/// The strips of the second of three workers, blocks of two units.
fn plan(model: &Model) -> Vec<Strip> {
    share(model, 1, 3, 2)
}

/// Every unit a block of its own: the most strips that a plan can have.
#[divan::bench(args = catalogue::names(), sample_count = 9, sample_size = 1)]
fn replan_one_worker_warm_of(bencher: divan::Bencher, name: &str) {
    let model = named(name);
    let kept = share(&model, 1, 3, 1);
    bencher.bench(|| share(&model, 1, 3, 1));
    drop(kept);
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn replan_one_worker_cold(bencher: divan::Bencher) {
    bencher.with_inputs(network).bench_values(|model| plan(&model));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn replan_one_worker_warm(bencher: divan::Bencher) {
    let model = network();
    let kept = plan(&model);
    bencher.bench(|| plan(&model));
    drop(kept);
}

fn run(strip: &mut Strip, times: &mut LayerTimes) -> Map {
    let input = Map::zeros(strip.input_cut(), strip.input_rows());
    strip.run(input, &mut || Duration::ZERO, times).expect("the strip runs")
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn run_whole(bencher: divan::Bencher) {
    let model = network();
    let mut whole = model.whole().expect("the network can be prepared");
    let mut times = LayerTimes::new(model.network());
    bencher.bench_local(|| run(&mut whole, &mut times));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn run_every_unit_by_itself(bencher: divan::Bencher) {
    let model = network();
    let network = model.network();
    let units = 0..network.units.len();
    let strip = |unit: usize| model.strip(unit..unit + 1, Rows::all(network.cut(unit + 1).rows));
    let mut strips: Vec<Strip> = units.map(|unit| strip(unit).expect("the strip can be prepared")).collect();
    let mut times = LayerTimes::new(network);
    bencher.bench_local(|| {
        let mut map = Map::zeros(network.input.cut, Rows::all(network.input.cut.rows));
        for strip in &mut strips {
            map = strip.run(map, &mut || Duration::ZERO, &mut times).expect("the strip runs");
        }
        map
    });
}
