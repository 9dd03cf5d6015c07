//! Maps in blocks of channels instead of planes: the same bits.

use super::case::{Case, cases, groups_of_whole_blocks};
use super::common::{bits, config};
use collab_kernels::{Algorithm, Isa, Layout, Map, Scratch, Share, Strip};
use proptest::prelude::*;

/// Values of planes with channels in `layout`, and back; what fills the last block is `filling`.
fn laid_out(values: &[f32], channels: usize, layout: Layout, filling: f32) -> Vec<f32> {
    let pixels = values.len() / channels;
    let [planes, width] = layout.as_planes(channels, 1);
    let mut out = vec![filling; planes * width * pixels];
    for (channel, plane) in values.chunks_exact(pixels).enumerate() {
        for (pixel, &value) in plane.iter().enumerate() {
            out[place(channel, pixel, pixels, layout)] = value;
        }
    }
    out
}

fn place(channel: usize, pixel: usize, pixels: usize, layout: Layout) -> usize {
    let [_, lanes] = layout.as_planes(1, 1);
    (channel / lanes * pixels + pixel) * lanes + channel % lanes
}

/// The rows from `first` on with the layer's maps laid out so, as planes; `None` where it does not take that.
fn run(case: &Case, isa: Isa, first: usize, [from, to]: [Layout; 2]) -> Option<Vec<f32>> {
    let conv = case.conv(isa);
    let residual = case.residual();
    if !conv.takes([from, to]) || residual.is_some() && to == Layout::Blocks {
        return None;
    }
    let (rows, out_width) = (case.out_rows() - first, case.shape.out_width());
    let input = laid_out(&case.input(), case.shape.in_channels, from, f32::NAN);
    let [planes, width] = from.as_planes(case.shape.in_channels, case.shape.width);
    let strip = Strip {
        input: Map::new(&input, planes, case.in_rows, width).unwrap(),
        top: case.top,
        bottom: case.bottom,
        rows: first..first + rows,
        residual: case.residual_map(&residual).map(|map| map.rows_between(first, first + rows)),
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
        for layouts in
            [[Layout::Planes, Layout::Blocks], [Layout::Blocks, Layout::Planes], [Layout::Blocks; 2]]
        {
            if let Some(output) = run(case, isa, first, layouts) {
                assert_eq!(bits(&expected), bits(&output), "{isa:?}, {layouts:?}");
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
        assert!(!taken(Algorithm::Dense, isa, [Layout::Blocks, Layout::Planes]), "3×3");
        assert!(taken(Algorithm::Dense, isa, [Layout::Planes; 2]));
    }
}
