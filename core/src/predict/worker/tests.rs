//! A device with a hidden law, and what is learnt of it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::network::samples::named;
use crate::predict::{Costs, FleetCosts, LinkCost, sounding};

/// A device with a hidden law, measured with noise.
struct Device {
    network: Network,
    law: Vec<LayerCost>,
    rng: ChaCha8Rng,
    slower: f64,
    share: f64,
}

impl Device {
    fn new(seed: u64) -> Self {
        let network = named("squeezenet").unwrap_or_else(|| named("vgg16").unwrap());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let law = assumed_shape(&network);
        let law = law
            .iter()
            .map(|cost| LayerCost { call_ms: 0.02, row_ms: cost.row_ms * rng.random_range(0.6..1.6) });
        let law = law.collect();
        Self { network, law, rng, slower: 1.0, share: 1.0 }
    }

    fn run(&mut self, part: f64) -> TimedBlock {
        let mut block = TimedBlock { pieces: 1, ..TimedBlock::default() };
        for (layer, law) in self.law.iter().enumerate() {
            let rows = (f64::from(self.network.layers[layer].output.rows) * part).ceil() as u32;
            let noise = 1.0 + 0.02 * self.rng.random_range(-1.0..1.0);
            let ms = law.pieces_ms(1, rows) * noise * self.slower / self.share;
            block.layers.push(TimedLayer { layer, rows, ms });
        }
        block
    }

    /// The relative error of the block's total for a part of the rows.
    fn error(&self, memory: &WorkerMemory, part: f64) -> f64 {
        let costs = memory.costs(&self.network, &assumed_shape(&self.network)).layers;
        let total = |costs: &[LayerCost]| -> f64 {
            let rows = |layer: usize| (f64::from(self.network.layers[layer].output.rows) * part).ceil();
            costs.iter().enumerate().map(|(layer, cost)| cost.pieces_ms(1, rows(layer) as u32)).sum()
        };
        total(&costs) / total(&self.law) / self.slower - 1.0
    }
}

#[test]
fn one_run_alone_predicts_strips_and_live_runs_predict_them_better() {
    for seed in 0..10 {
        let mut device = Device::new(seed);
        let shape = assumed_shape(&device.network);
        let mut memory = WorkerMemory::new(&device.network, None);
        assert!(!memory.is_known());
        let blocks = [device.run(1.0)];
        memory.learn(&device.network, &blocks, 1.0, &shape);
        let alone = device.error(&memory, 0.3);
        assert!(alone.abs() < 0.1, "seed {seed}: {alone}");
        for _ in 0..10 {
            let blocks = [device.run(0.3)];
            memory.learn(&device.network, &blocks, 1.0, &shape);
        }
        let live = device.error(&memory, 0.3);
        assert!(live.abs() < 0.02, "seed {seed}: {live}");
    }
}

#[test]
fn a_commanded_share_changes_nothing_and_an_uncommanded_slowdown_only_the_scale() {
    let mut device = Device::new(1);
    let shape = assumed_shape(&device.network);
    let mut memory = WorkerMemory::new(&device.network, None);
    for _ in 0..10 {
        let blocks = [device.run(0.4)];
        memory.learn(&device.network, &blocks, 1.0, &shape);
    }
    device.share = 0.6;
    for _ in 0..5 {
        let blocks = [device.run(0.4)];
        assert_eq!(memory.learn(&device.network, &blocks, 0.6, &shape), None);
    }
    assert!((memory.scale().factor() - 1.0).abs() < 0.03);
    device.slower = 1.7;
    let changes: Vec<f64> = (0..5)
        .filter_map(|_| {
            let blocks = [device.run(0.4)];
            memory.learn(&device.network, &blocks, 0.6, &shape)
        })
        .collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!((changes[0] / 1.7 - 1.0).abs() < 0.05);
    assert!(device.error(&memory, 0.4).abs() < 0.03);
    assert!(device.error(&memory, 0.8).abs() < 0.12, "rows it was not computed for are slower as well");
}

#[test]
fn a_profile_prices_a_network_that_never_ran() {
    let device = Device::new(2);
    let profile = crate::predict::fit(
        &(1..40)
            .map(|rows| {
                let work = device.network.work(0);
                let ms = 0.01 + device.law[0].row_ms * f64::from(rows);
                crate::predict::Sample::new(&work, rows, ms)
            })
            .collect::<Vec<_>>(),
    );
    let memory = WorkerMemory::new(&device.network, Some(&profile));
    assert!(memory.is_known());
    let cost = memory.costs(&device.network, &[]).layers[0];
    assert!((cost.ms(20) / (0.01 + 20.0 * device.law[0].row_ms) - 1.0).abs() < 0.02);
}

#[test]
fn what_layers_take_at_cuts_is_told_from_what_they_take_inside_blocks() {
    let network = named("vgg16").unwrap();
    let shape = assumed_shape(&network);
    let at_cuts = CutCost { read_ms: 2e-8, write_ms: 2e-7 };
    let law = WorkerCosts { layers: shape.clone(), at_cuts, ..WorkerCosts::default() };
    let truth = FleetCosts::new(vec![law], |_, _| LinkCost::new(1.0, 0.0));
    let timed = |units: Range<usize>, rows: Rows| {
        let mut layers = Vec::new();
        truth.strip_layers(&network, 0, &units, rows, &mut |layer, rows, ms| {
            layers.push(TimedLayer { layer, rows, ms });
        });
        let read = network.demand(&units, rows).input.len();
        let (bytes_in, bytes_made) =
            (network.cut(units.start).bytes(read), network.cut(units.end).bytes(rows.len()));
        TimedBlock { units, rows, layers, pieces: 1, bytes_in, bytes_made, ..TimedBlock::default() }
    };
    let whole = timed(0..network.units.len(), Rows::all(network.cut(network.units.len()).rows));
    let plan = sounding(&network, &[true; 3]);
    let blocks = plan.blocks.iter().filter(|block| !block.rows(1).is_empty());
    let share: Vec<TimedBlock> = blocks.map(|block| timed(block.span(), block.rows(1))).collect();
    let mut memory = WorkerMemory::new(&network, None);
    memory.rehearse(&network, &[whole], 1.0);
    memory.rehearse(&network, &share, 1.0);
    let found = memory.costs(&network, &shape);
    assert!((found.at_cuts.write_ms / at_cuts.write_ms - 1.0).abs() < 0.1, "{:?}", found.at_cuts);
    let found = FleetCosts::new(vec![found], |_, _| LinkCost::new(1.0, 0.0));
    for units in [1..2, 1..4, 3..4] {
        let rows = Rows::new(20, 40);
        let (told, true_ms) =
            (found.strip_ms(&network, 0, &units, rows), truth.strip_ms(&network, 0, &units, rows));
        assert!((told / true_ms - 1.0).abs() < 0.03, "{units:?}: {told} of {true_ms}");
    }
}
