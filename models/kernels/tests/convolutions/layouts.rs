//! Maps in blocks of channels instead of planes: the same bits.

use super::case::{Case, cases, groups_of_whole_blocks, whole_blocks, winograd_of_whole_blocks};
use super::common::{bits, config, laid_out, place};
use collab_kernels::{Algorithm, Isa, Layout, Map, Scratch, Share, Strip};
use proptest::prelude::*;

/// The rows from `first` on with the layer's maps laid out so, as planes, and what is added as `added`; `None` where it does
/// not take that.
fn run(case: &Case, isa: Isa, first: usize, [from, to]: [Layout; 2], added: Layout) -> Option<Vec<f32>> {
    let conv = case.conv(isa);
    let residual = case.residual();
    let adds = isa == Isa::Avx512 && conv.adds([from, to], added);
    if !conv.takes([from, to]) || residual.is_some() && !adds {
        return None;
    }
    let residual = residual.map(|values| laid_out(&values, case.shape.out_channels, added, f32::NAN));
    let [planes, width] = added.as_planes(case.shape.out_channels, case.shape.out_width());
    let residual =
        residual.as_deref().map(|values| Map::new(values, planes, case.out_rows(), width).unwrap());
    let (rows, out_width) = (case.out_rows() - first, case.shape.out_width());
    let input = laid_out(&case.input(), case.shape.in_channels, from, f32::NAN);
    let [planes, width] = from.as_planes(case.shape.in_channels, case.shape.width);
    let strip = Strip {
        input: Map::new(&input, planes, case.in_rows, width).unwrap(),
        top: case.top,
        bottom: case.bottom,
        rows: first..first + rows,
        residual: residual.map(|map| map.rows_between(first, first + rows)),
    };
    let [planes, width] = to.as_planes(case.shape.out_channels, out_width);
    let mut output = vec![f32::NAN; planes * rows * width];
    let mut slices: Vec<_> = output.chunks_exact_mut(rows * width).collect();
    // Some channels, then the others, as threads may divide them.
    let (all, step) = (case.shape.out_channels, conv.channel_step());
    let cut = (case.seed as usize / 7 % (all / step + 1) * step).min(all);
    let (some, others) = slices.split_at_mut(to.as_planes(cut, 1)[0]);
    for (channels, slices) in [(0..cut, some), (cut..all, others)] {
        let share = Share { rows: 0..rows, channels };
        conv.run_laid_out(&strip, [from, to], &share, slices, &mut Scratch::new()).unwrap();
    }
    let pixels = rows * out_width;
    let channels = 0..case.shape.out_channels;
    Some(
        channels
            .flat_map(|channel| (0..pixels).map(move |pixel| (channel, pixel)))
            .map(|(channel, pixel)| output[place(channel, pixel, pixels, to)])
            .collect(),
    )
}

fn check(case: &Case) {
    for isa in Isa::available() {
        let whole = case.whole(isa, &mut Scratch::new());
        let first = case.seed as usize % case.out_rows();
        let width = case.shape.out_width();
        let rows = whole.chunks_exact(case.out_rows() * width).flat_map(|plane| &plane[first * width..]);
        let expected: Vec<f32> = rows.copied().collect();
        let both = [Layout::Planes, Layout::Blocks];
        for (layouts, added) in both
            .iter()
            .flat_map(|from| both.map(|to| [*from, to]))
            .flat_map(|pair| both.map(|added| (pair, added)))
        {
            if let Some(output) = run(case, isa, first, layouts, added) {
                assert_eq!(bits(&expected), bits(&output), "{isa:?}, {layouts:?}, {added:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_depthwise_convolution_has_the_same_bits_however_maps_are_laid_out(mut case in cases(Algorithm::Depthwise)) {
        case.shape.out_channels = case.shape.in_channels;
        check(&case);
    }

    #[test]
    fn a_product_has_the_same_bits_however_maps_are_laid_out(
        mut case in cases(Algorithm::Dense), channels in (1..90usize, 1..90usize)
    ) {
        let shape = &mut case.shape;
        (shape.in_channels, shape.out_channels, shape.groups) = (channels.0, channels.1, 1);
        (shape.kernel, shape.stride, shape.dilation) = ([1, 1], [1, 1], [1, 1]);
        (shape.left, shape.right, case.top, case.bottom) = (0, 0, 0, 0);
        check(&case);
    }

    #[test]
    fn an_image_s_convolution_has_the_same_bits_however_maps_are_laid_out(
        mut case in cases(Algorithm::Dense), channels in (1..5usize, 1..90usize)
    ) {
        let shape = &mut case.shape;
        (shape.in_channels, shape.out_channels, shape.groups) = (channels.0, channels.1, 1);
        if shape.kernel == [1, 1] {
            // It reads its own row only, so there are no rows of zeros to read.
            (case.top, case.bottom) = (0, 0);
        }
        check(&case);
    }

    #[test]
    fn a_product_of_every_second_pixel_has_the_same_bits_however_maps_are_laid_out(
        mut case in cases(Algorithm::Dense), channels in (1..90usize, 1..90usize)
    ) {
        let shape = &mut case.shape;
        (shape.in_channels, shape.out_channels, shape.groups) = (channels.0, channels.1, 1);
        (shape.kernel, shape.stride, shape.dilation) = ([1, 1], [2, 2], [1, 1]);
        (shape.left, shape.right, case.top, case.bottom) = (0, 0, 0, 0);
        check(&case);
    }

    #[test]
    fn whole_blocks_have_the_same_bits_however_maps_are_laid_out(case in whole_blocks()) {
        check(&case);
    }

    #[test]
    fn a_product_of_whole_blocks_that_reads_rows_of_zeros_has_the_same_bits_however_maps_are_laid_out(
        mut case in whole_blocks(), stride in 1..3usize
    ) {
        let shape = &mut case.shape;
        (shape.kernel, shape.stride, shape.dilation) = ([1, 1], [stride; 2], [1, 1]);
        (shape.left, shape.right, case.top) = (0, 0, case.top.max(1));
        check(&case);
    }

    #[test]
    fn winograd_s_rows_of_whole_blocks_have_the_same_bits_however_maps_are_laid_out(
        case in winograd_of_whole_blocks(Algorithm::WinogradRows)
    ) {
        check(&case);
    }

    #[test]
    fn winograd_s_pairs_of_whole_blocks_have_the_same_bits_however_maps_are_laid_out(
        case in winograd_of_whole_blocks(Algorithm::WinogradPairs)
    ) {
        check(&case);
    }

    #[test]
    fn groups_of_whole_blocks_have_the_same_bits_however_maps_are_laid_out(case in groups_of_whole_blocks()) {
        check(&case);
    }
}

#[test]
fn vectors_that_hold_a_block_take_blocks() {
    let taken = |algorithm, isa, layouts| super::example(algorithm).conv(isa).takes(layouts);
    for isa in Isa::available() {
        let blocks = isa == Isa::Avx512;
        assert_eq!(taken(Algorithm::Depthwise, isa, [Layout::Blocks; 2]), blocks);
        assert!(!taken(Algorithm::WinogradRows, isa, [Layout::Blocks, Layout::Planes]));
        assert!(!taken(Algorithm::WinogradRows, isa, [Layout::Blocks; 2]), "24 channels are no whole blocks");
        assert!(!taken(Algorithm::Dense, isa, [Layout::Blocks, Layout::Planes]), "3×3");
        assert!(taken(Algorithm::Dense, isa, [Layout::Planes; 2]));
    }
}
