//! Our operators compute what the engine's own compute, within 1e-5 of the output's range.

mod support;

use collab_core::network::Term;
use collab_models::{Map, Unmodified};
use proptest::prelude::*;
use rand::RngExt;
use support::*;

/// Adds `count` operators of arithmetic that may follow a product, drawn at random; `residual` is a map like `x`.
fn arithmetic(b: &mut Builder, mut x: String, residual: &str, channels: i64, count: usize) -> String {
    for _ in 0..count {
        let kind = b.random().random_range(0..11);
        let by_channel = b.weights(&[channels, 1, 1], 1);
        let value = b.random().random_range(0.25f32..1.0);
        x = match kind {
            0 => b.node("Add", &[&x, &by_channel], vec![]),
            1 => b.node("Sub", &[&x, &by_channel], vec![]),
            2 => b.node("Sub", &[&by_channel, &x], vec![]),
            3 => b.node("Mul", &[&by_channel, &x], vec![]),
            4 => {
                let name = format!("divisor{value}");
                let divisor = b.floats(&name, &[], &[value]);
                b.node("Div", &[&x, &divisor], vec![])
            }
            5 => b.node("Add", &[residual, &x], vec![]),
            6 => b.relu(&x),
            7 => {
                let (low, high) = (format!("low{value}"), format!("high{value}"));
                let low = b.floats(&low, &[], &[-value]);
                let high = b.floats(&high, &[], &[2.0 * value]);
                b.node("Clip", &[&x, &low, &high], vec![])
            }
            8 => b.node("LeakyRelu", &[&x], vec![float("alpha", value)]),
            9 => b.node("HardSwish", &[&x], vec![]),
            _ => {
                let gate = b.node("Sigmoid", &[&x], vec![]);
                b.node("Mul", &[&x, &gate], vec![])
            }
        };
    }
    x
}

