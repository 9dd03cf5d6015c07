//! The promise, operator by operator: strips of any rows equal the whole, bit for bit.

mod support;

use collab_core::network::Split;
use collab_core::rows::Rows;
use collab_models::LayerTimes;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use support::*;
use tract_onnx::pb::AttributeProto;

/// Cuts the network everywhere and nowhere, into random strips, and compares.
fn same_bits(builder: Builder, output: &str, seed: u64, rows_expected: bool) -> Result<(), TestCaseError> {
    let model = builder.model(&[output]);
    let input = noise(&model, seed);
    let expected = answer(&model, &input);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let units = model.network().units.len();
    if rows_expected {
        for unit in &model.network().units {
            prop_assert!(
                unit.split == Split::Rows || unit.output.rows == 1 || unit.split == Split::Features,
                "{unit:?}"
            );
        }
    }
    for cuts in [vec![], (1..units).collect::<Vec<_>>()] {
        for strips in [2, 5] {
            let found = divided(&model, &input, &cuts, strips, &mut random);
            prop_assert_eq!(differing(&found, &expected), 0, "cuts {:?}, {} strips", cuts, strips);
        }
    }
    Ok(())
}

fn pads() -> impl Strategy<Value = [i64; 4]> {
    [0i64..4, 0i64..4, 0i64..4, 0i64..4]
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_convolution_by_rows_equals_the_whole(
        seed: u64, kernel in [1i64..6, 1i64..6], strides in [1i64..4, 1i64..4], dilations in [1i64..3, 1i64..3],
        pads in pads(), group in prop::sample::select(vec![1i64, 2, 4, 16]), height in 12i64..40, width in 1i64..30,
        multiple in 1i64..3,
    ) {
        let reach = |axis: usize| (kernel[axis] - 1) * dilations[axis];
        let pads = [pads[0].min(reach(0)), pads[1].min(reach(1)), pads[2].min(reach(0)), pads[3].min(reach(1))];
        prop_assume!(width + pads[1] + pads[3] > reach(1) && height > reach(0));
        let mut b = Builder::new(seed, &[1, 16, height, width]);
        let x = b.conv_full("input", (16, 16 * multiple), kernel, strides, dilations, pads, group);
        let x = b.relu(&x);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn a_same_padded_convolution_by_rows_equals_the_whole(
        seed: u64, kernel in 1i64..6, stride in 1i64..4, upper: bool, height in 8i64..40,
    ) {
        let mut b = Builder::new(seed, &[1, 8, height, 9]);
        let w = b.weights(&[12, 8, kernel, kernel], 8 * kernel * kernel);
        let auto = if upper { "SAME_UPPER" } else { "SAME_LOWER" };
        let attributes = vec![ints("strides", &[stride, stride]), text("auto_pad", auto)];
        let x = b.node("Conv", &["input", &w], attributes);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn a_pool_by_rows_equals_the_whole(
        seed: u64, max: bool, kernel in 1i64..5, stride in 1i64..4, pads in pads(), ceil: bool, count: bool,
        height in 8i64..40,
    ) {
        let pads = pads.map(|pad| pad.min(kernel - 1));
        let mut b = Builder::new(seed, &[1, 5, height, 11]);
        let mut attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("pads", &pads),
            int("ceil_mode", i64::from(ceil)),
        ];
        if !max {
            attributes.push(int("count_include_pad", i64::from(count)));
        }
        let x = b.node(if max { "MaxPool" } else { "AveragePool" }, &["input"], attributes);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn a_transposed_convolution_by_rows_equals_the_whole(
        seed: u64, kernel in 1i64..6, stride in 1i64..4, dilation in 1i64..3, crop in [0i64..3, 0i64..3],
        extra in 0i64..2, group in prop::sample::select(vec![1i64, 2, 8]), height in 4i64..20,
    ) {
        let extra = extra.min(stride - 1);
        let reach = (kernel - 1) * dilation;
        let crop = crop.map(|crop| crop.min(reach));
        let mut b = Builder::new(seed, &[1, 8, height, 7]);
        let w = b.weights(&[8, 8 / group, kernel, kernel], 8 * kernel);
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("dilations", &[dilation, dilation]),
            ints("pads", &[crop[0], 0, crop[1], 0]),
            ints("output_padding", &[extra, 0]),
            int("group", group),
        ];
        let x = b.node("ConvTranspose", &["input", &w], attributes);
        let x = b.relu(&x);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn a_resize_by_rows_equals_the_whole(
        seed: u64, mode in prop::sample::select(vec!["nearest", "linear", "cubic"]),
        place in prop::sample::select(vec!["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]),
        round in prop::sample::select(vec!["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
        height in 3i64..20, to in [2i64..45, 2i64..30], by_scale: bool, scale in prop::sample::select(vec![0.5f32, 1.5, 2.0, 3.0]),
    ) {
        let mut b = Builder::new(seed, &[1, 3, height, 6]);
        let attributes = vec![
            text("mode", mode),
            text("coordinate_transformation_mode", place),
            text("nearest_mode", round),
        ];
        let x = if by_scale {
            let scales = b.floats("scales", &[4], &[1.0, 1.0, scale, scale]);
            b.node("Resize", &["input", "", &scales], attributes)
        } else {
            let sizes = b.integers(&[1, 3, to[0], to[1]]);
            b.node("Resize", &["input", "", "", &sizes], attributes)
        };
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn a_pad_by_rows_equals_the_whole(
        seed: u64, mode in prop::sample::select(vec!["constant", "reflect", "edge"]), pads in pads(), height in 5i64..20,
    ) {
        let mut b = Builder::new(seed, &[1, 3, height, 6]);
        let amounts = b.integers(&[0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]]);
        let value = b.floats("value", &[], &[0.5]);
        let x = b.node("Pad", &["input", &amounts, &value], vec![text("mode", mode)]);
        let x = b.relu(&x);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn a_layer_normalised_over_channels_and_its_products_are_divided_by_rows(seed: u64, height in 5i64..20) {
        let mut b = Builder::new(seed, &[1, 6, height, 7]);
        let x = b.conv("input", (6, 8), 3, 1, [1; 4]);
        let last = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 3, 1])]);
        let (two, little) = (b.floats("two", &[], &[2.0]), b.floats("little", &[], &[1e-6]));
        let mean = |b: &mut Builder, x: &str| b.node("ReduceMean", &[x], vec![ints("axes", &[-1]), int("keepdims", 1)]);
        let centre = mean(&mut b, &last);
        let x = b.node("Sub", &[&last, &centre], vec![]);
        let squares = b.node("Pow", &[&x, &two], vec![]);
        let variance = mean(&mut b, &squares);
        let variance = b.node("Add", &[&variance, &little], vec![]);
        let deviation = b.node("Sqrt", &[&variance], vec![]);
        let x = b.node("Div", &[&x, &deviation], vec![]);
        let wide = b.weights(&[8, 32], 8);
        let x = b.node("MatMul", &[&x, &wide], vec![]);
        let x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 3, 1, 2])]);
        let x = b.conv(&x, (32, 4), 3, 1, [1; 4]);
        let model = loaded(b.proto(&[&x]));
        prop_assert!(model.network().units.iter().all(|unit| unit.split == Split::Rows), "{:?}", model.network().units);
        let input = noise(&model, seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let found = divided(&model, &input, &[], 3, &mut random);
        prop_assert_eq!(differing(&found, &answer(&model, &input)), 0);
    }

    #[test]
    fn maps_whose_channels_come_last_are_divided_by_rows_too(seed: u64, height in 5i64..20) {
        let mut b = Builder::new(seed, &[1, 3, height, 7]);
        let x = b.conv("input", (3, 8), 3, 1, [1; 4]);
        let x = b.node("Transpose", &[&x], vec![ints("perm", &[0, 2, 3, 1])]);
        let x = b.relu(&x);
        let model = b.model(&[&x]);
        prop_assert!(model.network().units.iter().all(|unit| unit.split == Split::Rows), "{:?}", model.network().units);
        let input = noise(&model, seed);
        let found = divided(&model, &input, &[], 3, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(differing(&found, &answer(&model, &input)), 0);
    }

    #[test]
    fn values_that_differ_by_row_are_divided_with_the_rows(seed: u64, height in 5i64..20) {
        let mut b = Builder::new(seed, &[1, 3, height, 6]);
        let bias = b.weights(&[1, 3, height, 1], 1);
        let x = b.node("Add", &["input", &bias], vec![]);
        let x = b.conv(&x, (3, 4), 3, 1, [1; 4]);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn depth_to_space_and_back_by_rows_equal_the_whole(
        seed: u64, height in 3i64..12, size in 2i64..4, columns: bool,
    ) {
        let mut b = Builder::new(seed, &[1, 3, height * size, 4 * size]);
        let x = b.node("SpaceToDepth", &["input"], vec![int("blocksize", size)]);
        let x = b.conv(&x, (3 * size * size, 2 * size * size), 3, 1, [1; 4]);
        let mode = if columns { "CRD" } else { "DCR" };
        let x = b.node("DepthToSpace", &[&x], vec![int("blocksize", size), text("mode", mode)]);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn slices_strides_and_joins_of_rows_equal_the_whole(seed: u64, height in 10i64..24, step in 1i64..4) {
        let mut b = Builder::new(seed, &[1, 4, height, 5]);
        let (starts, ends, axes, steps) =
            (b.integers(&[1]), b.integers(&[height - 1]), b.integers(&[2]), b.integers(&[step]));
        let x = b.node("Slice", &["input", &starts, &ends, &axes, &steps], vec![]);
        let y = b.conv("input", (4, 4), 3, 2, [1; 4]);
        let y = b.node("Relu", &[&y], vec![]);
        let fewer = b.integers(&[3]);
        let zero = b.integers(&[0]);
        let width = b.integers(&[3]);
        let x = b.node("Slice", &[&x, &zero, &fewer, &width], vec![]);
        let joined = b.node("Concat", &[&x, &y], vec![int("axis", 2)]);
        let z = b.conv(&joined, (4, 6), 3, 1, [1; 4]);
        same_bits(b, &z, seed, true)?;
    }

    #[test]
    fn normalisation_across_channels_by_rows_equals_the_whole(seed: u64, size in 1i64..6, height in 4i64..20) {
        let mut b = Builder::new(seed, &[1, 7, height, 5]);
        let attributes: Vec<AttributeProto> =
            vec![int("size", size), float("alpha", 1e-2), float("beta", 0.75), float("bias", 1.5)];
        let x = b.node("LRN", &["input"], attributes);
        let x = b.node("Softmax", &[&x], vec![int("axis", 1)]);
        let x = b.node("HardSwish", &[&x], vec![]);
        same_bits(b.opset(14), &x, seed, true)?;
    }

    #[test]
    fn squeeze_and_excite_by_rows_equals_the_whole(seed: u64, height in 4i64..20, dense: bool) {
        let mut b = Builder::new(seed, &[1, 6, height, 5]);
        let x = b.conv("input", (6, 8), 3, 1, [1; 4]);
        let pooled = b.node("GlobalAveragePool", &[&x], vec![]);
        let gate = if dense {
            let flat = b.node("Flatten", &[&pooled], vec![]);
            let squeezed = b.gemm(&flat, 8, 3);
            let squeezed = b.relu(&squeezed);
            let excited = b.gemm(&squeezed, 3, 8);
            let shape = b.integers(&[1, 8, 1, 1]);
            b.node("Reshape", &[&excited, &shape], vec![])
        } else {
            let squeezed = b.conv(&pooled, (8, 3), 1, 1, [0; 4]);
            let squeezed = b.relu(&squeezed);
            b.conv(&squeezed, (3, 8), 1, 1, [0; 4])
        };
        let gate = b.node("Sigmoid", &[&gate], vec![]);
        let x = b.node("Mul", &[&x, &gate], vec![]);
        let x = b.conv(&x, (8, 4), 3, 2, [0, 0, 1, 1]);
        same_bits(b, &x, seed, true)?;
    }

    #[test]
    fn dense_layers_by_features_equal_the_whole(seed: u64, features in 2i64..40) {
        let mut b = Builder::new(seed, &[1, 3, 6, 5]);
        let x = b.conv("input", (3, 4), 3, 1, [1; 4]);
        let x = b.node("Flatten", &[&x], vec![]);
        let x = b.gemm(&x, 120, features);
        let x = b.relu(&x);
        let x = b.gemm(&x, features, 17);
        let x = b.node("Softmax", &[&x], vec![int("axis", 1)]);
        let model = b.model(&[&x]);
        let dense = model.network().units.iter().filter(|unit| unit.split == Split::Features);
        prop_assert_eq!(dense.count(), 2, "{:#?}", model.network().units);
        let input = noise(&model, seed);
        let expected = answer(&model, &input);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let cuts: Vec<usize> = (1..model.network().units.len()).collect();
        let found = divided(&model, &input, &cuts, 4, &mut random);
        prop_assert_eq!(differing(&found, &expected), 0);
    }
}

/// The tests of rows would catch a halo that is off by one row: a strip given its neighbour's rows differs.
#[test]
fn rows_shifted_by_one_are_caught() {
    let mut b = Builder::new(7, &[1, 3, 24, 10]);
    let x = b.conv("input", (3, 8), 3, 1, [1; 4]);
    let model = b.model(&[&x]);
    let input = noise(&model, 7);
    let expected = answer(&model, &input);
    let mut strip = model.strip(0..1, Rows::new(8, 16)).expect("the strip can be prepared");
    let rows = strip.input_rows();
    assert_eq!(rows, Rows::new(7, 17));
    let mut times = LayerTimes::new(model.network());
    let mut run = |from: Rows| {
        let mut bytes = Vec::new();
        input.read(from, &mut bytes).expect("the rows are there");
        let mut given = collab_models::Map::zeros(input.cut(), rows);
        given.write(rows, &bytes).expect("the bytes fit");
        strip.run(given, &mut no_clock(), &mut times).expect("the strip runs")
    };
    let wanted = part(&expected, Rows::new(8, 16));
    assert_eq!(differing(&run(rows), &wanted), 0);
    assert!(differing(&run(Rows::new(rows.start + 1, rows.end + 1)), &wanted) > 600);
}
