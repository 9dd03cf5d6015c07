//! What the strips of many workers hold together.
#![cfg(target_os = "linux")]

mod support;

use collab_core::rows::Rows;
use collab_models::{LayerTimes, LoadOptions, Map, Model, Strip, catalogue};
use support::no_clock;

/// Workers that compute one network together.
const WORKERS: u32 = 8;

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it tells this");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number")
}

/// The strip of worker `worker` of unit `unit`; a unit that cannot be divided is the first worker's.
fn strip(model: &Model, unit: usize, worker: u32) -> Option<Strip> {
    let rows = model.network().cut(unit + 1).rows;
    let part = Rows::new(rows * worker / WORKERS, rows * (worker + 1) / WORKERS);
    let divided = (!part.is_empty()).then(|| model.strip(unit..unit + 1, part).ok()).flatten();
    divided.or_else(|| (worker == 0).then(|| model.strip(unit..unit + 1, Rows::all(rows)).ok()).flatten())
}

/// Alone in its program, as the memory of others would count.
#[test]
fn strips_of_eight_workers_hold_little_more_than_the_weights_once() {
    let before = resident();
    let entry = catalogue::find("vgg16").expect("the catalogue has it");
    let model = Model::load(&entry.bytes(7), &LoadOptions::default()).expect("it loads");
    let weights: u64 = model.network().layers.iter().map(|layer| layer.weight_bytes).sum();
    let units = 0..model.network().units.len();
    let all = units.flat_map(|unit| (0..WORKERS).map(move |worker| (unit, worker)));
    let mut strips: Vec<Strip> = all.filter_map(|(unit, worker)| strip(&model, unit, worker)).collect();
    let mut times = LayerTimes::new(model.network());
    for strip in &mut strips {
        let input = Map::zeros(strip.input_cut(), strip.input_rows());
        strip.run(input, &mut no_clock(), &mut times).expect("the strip runs");
    }
    let held = (resident() - before) as f64 / weights as f64;
    println!("{held:.3} times {weights} bytes of weights");
    assert!(held <= 1.3, "{} strips hold {held:.3} times the weights", strips.len());
}
