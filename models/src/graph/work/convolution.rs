//! The work of convolutions: what each of the kernels' forms multiplies, copies and reads again.
//!
//! The sizes are those of the kernels, at the widest instruction set ([`collab_kernels::sizes`]).

use collab_core::network::Term;
use collab_kernels::sizes::{
    ALONG, BLOCKS_TRANSFORMED, COLUMNS, COLUMNS_ABREAST, DEPTH, FEW_CHANNELS, FEW_CHANNELS_OF_A_GROUP,
    FEW_GROUPS, IN_PLACE_CHANNELS, PAIRS_TRANSFORMED, PANEL, PANELS_ABREAST, ROWS_TRANSFORMED,
};
use collab_kernels::{Activation, Algorithm, Conv, ConvShape, Layout};

use super::Amounts;

/// Output channels of the narrowest tile.
const TILE_CHANNELS: usize = 4;
/// Pixels of the widest tile, and those that are gathered together.
const TILE_PIXELS: usize = 48;
const GATHERED: usize = 7 * TILE_PIXELS;
/// Values of a vector.
const LANES: usize = 16;
/// Pixels that the last tile of a product computes in vain, or takes as long as, on average.
const RAGGED: f64 = 2.5;

/// The work of all rows of one convolution whose input and output are laid out so, which writes `written` values and adds a
/// `residual` laid out so to them or not.
pub(super) fn of(
    conv: &Conv,
    layouts: [Layout; 2],
    written: f64,
    residual: Option<Layout>,
    amounts: &mut Amounts,
) {
    let shape = conv.shape();
    let rows = written / (shape.out_channels * shape.out_width()) as f64;
    match conv.activation() {
        Activation::HardSwish => amounts.all_rows(Term::HardValues, written),
        Activation::Silu => amounts.all_rows(Term::SiluValues, written),
        _ => {}
    }
    match conv.algorithm() {
        Algorithm::Depthwise => return of_depthwise(shape, layouts, rows, residual.is_some(), amounts),
        _ if conv.transforms_blocks() => {
            of_winograd_blocks(shape, conv.algorithm() == Algorithm::WinogradPairs, rows, amounts);
            if layouts[0] == Layout::Planes {
                amounts.all_rows(Term::DepthwiseCopied, (shape.in_channels * shape.width) as f64 * rows);
            }
        }
        Algorithm::WinogradRows => of_winograd_rows(shape, rows, amounts),
        Algorithm::WinogradPairs => of_winograd_pairs(shape, rows, amounts),
        Algorithm::Dense if conv.broadcasts(layouts) || residual == Some(Layout::Blocks) => {
            of_broadcasts(shape, layouts, rows, amounts);
        }
        Algorithm::Dense => of_product(shape, rows, amounts),
    }
    // Winograd's rows are finished one by one, in whole vectors; tiles of products and blocks end where they like.
    let whole = match conv.algorithm() {
        Algorithm::WinogradRows | Algorithm::WinogradPairs if !conv.transforms_blocks() => {
            shape.out_width().next_multiple_of(LANES) as f64 / shape.out_width() as f64
        }
        _ => 1.0,
    };
    amounts.all_rows(Term::OutputValues, whole * written);
    if residual.is_some() {
        amounts.all_rows(Term::ResidualValues, whole * written);
    }
}

/// A convolution as a product of packed weights with gathered pixels, block by block of its depth.
fn of_product(shape: &ConvShape, rows: f64, amounts: &mut Amounts) {
    let (groups, taps) = (shape.groups, shape.taps());
    let (inputs, outputs) = (shape.in_channels / groups, shape.out_channels / groups);
    let pixels = rows * shape.out_width() as f64;
    let depth = (groups * inputs * taps) as f64;
    let macs = match (groups, taps) {
        (1, 1) => Term::PointwiseMacs,
        (1, _) => Term::DirectMacs,
        _ => Term::GroupedMacs,
    };
    let products = outputs.next_multiple_of(TILE_CHANNELS) as f64 * depth;
    amounts.once(macs, products * RAGGED);
    amounts.all_rows(macs, products * pixels);
    amounts.all_rows(Term::PanelReads, outputs.div_ceil(PANEL) as f64 * depth * pixels);
    let plain = taps == 1 && shape.stride == [1, 1] && shape.out_width() == shape.width;
    let gathered = if shape.stride[1] == 1 { Term::Gathered } else { Term::GatheredStrided };
    let [few, wide] = if groups == 1 { [FEW_CHANNELS, LANES] } else { FEW_CHANNELS_OF_A_GROUP };
    if inputs <= few && taps > 1 && shape.out_width() >= wide {
        // Each row of the map is copied once, not once for every tap.
        let copied = (shape.in_channels * shape.stride[0]) as f64 * rows;
        amounts.all_rows(gathered, copied * shape.width as f64);
        amounts.all_rows(Term::GatherRuns, copied);
    } else if !plain {
        amounts.all_rows(gathered, depth * pixels);
        amounts.all_rows(Term::GatherRuns, depth * pixels / shape.out_width().min(GATHERED) as f64);
    } else if outputs > IN_PLACE_CHANNELS {
        // The rows of a plain map are one row; the last stretch of it is half full on average.
        amounts.all_rows(Term::Packed, depth * pixels);
        amounts.once(Term::GatherRuns, 0.5 * depth);
        amounts.all_rows(Term::GatherRuns, depth * pixels / GATHERED as f64);
    }
    let most = (DEPTH / taps).max(1);
    let step = inputs.div_ceil(inputs.div_ceil(most));
    let blocks = inputs.div_ceil(step);
    amounts.all_rows(Term::SumReloads, (blocks - 1) as f64 * (groups * outputs) as f64 * pixels);
    weights_read(4.0 * shape.weights() as f64, pixels / GATHERED as f64, amounts);
}

