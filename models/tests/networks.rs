//! Small networks of the shapes that real ones have, cut and divided at random.

mod support;

use collab_core::network::Split;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::*;

/// A detector: residual backbone with squeeze-excite, upsampled and transposed features joined with early
/// ones, two heads.
fn detector(seed: u64, height: i64) -> (Builder, Vec<String>) {
    let mut b = Builder::new(seed, &[1, 3, height, 32]);
    let x = b.conv("input", (3, 8), 3, 2, [0, 0, 1, 1]);
    let early = b.node("LeakyRelu", &[&x], vec![float("alpha", 0.1)]);
    let y = b.conv_full(&early, (8, 8), [5, 5], [1, 1], [1, 1], [2; 4], 8);
    let y = b.node("HardSwish", &[&y], vec![]);
    let pooled = b.node("GlobalAveragePool", &[&y], vec![]);
    let gate = b.conv(&pooled, (8, 8), 1, 1, [0; 4]);
    let gate = b.node("HardSigmoid", &[&gate], vec![]);
    let y = b.node("Mul", &[&y, &gate], vec![]);
    let y = b.conv(&y, (8, 8), 1, 1, [0; 4]);
    let x = b.node("Add", &[&early, &y], vec![]);
    let deep = b.conv(&x, (8, 12), 3, 2, [1; 4]);
    let deep = b.relu(&deep);
    let scales = b.floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
    let place = text("coordinate_transformation_mode", "half_pixel");
    let up = b.node("Resize", &[&deep, "", &scales], vec![text("mode", "linear"), place]);
    let w = b.weights(&[12, 4, 4, 4], 48);
    let transposed =
        vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1]), ints("kernel_shape", &[4, 4])];
    let up_too = b.node("ConvTranspose", &[&deep, &w], transposed);
    let joined = b.node("Concat", &[&up, &up_too, &x], vec![int("axis", 1)]);
    let head = b.conv(&joined, (24, 10), 3, 1, [1; 4]);
    let boxes = b.conv(&head, (10, 4), 1, 1, [0; 4]);
    let scores = b.conv(&head, (10, 2), 1, 1, [0; 4]);
    let scores = b.node("Sigmoid", &[&scores], vec![]);
    (b.opset(14), vec![boxes, scores])
}

fn inception(seed: u64) -> (Builder, Vec<String>) {
    let mut b = Builder::new(seed, &[1, 3, 40, 24]);
    let x = b.conv("input", (3, 8), 7, 2, [3; 4]);
    let mut x = b.relu(&x);
    let mut channels = 8;
    for _ in 0..2 {
        let one = b.conv(&x, (channels, 4), 1, 1, [0; 4]);
        let three = b.conv(&x, (channels, 3), 1, 1, [0; 4]);
        let three = b.relu(&three);
        let three = b.conv(&three, (3, 6), 3, 1, [1; 4]);
        let five = b.conv(&x, (channels, 2), 5, 1, [2; 4]);
        let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), ints("strides", &[1, 1])];
        let pool = b.node("MaxPool", &[&x], attributes);
        let pool = b.conv(&pool, (channels, 3), 1, 1, [0; 4]);
        let joined = b.node("Concat", &[&one, &three, &five, &pool], vec![int("axis", 1)]);
        x = b.relu(&joined);
        channels = 15;
    }
    let x = b.node("GlobalAveragePool", &[&x], vec![]);
    let x = b.node("Flatten", &[&x], vec![]);
    let x = b.gemm(&x, 15, 10);
    (b, vec![x])
}

fn dense(seed: u64) -> (Builder, Vec<String>) {
    let mut b = Builder::new(seed, &[1, 3, 30, 20]);
    let mut x = b.conv("input", (3, 6), 3, 1, [1; 4]);
    let mut channels = 6;
    for _ in 0..3 {
        let size = [channels];
        let (scale, shift) = (b.weights(&size, 1), b.weights(&size, 1));
        let (mean, variance) =
            (b.weights(&size, 1), b.floats(&format!("v{channels}"), &size, &vec![0.7; channels as usize]));
        let y = b.node("BatchNormalization", &[&x, &scale, &shift, &mean, &variance], vec![]);
        let y = b.relu(&y);
        let y = b.conv(&y, (channels, 5), 3, 1, [1; 4]);
        x = b.node("Concat", &[&x, &y], vec![int("axis", 1)]);
        channels += 5;
    }
    let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    let x = b.node("AveragePool", &[&x], attributes);
    (b, vec![x])
}