/// Computes the network by both and compares.
fn agree(builder: Builder, output: &str, seed: u64) -> Result<(), TestCaseError> {
    let proto = builder.opset(14).proto(&[output]);
    let theirs = Unmodified::load(&prost::Message::encode_to_vec(&proto)).expect("tract knows the network");
    let model = loaded(proto);
    let input = noise(&model, seed);
    let expected = theirs.run(input.values()).expect("tract runs the network");
    let found: Map = answer(&model, &input);
    prop_assert_eq!(found.values().len(), expected.len());
    let range = expected.iter().fold(1e-3, |most: f32, value| most.max(value.abs()));
    for (found, expected) in found.values().iter().zip(&expected) {
        prop_assert!((found - expected).abs() <= 1e-5 * range, "{} is not {} of {}", found, expected, range);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn convolutions_and_what_follows_them(
        seed: u64, kernel in [1i64..6, 1i64..6], strides in [1i64..4, 1i64..4], dilations in [1i64..3, 1i64..3],
        pads in [0i64..4, 0i64..4, 0i64..4, 0i64..4], group in prop::sample::select(vec![1i64, 2, 4, 16]),
        height in 12i64..24, width in 12i64..24, multiple in 1i64..3, count in 0usize..6,
    ) {
        let reach = |axis: usize| (kernel[axis] - 1) * dilations[axis];
        let pads = [pads[0].min(reach(0)), pads[1].min(reach(1)), pads[2].min(reach(0)), pads[3].min(reach(1))];
        let mut b = Builder::new(seed, &[1, 16, height, width]);
        let channels = 16 * multiple;
        let conv = |b: &mut Builder| {
            b.conv_full("input", (16, channels), kernel, strides, dilations, pads, group)
        };
        let residual = conv(&mut b);
        let x = conv(&mut b);
        let x = arithmetic(&mut b, x, &residual, channels, count);
        agree(b, &x, seed)?;
    }

    #[test]
    fn transposed_convolutions_and_what_follows_them(
        seed: u64, kernel in [1i64..6, 1i64..6], strides in [1i64..4, 1i64..4], crop in [0i64..3, 0i64..3, 0i64..3, 0i64..3],
        group in prop::sample::select(vec![1i64, 2, 4]), height in 4i64..12, count in 0usize..5,
    ) {
        let pads: Vec<i64> = crop.iter().enumerate().map(|(at, &crop)| crop.min(kernel[at % 2] - 1)).collect();
        let mut b = Builder::new(seed, &[1, 8, height, 7]);
        let conv = |b: &mut Builder| {
            let w = b.weights(&[8, 12 / group, kernel[0], kernel[1]], 8 * kernel[0] * kernel[1]);
            let attributes = vec![
                ints("kernel_shape", &kernel), ints("strides", &strides), ints("pads", &pads), int("group", group),
            ];
            b.node("ConvTranspose", &["input", &w], attributes)
        };
        let residual = conv(&mut b);
        let x = conv(&mut b);
        let x = arithmetic(&mut b, x, &residual, 12, count);
        agree(b, &x, seed)?;
    }

    #[test]
    fn pools_normalisations_shuffles_and_dense_layers(
        seed: u64, max: bool, kernel in 1i64..5, stride in 1i64..4, pads in [0i64..4, 0i64..4, 0i64..4, 0i64..4],
        ceil: bool, count_padding: bool, height in 8i64..20, count in 0usize..5,
    ) {
        let mut b = Builder::new(seed, &[1, 12, height, 11]);
        let pads = pads.map(|pad| pad.min(kernel - 1));
        let mut attributes = vec![
            ints("kernel_shape", &[kernel, kernel]), ints("strides", &[stride, stride]), ints("pads", &pads),
            int("ceil_mode", i64::from(ceil)),
        ];
        if !max {
            attributes.push(int("count_include_pad", i64::from(count_padding)));
        }
        let x = b.conv_full("input", (12, 12), [1, 1], [1, 1], [1, 1], [0; 4], 3);
        let x = b.relu(&x);
        let (apart, together) = (b.integers(&[1, 3, 4, height, 11]), b.integers(&[1, 12, height, 11]));
        let x = b.node("Reshape", &[&x, &apart], vec![]);
        let x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 1, 3, 4])]);
        let shuffled = b.node("Reshape", &[&x, &together], vec![]);
        let x = b.node(if max { "MaxPool" } else { "AveragePool" }, &[&shuffled], attributes);
        let lrn = vec![int("size", 5), float("alpha", 1e-2), float("beta", 0.75), float("bias", 1.5)];
        let x = b.node("LRN", &[&x], lrn);
        let x = arithmetic(&mut b, x.clone(), &x, 12, count);
        let gate = b.node("GlobalAveragePool", &[&x], vec![]);
        let x = b.node("Mul", &[&gate, &x], vec![]);
        let pooled = b.node("GlobalAveragePool", &[&x], vec![]);
        let pooled = arithmetic(&mut b, pooled.clone(), &gate, 12, count);
        let flat = b.node("Flatten", &[&pooled], vec![]);
        let x = b.gemm(&flat, 12, 12);
        let x = b.node("Add", &[&x, &flat], vec![]);
        let x = b.relu(&x);
        let x = b.gemm(&x, 12, 20);
        agree(b, &x, seed)?;
    }

    #[test]
    fn concatenations_that_are_shuffled_and_split(seed: u64, height in 8i64..20, leaky: bool) {
        let mut b = Builder::new(seed, &[1, 12, height, 11]);
        let (apart, together) = (b.integers(&[1, 2, 6, height, 11]), b.integers(&[1, 12, height, 11]));
        let [axis, zero, six, twelve] = [1, 0, 6, 12].map(|value| b.integers(&[value]));
        let mut x = b.conv_full("input", (12, 12), [1, 1], [1, 1], [1, 1], [0; 4], 1);
        for _ in 0..2 {
            let passed = b.node("Slice", &[&x, &zero, &six, &axis], vec![]);
            let y = b.node("Slice", &[&x, &six, &twelve, &axis], vec![]);
            let y = b.conv_full(&y, (6, 6), [3, 3], [1, 1], [1, 1], [1; 4], 6);
            x = b.node("Concat", &[&passed, &y], vec![int("axis", 1)]);
            if leaky {
                x = b.node("LeakyRelu", &[&x], vec![]);
            }
            x = b.node("Reshape", &[&x, &apart], vec![]);
            x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 1, 3, 4])]);
            x = b.node("Reshape", &[&x, &together], vec![]);
        }
        agree(b, &x, seed)?;
    }

    #[test]
    fn products_over_shuffled_channels(
        seed: u64, groups in prop::sample::select(vec![2i64, 3, 4]), height in 3i64..12, count in 0usize..4,
    ) {
        let build = || {
            let mut b = Builder::new(seed, &[1, 12, height, 11]);
            let apart = b.integers(&[1, groups, 12 / groups, height, 11]);
            let together = b.integers(&[1, 12, height, 11]);
            let x = b.node("Reshape", &["input", &apart], vec![]);
            let x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 1, 3, 4])]);
            let shuffled = b.node("Reshape", &[&x, &together], vec![]);
            let product = b.conv_full(&shuffled, (12, 20), [1, 1], [1, 1], [1, 1], [0; 4], 1);
            let x = arithmetic(&mut b, product.clone(), &product, 20, count);
            (b, x)
        };
        let (b, x) = build();
        let model = loaded(b.opset(14).proto(&[&x]));
        let ours = |layer: usize| model.network().work(layer).iter().all(|work| work.term != Term::OtherMacs);
        prop_assert!((0..model.network().layers.len()).all(ours), "the engine computes it");
        let (b, x) = build();
        agree(b, &x, seed)?;
    }

    #[test]
    fn resizes_and_pads(
        seed: u64, mode in prop::sample::select(vec!["nearest", "linear", "cubic"]),
        place in prop::sample::select(vec!["half_pixel", "align_corners", "asymmetric"]),
        padding in prop::sample::select(vec!["constant", "reflect", "edge"]), pads in [0i64..4, 0i64..4, 0i64..4, 0i64..4],
        height in 5i64..20, to in [2i64..45, 2i64..30],
    ) {
        let mut b = Builder::new(seed, &[1, 3, height, 9]);
        let amounts = b.integers(&[0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]]);
        let value = b.floats("value", &[], &[0.5]);
        let x = b.node("Pad", &["input", &amounts, &value], vec![text("mode", padding)]);
        let sizes = b.integers(&[1, 3, to[0], to[1]]);
        let attributes = vec![text("mode", mode), text("coordinate_transformation_mode", place)];
        let x = b.node("Resize", &[&x, "", "", &sizes], attributes);
        agree(b, &x, seed)?;
    }
}