/// A convolution whose inputs are broadcast to panels of channels: those of 1×1 layers where they lie, others copied once
/// between zeros, where those of a group lie in planes turned.
fn of_broadcasts(shape: &ConvShape, layouts: [Layout; 2], rows: f64, amounts: &mut Amounts) {
    let (groups, taps) = (shape.groups, shape.taps());
    let pixels = rows * shape.out_width() as f64;
    let panels = (shape.out_channels / groups).div_ceil(PANEL);
    let products = (groups * shape.depth()) as f64 * pixels;
    amounts.all_rows(Term::BlockMacs, (panels * PANEL) as f64 * products);
    amounts.all_rows(Term::PanelReads, panels.div_ceil(PANELS_ABREAST) as f64 * products);
    amounts.once(Term::WeightBytes, 4.0 * shape.weights() as f64);
    let blocks = shape.depth().div_ceil(DEPTH);
    amounts.all_rows(Term::SumReloads, (blocks - 1) as f64 * shape.out_channels as f64 * pixels);
    let copied = (shape.in_channels * shape.stride[0]) as f64 * rows;
    match (groups, taps, layouts[0]) {
        (1, 1, _) | (_, _, Layout::Blocks) => {}
        (1, ..) if layouts[0] == Layout::Planes && shape.in_channels <= FEW_CHANNELS => {
            let gathered = if shape.stride[1] == 1 { Term::Gathered } else { Term::GatheredStrided };
            amounts.all_rows(gathered, copied * shape.width as f64);
            amounts.all_rows(Term::GatherRuns, copied);
        }
        _ => amounts.all_rows(Term::DepthwiseCopied, copied * shape.width as f64),
    }
}

/// Weights pass by once for each block of pixels, of which the whole map has `blocks`: once for any rows of a map that is one
/// block, half a time more on average than blocks are filled where there are many.
fn weights_read(bytes: f64, blocks: f64, amounts: &mut Amounts) {
    let blocks = blocks.max(1.0);
    amounts.once(Term::WeightBytes, bytes * (0.5 + 0.5 / blocks));
    amounts.all_rows(Term::WeightBytes, bytes * (blocks - 1.0 / blocks));
}

/// Rows of each channel transformed along, two more in each of the bands of `band` rows: vectors of groups, a row at a time, or
/// of several rows that were copied side by side, twice, where one would leave half of a vector idle.
fn of_rows_along(shape: &ConvShape, groups: usize, rows: f64, band: f64, amounts: &mut Amounts) {
    let (inputs, read) = (shape.in_channels, rows * (1.0 + 2.0 / band));
    let several = 2 * groups <= LANES;
    let filled = if several { groups } else { groups.next_multiple_of(LANES) };
    let values = (ALONG * inputs * filled) as f64;
    amounts.once(Term::WinogradValues, 2.0 * values);
    amounts.all_rows(Term::WinogradValues, values * read);
    if several {
        let copies = (2 * inputs) as f64;
        amounts.once(Term::GatherRuns, 2.0 * copies);
        amounts.all_rows(Term::GatherRuns, copies * read);
    }
}

fn of_winograd_rows(shape: &ConvShape, rows: f64, amounts: &mut Amounts) {
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let groups = shape.out_width().div_ceil(COLUMNS);
    let row = ALONG * inputs * groups;
    let fits = |values: usize| (values * shape.groups / row).saturating_sub(2).max(1);
    let [usual, at_most] = ROWS_TRANSFORMED;
    let band = fits(usual).max(fits(at_most).min(FEW_GROUPS.div_ceil(groups)));
    let products = (inputs * ALONG * 3) as f64;
    // Each input is multiplied for its own group's outputs only.
    let of_a_group = outputs / shape.groups;
    let channels = of_a_group.next_multiple_of(TILE_CHANNELS) as f64;
    amounts.once(Term::WinogradMacs, channels * products * RAGGED);
    amounts.all_rows(Term::WinogradMacs, channels * products * groups as f64 * rows);
    amounts.all_rows(Term::PanelReads, of_a_group.div_ceil(PANEL) as f64 * products * groups as f64 * rows);
    of_rows_along(shape, groups, rows, band as f64, amounts);
    amounts.all_rows(Term::WinogradSums, (ALONG * outputs * groups) as f64 * rows);
    weights_read(4.0 * (2 * shape.weights()) as f64, rows / band as f64, amounts);
}

