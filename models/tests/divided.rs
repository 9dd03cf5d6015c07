//! Every network of the catalogue: the same bits however many threads compute however many strips, on every
//! instruction set of the machine.

mod support;

use collab_core::rows::Rows;
use collab_models::{Isa, LayerTimes, LoadOptions, Model, Spares, Team, catalogue};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::*;

fn load(name: &str, isa: Isa) -> Model {
    let entry = catalogue::find(name).expect("the catalogue has it");
    Model::load_for(&entry.bytes(3), &LoadOptions::default(), isa).expect("it loads")
}

/// Cuts for random blocks of `model`.
fn cuts(model: &Model, random: &mut ChaCha8Rng) -> Vec<usize> {
    (1..model.network().units.len()).filter(|_| random.random_range(0..3) == 0).collect()
}

#[test]
fn strips_on_several_threads_give_the_bits_of_the_whole_on_one() {
    for name in catalogue::names() {
        let alone = load(name, Isa::best());
        let input = noise(&alone, 5);
        let expected = answer(&alone, &input);
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for threads in [1, 2, 3] {
            let team = Team::new(threads);
            let model = alone.clone().with_team(team);
            assert_eq!(differing(&answer(&model, &input), &expected), 0, "{name}, {threads} threads");
            let cuts = cuts(&model, &mut random);
            let found = divided(&model, &input, &cuts, 3, &mut random);
            assert_eq!(differing(&found, &expected), 0, "{name}, {threads} threads, cut at {cuts:?}");
        }
    }
}

#[test]
fn a_strip_that_runs_again_takes_the_memory_of_its_run_before() {
    for name in ["squeezenet", "mobilenet_v2", "upconv7"] {
        let model = load(name, Isa::best());
        let mut strip = model.strip(0..4, Rows::new(5, 30)).expect("a strip can be prepared");
        let spares = Spares::default();
        let mut places = || {
            let input = spares.map(strip.input_cut(), strip.input_rows());
            let from = input.values().as_ptr();
            let mut times = LayerTimes::new(model.network());
            let output = strip.run(input, &mut no_clock(), &mut times).expect("a strip runs");
            (from, output.values().as_ptr())
        };
        assert_eq!(places(), places(), "{name}");
    }
}

/// The kernels' own tests force every instruction set on single layers; this one on whole graphs.
#[test]
fn strips_equal_the_whole_on_every_instruction_set_and_these_agree() {
    for name in ["mobilenet_v2", "squeezenet", "tiny_face_detector"] {
        let mut best = None;
        for isa in Isa::available() {
            let model = load(name, isa);
            let input = noise(&model, 9);
            let expected = answer(&model, &input);
            let mut random = ChaCha8Rng::seed_from_u64(9);
            let cuts = cuts(&model, &mut random);
            let found = divided(&model, &input, &cuts, 3, &mut random);
            assert_eq!(differing(&found, &expected), 0, "{name} on {isa:?}, cut at {cuts:?}");
            let best = best.get_or_insert_with(|| expected.values().to_vec());
            let range = best.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            for (one, other) in best.iter().zip(expected.values()) {
                assert!((one - other).abs() <= 1e-5 * range, "{name} on {isa:?}: {one}, {other}");
            }
        }
    }
}
