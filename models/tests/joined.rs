//! Layers that are computed together, in bands or blocks or by several threads, yield what each of them yields by itself.

mod support;

use collab_models::{Model, Team};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use support::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Maps of more than a megabyte are passed on in bands; where every layer is computed for itself they are not.
    #[test]
    fn layers_computed_in_bands_equal_the_whole(
        seed: u64, height in 118i64..150, width in 140i64..160, kinds in prop::collection::vec(0..6, 1..4),
        kernel in 1i64..4, stride in 1i64..4, pad in 0i64..2, ceil: bool, last_is_pool: bool, threads in 1usize..4,
    ) {
        let mut b = Builder::new(seed, &[1, 16, height, width]);
        let mut x = b.conv("input", (16, 16), 3, 1, [1; 4]);
        for kind in kinds {
            let pool = || vec![ints("kernel_shape", &[3, 3]), ints("strides", &[1, 1]), ints("pads", &[1; 4])];
            x = match kind {
                0 => b.conv_full(&x, (16, 16), [3, 3], [1, 1], [1, 1], [1; 4], 16),
                1 => b.conv_full(&x, (16, 16), [5, 3], [1, 1], [2, 1], [4, 1, 4, 1], 1),
                2 => b.node("AveragePool", &[&x], pool()),
                3 => b.node("MaxPool", &[&x], pool()),
                4 => b.node("LRN", &[&x], vec![int("size", 3), float("alpha", 1e-2), float("beta", 0.75)]),
                _ => {
                    let x = b.conv(&x, (16, 16), 1, 1, [0; 4]);
                    b.node("Add", &[&x, "input"], vec![])
                }
            };
        }
        let pad = pad.min(kernel - 1);
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("pads", &[pad, 0, 0, pad]),
            int("ceil_mode", i64::from(ceil)),
        ];
        x = match last_is_pool {
            true => b.node("AveragePool", &[&x], attributes),
            false => b.conv(&x, (16, 24), kernel, stride, [pad, 0, 0, pad]),
        };
        let model = b.model(&[&x]).with_team(Team::new(threads));
        units_alone_equal_joined_ones(&model, seed)?;
    }

    /// Where a vector holds a block these layers pass blocks on, where each is computed for itself planes.
    #[test]
    fn layers_that_pass_blocks_on_equal_the_whole(
        seed: u64, height in 9i64..40, width in 9i64..40, kinds in prop::collection::vec(0..8, 2..6),
        stem in 1i64..4, stride in 1i64..3, threads in 1usize..4,
    ) {
        let mut b = Builder::new(seed, &[1, stem, height, width]);
        let mut x = b.conv("input", (stem, 32), 3, 2, [1; 4]);
        for kind in kinds {
            x = match kind {
                0 => b.conv_full(&x, (32, 32), [3, 3], [1, 1], [1, 1], [1; 4], 32),
                1 => b.conv_full(&x, (32, 32), [3, 5], [1, 1], [1, 1], [1, 2, 1, 2], 2),
                2 => b.conv(&x, (32, 32), 1, 1, [0; 4]),
                3 => {
                    let wide = b.conv(&x, (32, 72), 1, 1, [0; 4]);
                    let wide = b.conv_full(&wide, (72, 72), [3, 3], [1, 1], [1, 1], [1; 4], 72);
                    b.conv(&wide, (72, 32), 1, 1, [0; 4])
                }
                4 => {
                    let y = b.conv_full(&x, (32, 32), [3, 3], [1, 1], [1, 1], [1; 4], 2);
                    let y = b.conv(&y, (32, 32), 1, 1, [0; 4]);
                    b.node("Add", &[&y, &x], vec![])
                }
                // A bottleneck, one that halves the map, and a pool.
                5 => {
                    let y = b.conv(&x, (32, 16), 1, 1, [0; 4]);
                    let y = b.conv(&y, (16, 16), 3, 1, [1; 4]);
                    let y = b.conv(&y, (16, 32), 1, 1, [0; 4]);
                    b.node("Add", &[&y, &x], vec![])
                }
                6 => {
                    let y = b.conv(&x, (32, 48), 1, 1, [0; 4]);
                    let y = b.conv(&y, (48, 48), 3, 2, [1; 4]);
                    let y = b.conv(&y, (48, 32), 1, 1, [0; 4]);
                    let skipped = b.conv(&x, (32, 32), 1, 2, [0; 4]);
                    b.node("Add", &[&y, &skipped], vec![])
                }
                _ => {
                    let pool = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[1, 1]), ints("pads", &[1; 4])];
                    b.node("MaxPool", &[&x], pool)
                }
            };
        }
        x = b.conv_full(&x, (32, 64), [3, 3], [stride; 2], [1, 1], [1; 4], 2);
        x = b.conv(&x, (64, 24), 1, 1, [0; 4]);
        let model = b.model(&[&x]).with_team(Team::new(threads));
        units_alone_equal_joined_ones(&model, seed)?;
    }
}

/// Every unit computed for itself, whole, yields what all of them yield as one block, in one strip and in several.
fn units_alone_equal_joined_ones(model: &Model, seed: u64) -> Result<(), TestCaseError> {
    let input = noise(model, seed);
    let cuts: Vec<usize> = (1..model.network().units.len()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let expected = divided(model, &input, &cuts, 1, &mut random);
    for strips in [1, 2, 3] {
        let found = divided(model, &input, &[], strips, &mut random);
        prop_assert_eq!(differing(&found, &expected), 0, "{} strips", strips);
    }
    Ok(())
}

/// Layers large enough to be worth several threads, of every family.
#[test]
fn several_threads_give_the_bits_of_one() {
    let mut b = Builder::new(11, &[1, 3, 61, 67]);
    let x = b.conv("input", (3, 32), 5, 1, [2; 4]);
    let x = b.relu(&x);
    let lrn = vec![int("size", 5), float("alpha", 1e-2), float("beta", 0.75), float("bias", 1.5)];
    let x = b.node("LRN", &[&x], lrn);
    let y = b.conv_full(&x, (32, 32), [3, 3], [1, 1], [1, 1], [1; 4], 32);
    let y = b.conv(&y, (32, 48), 1, 1, [0; 4]);
    let z = b.conv(&x, (32, 48), 3, 1, [1; 4]);
    let x = b.node("Add", &[&y, &z], vec![]);
    let x = b.relu(&x);
    let x = b.conv_full(&x, (48, 96), [3, 3], [1, 1], [2, 2], [2; 4], 4);
    let attributes = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), int("ceil_mode", 1)];
    let x = b.node("MaxPool", &[&x], attributes);
    let w = b.weights(&[96, 24, 4, 4], 96 * 4);
    let attributes =
        vec![ints("kernel_shape", &[4, 4]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])];
    let x = b.node("ConvTranspose", &[&x, &w], attributes);
    let x = b.node("Flatten", &[&x], vec![]);
    let x = b.gemm(&x, 24 * 60 * 66, 50);
    let alone = b.model(&[&x]);
    let input = noise(&alone, 11);
    let expected = answer(&alone, &input);
    for threads in [2, 3, 5] {
        let model = alone.clone().with_team(Team::new(threads));
        assert_eq!(differing(&answer(&model, &input), &expected), 0, "{threads} threads");
    }
}
