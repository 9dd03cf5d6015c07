//! The networks that ship with collab, on their photos: right, and the same bits however they are divided.

mod support;

use collab_core::network::Split;
use collab_core::rows::Rows;
use collab_models::pixels::{self, Inputs, Shape};
use collab_models::{LayerTimes, LoadOptions, Map, Model, catalogue};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::*;

const CASES: [(&str, &str, &[u8]); 5] = [
    (
        "efficientnet_lite0",
        "chelsea_224",
        include_bytes!("../data/golden/efficientnet_lite0_224_w8__chelsea_224.f32"),
    ),
    (
        "efficientnet_lite0",
        "coffee_224",
        include_bytes!("../data/golden/efficientnet_lite0_224_w8__coffee_224.f32"),
    ),
    (
        "efficientnet_lite0",
        "rocket_224",
        include_bytes!("../data/golden/efficientnet_lite0_224_w8__rocket_224.f32"),
    ),
    (
        "tiny_face_detector",
        "astronaut_416",
        include_bytes!("../data/golden/tiny_face_detector_416__astronaut_416.f32"),
    ),
    ("upconv7", "coffee_128", include_bytes!("../data/golden/upconv7_photo_x2_128__coffee_128.f32")),
];

fn load(name: &str) -> Model {
    let entry = catalogue::find(name).expect("the catalogue has it");
    let options = LoadOptions { name: name.to_owned(), pixels: Some(entry.pixels()), input_shape: None };
    Model::load(&entry.bytes(0), &options).expect("it loads")
}

fn photo(model: &Model, name: &str) -> Map {
    let input = &model.network().input;
    let shape = Shape::of_input(&input.shape).expect("it starts from pictures");
    let frame = Inputs::open(name, 0).expect("the photo is there").frame(0, shape, 1).expect("it fits");
    let mut map = Map::zeros(input.cut, Rows::all(input.cut.rows));
    let pixels = input.pixels.as_ref().expect("it starts from pictures");
    pixels::normalise(pixels, frame.picture.planes(), map.values_mut()).expect("the sizes fit");
    map
}

#[test]
fn every_shipped_network_answers_as_its_golden_and_the_same_however_divided() {
    for (name, picture, golden) in CASES {
        let model = load(name);
        let input = photo(&model, picture);
        let whole = answer(&model, &input);
        let golden: Vec<f32> =
            golden.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let range = golden.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert_eq!(whole.values().len(), golden.len());
        for (found, expected) in whole.values().iter().zip(&golden) {
            assert!((found - expected).abs() <= 1e-3 * range, "{name} on {picture}: {found}, {expected}");
        }
        let units = model.network().units.len();
        let mut random = ChaCha8Rng::seed_from_u64(units as u64);
        let cuts: Vec<usize> = (1..units).filter(|_| random.random_range(0..3) == 0).collect();
        let divided = divided(&model, &input, &cuts, 3, &mut random);
        assert_eq!(differing(&divided, &whole), 0, "{name} on {picture}, cut at {cuts:?}");
    }
}

#[test]
fn times_of_layers_add_up_to_the_run_and_every_layer_has_some() {
    let model = load("efficientnet_lite0");
    let mut whole = model.whole().expect("the network can be prepared");
    let mut times = LayerTimes::new(model.network());
    let mut ticks = 0;
    let mut clock = || {
        ticks += 1;
        std::time::Duration::from_millis(ticks)
    };
    let input = noise(&model, 1);
    whole.run(input, &mut clock, &mut times).expect("the network runs");
    assert!(times.layers().iter().all(|time| !time.is_zero()), "{times:?}");
    // A tick before the run and one after each operator: all but that of the input fall to layers.
    assert_eq!(times.total().as_millis() as u64, ticks - 2);
}

#[test]
fn tails_of_classifiers_are_divided_by_features() {
    let model = load("efficientnet_lite0");
    let features = model.network().units.iter().filter(|unit| unit.split == Split::Features).count();
    assert_eq!(features, 1);
}

/// On ARM the engine would have channels last behind every second cut of this network.
#[test]
fn maps_have_their_channels_first_at_every_cut_on_every_machine() {
    let model = load("efficientnet_lite0");
    let network = model.network();
    let maps =
        (0..network.units.len()).take_while(|&unit| !matches!(network.units[unit].split, Split::Whole(_)));
    let cuts: Vec<_> = maps.map(|unit| network.cut(unit)).collect();
    assert!(cuts.len() > 20, "{cuts:?}");
    for cut in cuts {
        assert!(cut.outer >= 3 && cut.rows == cut.inner, "{cut:?}");
    }
}
