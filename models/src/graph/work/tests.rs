//! What layers are stated to do, against counts by hand.

use collab_kernels::{Algorithm, Conv, ConvShape, Epilogue, Isa};

use super::*;
use crate::calibration;

fn amount(work: &[Work], term: Term, rows: u32) -> f64 {
    work.iter().filter(|work| work.term == term).map(|work| work.amount(rows)).sum()
}

/// The work of the first layer named `name` of a synthetic network.
fn of_layer(network: usize, name: &str) -> (Vec<Work>, u32, u64) {
    let model = calibration::network(network).unwrap().unwrap();
    let network = model.network();
    let index = network.layers.iter().position(|layer| layer.name == name).unwrap();
    let layer = &network.layers[index];
    (network.work(index), layer.output.rows, layer.row_macs * u64::from(layer.output.rows))
}

/// The work of a convolution of stride 1 on maps in planes, of `size` rows and columns.
fn of_planes(
    [in_channels, out_channels]: [usize; 2],
    groups: usize,
    [kernel, size]: [usize; 2],
    algorithm: Algorithm,
) -> Vec<Work> {
    let shape = ConvShape {
        in_channels,
        out_channels,
        groups,
        width: size,
        kernel: [kernel; 2],
        stride: [1, 1],
        dilation: [1, 1],
        left: kernel / 2,
        right: kernel / 2,
    };
    let weights = vec![0.0; shape.weights()];
    let conv = Conv::new(shape, &weights, Epilogue::none(), algorithm, Isa::best()).unwrap();
    let mut amounts = Amounts::default();
    let written = (out_channels * size * size) as f64;
    convolution::of(&conv, [Layout::Planes; 2], written, None, &mut amounts);
    let work = |(term, (call, all)): (_, (f64, f64))| Work { term, call, row: all / size as f64 };
    amounts.0.into_iter().map(work).collect()
}

#[test]
fn a_3x3_of_broken_blocks_is_counted_in_winograds_domain() {
    // 36 channels of 40×40 to 44: ten groups of four columns, six products along, four down for each of 20 pairs of rows.
    let work = of_planes([36, 44], 1, [3, 40], Algorithm::WinogradPairs);
    let products = amount(&work, Term::WinogradMacs, 40);
    let down = (6 * 36 * 10 * 44) as f64;
    let ragged = 2.5 * (4 * 6 * 36 * 44) as f64;
    let beyond = "one more for a row whose pair is cut through, and what the last tile is not filled";
    assert_eq!(products, down * (4.0 * 20.0 + 1.0) + ragged, "{beyond}");
    let by_definition = (44 * 36 * 9 * 40 * 40) as f64;
    assert_eq!(3.0 * (products - down - ragged), by_definition, "a third of those by definition");
    assert_eq!(amount(&work, Term::OutputValues, 40), (44 * 40 * 48) as f64, "in whole vectors");
    assert_eq!(amount(&work, Term::DirectMacs, 40), 0.0);
}

#[test]
fn a_3x3_of_whole_blocks_is_computed_in_blocks_and_planes_are_turned_for_it() {
    // 32 channels of 40×40 to 48.
    let work = of_planes([32, 48], 1, [3, 40], Algorithm::WinogradPairs);
    assert_eq!(amount(&work, Term::WinogradMacs, 40), 0.0);
    assert_eq!(amount(&work, Term::DepthwiseCopied, 40), (32 * 40 * 40) as f64);
    assert_eq!(amount(&work, Term::OutputValues, 40), (48 * 40 * 40) as f64);
}

#[test]
fn a_1x1_is_counted_in_tiles_and_its_weights_pass_by_for_every_block_of_pixels() {
    // 256 channels to 128 over 56×56, gathered for more than 32.
    let work = of_planes([256, 128], 1, [1, 56], Algorithm::Dense);
    let macs = (256 * 128 * 56 * 56) as f64;
    let ragged = 2.5 * (256 * 128) as f64;
    assert_eq!(amount(&work, Term::PointwiseMacs, 56), macs + ragged);
    assert_eq!(amount(&work, Term::PanelReads, 56), (8 * 256 * 56 * 56) as f64);
    assert_eq!(amount(&work, Term::Packed, 56), (256 * 56 * 56) as f64);
    let few = amount(&work, Term::WeightBytes, 1);
    assert!(few >= 0.5 * (4 * 256 * 128) as f64, "{few}");
}

#[test]
fn products_between_blocks_are_broadcast_and_neither_gathered_nor_turned() {
    // 128 channels to 32 over 28×28 and back, before a pool that takes blocks.
    let (work, rows, macs) = of_layer(3, "l6");
    assert_eq!(amount(&work, Term::BlockMacs, rows), macs as f64);
    let turned = [Term::PointwiseMacs, Term::Packed, Term::Gathered];
    assert!(turned.iter().all(|&term| amount(&work, term, rows) == 0.0), "{work:?}");
    let (work, rows, _) = of_layer(3, "l7");
    assert_eq!(amount(&work, Term::PoolStridedTaps, rows), 0.0);
    assert_eq!(amount(&work, Term::PoolRows, rows), (128 * 14 / 16) as f64);
}