/// Four products down for two rows, and for one that another piece computes the other row of three, which happens once a
/// piece on average.
fn of_winograd_pairs(shape: &ConvShape, rows: f64, amounts: &mut Amounts) {
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let groups = shape.out_width().div_ceil(COLUMNS);
    let of_a_group = [inputs, outputs].map(|channels| channels / shape.groups);
    let most = PAIRS_TRANSFORMED / (4 * ALONG * of_a_group[0] * groups);
    let band = 2 * most.max(FEW_GROUPS.div_ceil(groups));
    let row = (ALONG * inputs * groups) as f64;
    let (alone, paired) = (row, 2.0 * row * rows);
    let channels = of_a_group[1].next_multiple_of(TILE_CHANNELS) as f64;
    amounts.once(Term::WinogradMacs, channels * (alone + (4 * ALONG * inputs) as f64 * RAGGED));
    amounts.all_rows(Term::WinogradMacs, channels * paired);
    let panels = of_a_group[1].div_ceil(PANEL) as f64;
    amounts.once(Term::PanelReads, panels * alone);
    amounts.all_rows(Term::PanelReads, panels * paired);
    // Along, then down, for each pair.
    of_rows_along(shape, groups, rows, band as f64, amounts);
    amounts.once(Term::WinogradValues, 2.0 * alone);
    amounts.all_rows(Term::WinogradValues, paired);
    amounts.all_rows(Term::WinogradSums, (2 * ALONG * outputs * groups) as f64 * rows);
    weights_read(4.0 * (24 * shape.weights() / 9) as f64, rows / band as f64, amounts);
}

/// Either of the two on blocks: products that broadcast, transforms of vectors of channels, those along rows in registers where
/// pairs are transformed down.
fn of_winograd_blocks(shape: &ConvShape, pairs: bool, rows: f64, amounts: &mut Amounts) {
    let (each, points, read) = if pairs { (2, 4 * ALONG, 1) } else { (1, ALONG, 3) };
    let [inside, outside] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
    let groups = shape.out_width().div_ceil(COLUMNS);
    let band = (BLOCKS_TRANSFORMED / (points * inside * groups)).max(FEW_GROUPS.div_ceil(groups));
    let pixels = (points * groups) as f64 * rows / each as f64;
    // A row whose pair another piece computes the other row of: once a piece on average.
    let alone = if pairs { (ALONG * groups) as f64 } else { 0.0 };
    let products = (shape.in_channels * read) as f64;
    for (term, count) in [
        (Term::BlockMacs, outside.next_multiple_of(PANEL)),
        (Term::PanelReads, outside.div_ceil(PANEL).div_ceil(PANELS_ABREAST)),
    ] {
        amounts.once(term, count as f64 * products * alone);
        amounts.all_rows(term, count as f64 * products * pixels);
    }
    let blocks = (inside * read).div_ceil(DEPTH);
    amounts.all_rows(Term::SumReloads, ((blocks - 1) * shape.out_channels) as f64 * pixels);
    amounts.all_rows(Term::WinogradValues, shape.in_channels as f64 * pixels);
    amounts.all_rows(Term::WinogradSums, shape.out_channels as f64 * pixels);
    let bytes = 4.0 * (points * read * shape.weights()) as f64 / 9.0;
    weights_read(bytes, rows / (each * band) as f64, amounts);
}

/// Vectors of channels side by side: pixels are turned, a few columns at once computed, and turned back, unless maps lie in
/// blocks.
fn of_depthwise(shape: &ConvShape, layouts: [Layout; 2], rows: f64, residual: bool, amounts: &mut Amounts) {
    let (width, multiple) = (shape.out_width(), shape.out_channels / shape.in_channels);
    let panels = shape.in_channels.div_ceil(PANEL);
    let pixel = (panels * PANEL) as f64;
    let written = (multiple * width) as f64 * pixel * rows;
    amounts.all_rows(Term::DepthwiseMacs, shape.taps() as f64 * written);
    let read = pixel * (shape.width * shape.stride[0]) as f64 * rows;
    match layouts[0] {
        Layout::Planes => {
            let reach = (shape.kernel[0] - 1) * shape.dilation[0] + 1;
            let again = reach.saturating_sub(shape.stride[0]);
            amounts.once(Term::DepthwiseCopied, pixel * (shape.width * again) as f64);
            amounts.all_rows(Term::DepthwiseCopied, read);
        }
        Layout::Blocks => amounts.all_rows(Term::BytesRead, 4.0 * read),
    }
    amounts.all_rows(
        Term::DepthwiseColumns,
        (panels * multiple * width.div_ceil(COLUMNS_ABREAST)) as f64 * rows,
    );
    if layouts[1] == Layout::Planes {
        amounts.all_rows(Term::DepthwiseValues, written);
    }
    if residual {
        amounts.all_rows(Term::ResidualValues, (shape.out_channels * width) as f64 * rows);
    }
}