/// Channel shuffle: grouped convolutions with a transpose between.
fn shuffle(seed: u64) -> (Builder, Vec<String>) {
    let mut b = Builder::new(seed, &[1, 8, 20, 12]);
    let x = b.conv_full("input", (8, 8), [1, 1], [1, 1], [1, 1], [0; 4], 2);
    let apart = b.integers(&[1, 2, 4, 20, 12]);
    let x = b.node("Reshape", &[&x, &apart], vec![]);
    let x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 1, 3, 4])]);
    let together = b.integers(&[1, 8, 20, 12]);
    let x = b.node("Reshape", &[&x, &together], vec![]);
    let x = b.conv_full(&x, (8, 8), [3, 3], [1, 1], [1, 1], [1; 4], 8);
    let y = b.conv_full(&x, (8, 8), [1, 1], [1, 1], [1, 1], [0; 4], 2);
    let x = b.node("Add", &[&y, "input"], vec![]);
    (b, vec![x])
}

/// Units of ShuffleNet v2: one half of the channels passes by, both are concatenated, shuffled, and split again.
fn split(seed: u64) -> (Builder, Vec<String>) {
    let mut b = Builder::new(seed, &[1, 8, 20, 12]);
    let (apart, together) = (b.integers(&[1, 2, 4, 20, 12]), b.integers(&[1, 8, 20, 12]));
    let [axis, zero, four, eight] = [1, 0, 4, 8].map(|value| b.integers(&[value]));
    let mut x = b.conv_full("input", (8, 8), [1, 1], [1, 1], [1, 1], [0; 4], 1);
    for _ in 0..2 {
        let passed = b.node("Slice", &[&x, &zero, &four, &axis], vec![]);
        let y = b.node("Slice", &[&x, &four, &eight, &axis], vec![]);
        let y = b.conv_full(&y, (4, 4), [3, 3], [1, 1], [1, 1], [1; 4], 4);
        let y = b.conv_full(&y, (4, 4), [1, 1], [1, 1], [1, 1], [0; 4], 1);
        x = b.node("Concat", &[&passed, &y], vec![int("axis", 1)]);
        x = b.node("Reshape", &[&x, &apart], vec![]);
        x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 1, 3, 4])]);
        x = b.node("Reshape", &[&x, &together], vec![]);
    }
    (b, vec![x])
}

/// A network of random operators, one after the other.
fn chain(seed: u64, length: usize) -> (Builder, Vec<String>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut b = Builder::new(seed, &[1, 4, 48, 16]);
    let mut x = "input".to_owned();
    // No map is narrower than this; what shrinks a map is left out where nothing would remain.
    let mut width = 16;
    for _ in 0..length {
        let pads = [0; 4].map(|_: i64| random.random_range(0..2));
        let kind = random.random_range(0..8);
        let kind = if width < 5 && matches!(kind, 1 | 3) { 0 } else { kind };
        let stride = random.random_range(1..3);
        width = match kind {
            1 => (width - 3) / stride + 1,
            3 => (width - 3) / 2 + 1,
            6 => 2 * width,
            _ => width,
        };
        x = match kind {
            0 => b.conv(&x, (4, 4), 3, 1, [1; 4]),
            1 => b.conv(&x, (4, 4), 3, stride, pads),
            2 => b.conv_full(&x, (4, 4), [3, 1], [1, 1], [2, 1], [2, 0, 2, 0], 1),
            3 => {
                let ceil = int("ceil_mode", random.random_range(0..2));
                b.node(
                    "MaxPool",
                    &[&x],
                    vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &pads), ceil],
                )
            }
            4 => {
                let y = b.conv(&x, (4, 4), 1, 1, [0; 4]);
                b.node("Add", &[&x, &y], vec![])
            }
            5 => b.node("Sigmoid", &[&x], vec![]),
            6 => {
                let w = b.weights(&[4, 4, 2, 2], 16);
                b.node(
                    "ConvTranspose",
                    &[&x, &w],
                    vec![ints("strides", &[2, 2]), ints("kernel_shape", &[2, 2])],
                )
            }
            _ => b.conv_full(&x, (4, 4), [5, 5], [1, 1], [1, 1], [2; 4], 4),
        };
    }
    (b, vec![x])
}