#[test]
fn a_3x3_between_blocks_is_a_product_of_blocks_in_winograds_domain() {
    // 256 channels of 14×14 between 1×1 layers: four groups of four columns, six products along, three input rows.
    let (work, rows, macs) = of_layer(19, "l2");
    let products = (256 * 256 * 3 * 6 * 4 * 14) as f64;
    assert_eq!(amount(&work, Term::BlockMacs, rows), products, "of {macs} by definition");
    assert_eq!(amount(&work, Term::WinogradValues, rows), (256 * 6 * 4 * 14) as f64);
    assert_eq!(amount(&work, Term::WinogradMacs, rows), 0.0);
}

#[test]
fn weights_of_a_small_map_pass_by_once_whatever_its_rows() {
    // 256 channels of 14×14 to as many.
    let (work, rows, _) = of_layer(3, "l9");
    let bytes = (4 * 2 * 256 * 128 * 9) as f64;
    for rows in [1, rows / 2, rows] {
        assert_eq!(amount(&work, Term::WeightBytes, rows), bytes);
    }
}

#[test]
fn weights_come_from_afar_in_networks_that_no_core_holds_and_from_memory_in_large_ones() {
    let bytes = |network, layer, term| amount(&of_layer(network, layer).0, term, 1);
    let large = calibration::network(6).unwrap().unwrap();
    let kept = large.network().layers.iter().find(|layer| layer.name == "l8").unwrap().kept_bytes;
    assert_eq!(bytes(6, "l8", Term::FarBytes), kept as f64);
    assert_eq!(bytes(6, "l8", Term::MemoryBytes), kept as f64);
    assert!(bytes(5, "l0", Term::FarBytes) > 0.0, "9 MB");
    assert_eq!(bytes(5, "l0", Term::MemoryBytes), 0.0);
    assert_eq!(bytes(4, "l0", Term::FarBytes), 0.0, "120 KB");
}

#[test]
fn groups_multiply_their_own_channels_only() {
    let products = |groups: usize| {
        let work = of_planes([120, 120], groups, [3, 28], Algorithm::WinogradPairs);
        let work = work.into_iter().find(|work| work.term == Term::WinogradMacs).unwrap();
        (work.call, work.row)
    };
    let ((once, all), (once_of_two, all_of_two)) = (products(1), products(2));
    assert_eq!((once, all), (2.0 * once_of_two, 2.0 * all_of_two));
}

#[test]
fn a_depthwise_of_stride_2_is_counted_by_vectors_of_channels() {
    // 60 channels of 28×28 to 14×14, four vectors of them: seven columns at once.
    let (work, rows, macs) = of_layer(10, "l3");
    assert_eq!(60.0 * amount(&work, Term::DepthwiseMacs, rows), 64.0 * macs as f64);
    assert_eq!(amount(&work, Term::DepthwiseColumns, rows), (4 * 2 * 14) as f64);
    assert_eq!(
        amount(&work, Term::DepthwiseCopied, rows),
        (64 * 28 * (28 + 1)) as f64,
        "a row of another strip"
    );
}

#[test]
fn a_depthwise_between_products_turns_nothing() {
    let (work, rows, macs) = of_layer(9, "l6");
    assert_eq!(amount(&work, Term::DepthwiseMacs, rows), macs as f64);
    assert_eq!(amount(&work, Term::DepthwiseCopied, rows), 0.0);
    assert_eq!(amount(&work, Term::DepthwiseValues, rows), 0.0);
    let (work, rows, _) = of_layer(9, "l4");
    assert_eq!(amount(&work, Term::Packed, rows), 0.0, "a product that writes blocks reads its map in place");
}

#[test]
fn a_concatenation_moves_what_was_not_written_where_it_belongs() {
    let moved = |network| {
        let model = calibration::network(network).unwrap().unwrap();
        let concat = model.network().layers.iter().find(|layer| layer.op == "Concat").unwrap();
        let (work, rows, _) = of_layer(network, &concat.name);
        amount(&work, Term::BytesMoved, rows)
    };
    assert_eq!(moved(0), 0.0, "two convolutions write it");
    assert_eq!(moved(8), f64::from(4 * (96 + 32) * 28 * 28), "the input is copied");
}

#[test]
fn a_residual_counts_with_the_convolution_that_adds_it() {
    let (work, rows, _) = of_layer(0, "l9");
    assert_eq!(amount(&work, Term::ResidualValues, rows), amount(&work, Term::OutputValues, rows));
}

#[test]
fn a_dense_layer_reads_the_weights_of_its_features() {
    let (work, rows, macs) = of_layer(0, "l14");
    assert_eq!(amount(&work, Term::DenseBytes, rows), 4.0 * macs as f64);
    assert_eq!(amount(&work, Term::DenseBytes, rows / 2), 2.0 * macs as f64);
}

#[test]
fn no_amount_is_negative_and_more_rows_are_never_less_work() {
    for index in 0..calibration::count() {
        let model = calibration::network(index).unwrap().unwrap();
        for layer in 0..model.network().layers.len() {
            let work = model.network().work(layer);
            assert!(work.iter().all(|work| work.call >= 0.0 && work.row >= 0.0), "{index} {layer}: {work:?}");
            assert_eq!(amount(&work, Term::Call, 3), 1.0);
        }
    }
}