fn same_bits((builder, outputs): (Builder, Vec<String>), seed: u64) -> Result<(), TestCaseError> {
    let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let model = builder.model(&names);
    let input = noise(&model, seed);
    let expected = answer(&model, &input);
    prop_assert!(expected.values().iter().any(|value| *value != expected.values()[0]));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let units = model.network().units.len();
    for _ in 0..3 {
        let cuts: Vec<usize> = (1..units).filter(|_| random.random_range(0..3) == 0).collect();
        let found = divided(&model, &input, &cuts, 4, &mut random);
        prop_assert_eq!(differing(&found, &expected), 0, "cuts {:?}", cuts);
    }
    Ok(())
}

/// A convolution, a pool and a classifier on pictures of `[3, 24, 20]`, given with their channels first or last.
fn on_pictures(seed: u64, last: bool) -> (Builder, String) {
    let shape = if last { [1, 24, 20, 3] } else { [1, 3, 24, 20] };
    let mut b = Builder::new(seed, &shape);
    let (mean, scale) = (b.floats("mean", &[], &[0.5]), b.floats("scale", &[], &[2.0]));
    let mut x = b.node("Sub", &["input", &mean], vec![]);
    x = b.node("Mul", &[&x, &scale], vec![]);
    if last {
        x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 3, 1, 2])]);
    }
    let x = b.conv(&x, (3, 8), 3, 1, [1; 4]);
    let x = b.relu(&x);
    let x = b.conv(&x, (8, 8), 3, 2, [1; 4]);
    let x = b.relu(&x);
    (b, x)
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn channels_that_come_last_are_put_first(seed: u64) {
        let [first, last] = [false, true].map(|last| {
            let (b, output) = on_pictures(seed, last);
            b.model(&[&output])
        });
        prop_assert_eq!(&last.network().input.shape, &first.network().input.shape);
        prop_assert!(last.network().units.iter().all(|unit| unit.split == Split::Rows));
        let input = noise(&first, seed);
        prop_assert_eq!(differing(&answer(&last, &input), &answer(&first, &input)), 0);
    }

    #[test]
    fn a_detector_divided_equals_the_whole(seed: u64, height in 16i64..40) {
        same_bits(detector(seed, height / 4 * 4), seed)?;
    }

    #[test]
    fn an_inception_network_divided_equals_the_whole(seed: u64) {
        same_bits(inception(seed), seed)?;
    }

    #[test]
    fn a_dense_network_divided_equals_the_whole(seed: u64) {
        same_bits(dense(seed), seed)?;
    }

    #[test]
    fn a_network_split_and_shuffled_divided_equals_the_whole(seed: u64) {
        same_bits(split(seed), seed)?;
    }

    #[test]
    fn a_shuffled_network_divided_equals_the_whole(seed: u64) {
        same_bits(shuffle(seed), seed)?;
    }

    #[test]
    fn a_chain_of_random_operators_divided_equals_the_whole(seed: u64, length in 2usize..7) {
        same_bits(chain(seed, length), seed)?;
    }
}

#[test]
fn concatenations_are_cuts() {
    let (builder, outputs) = dense(1);
    let model = builder.model(&[&outputs[0]]);
    let network = model.network();
    let joins = network.units.iter().filter(|unit| network.layers[unit.layers.1 as usize - 1].op == "Concat");
    assert_eq!(joins.count(), 3, "{:#?}", network.layers);
    assert!(network.units.iter().all(|unit| unit.split == Split::Rows));
}
