//! The work of a layer, by physical term, from the operators that the engine executes.
//!
//! An amount is linear in the rows of the layer's output: so much once for every piece in which the layer is
//! computed, so much for every row. What is fused into an operator counts with it. The constants are those of
//! the kernels in `collab_kernels`: what they do in tiles and blocks is counted in tiles and blocks, as far as
//! that does not depend on the number of rows.

mod convolution;
mod engine;

use std::any::Any;
use std::collections::BTreeMap;

use collab_core::network::{Kind, Term, Work};
use collab_kernels::{Layout, Pool, Resample as Resampling, Taps};
use tract_onnx::tract_core::internal::*;

use super::cut;
use super::steps::{Source, Step};
use crate::operators::{Among, Convolution, Gate, GlobalPool, Own, Pooling, Resample, choose, lies};

/// Bytes of a network's weights, as they are kept, beyond which they are gone from a core's own caches when they are needed
/// again.
const NO_CORE_HOLDS: u64 = 2 << 20;
/// The same, gone from every cache.
const NO_CACHE_HOLDS: u64 = 32 << 20;

/// Amounts by term: once a piece, and for all rows.
#[derive(Default)]
struct Amounts(BTreeMap<Term, (f64, f64)>);

impl Amounts {
    fn once(&mut self, term: Term, amount: f64) {
        self.0.entry(term).or_default().0 += amount;
    }

    fn all_rows(&mut self, term: Term, amount: f64) {
        self.0.entry(term).or_default().1 += amount;
    }
}

/// The work of the layer whose steps are `members`, in a network that keeps so many bytes of weights.
pub(super) fn of(steps: &[Step], members: &[usize], layouts: &[Layout], network_bytes: u64) -> Vec<Work> {
    let last = &steps[members[members.len() - 1]];
    let rows = f64::from(cut(&last.shape, last.split.along).rows.max(1));
    let mut amounts = Amounts::default();
    amounts.once(Term::Call, 1.0);
    let executed: Vec<usize> =
        members.iter().copied().filter(|&member| !is_renaming(&steps[member])).collect();
    amounts.once(Term::Step, executed.len().saturating_sub(1) as f64);
    for at in executed {
        let step = &steps[at];
        from_afar(step, network_bytes, &mut amounts);
        let lies = lies(at, &among(steps, at), layouts);
        match (convolution(step), step.op.downcast_ref::<Own>()) {
            (Some(layer), _) => {
                let residual = (maps(step) > 1).then_some(lies.added);
                let ends = ends(steps, at, layouts);
                convolution::of(&layer.conv, ends, volume(&step.shape), residual, &mut amounts);
            }
            (None, Some(own)) => of_ours(steps, step, own, lies.input, &mut amounts),
            (None, None) => engine::of(steps, step, &mut amounts),
        }
    }
    let entries = amounts.0.into_iter().filter(|(_, (once, all))| *once > 0.0 || *all > 0.0);
    entries.map(|(term, (call, all))| Work { term, call, row: all / rows }).collect()
}

/// A renaming of axes that moves nothing.
fn is_renaming(step: &Step) -> bool {
    step.op.downcast_ref::<AxisOp>().is_some_and(|op| !matches!(op, AxisOp::Move(..)))
}

fn convolution(step: &Step) -> Option<&Convolution> {
    (&*step.op.downcast_ref::<Own>()?.0 as &dyn Any).downcast_ref()
}

/// How the map lies that each step yields, see [`choose`].
pub(super) fn layouts(steps: &[Step]) -> Vec<Layout> {
    choose(&(0..steps.len()).map(|at| among(steps, at)).collect::<Vec<_>>())
}

/// Step `at` among the others, the last of which yields the network's output.
fn among(steps: &[Step], at: usize) -> Among<'_> {
    let step = &steps[at];
    Among {
        operator: step.op.downcast_ref::<Own>().map(|own| &*own.0),
        inputs: step.sources.iter().map(yielded_by).collect(),
        yields: at + 1 == steps.len(),
    }
}

/// How the maps lie that step `at` reads and writes, where it is computed together with what is before and behind it.
fn ends(steps: &[Step], at: usize, layouts: &[Layout]) -> [Layout; 2] {
    let reader = (at + 1..steps.len()).find(|&reader| first_source(&steps[reader]) == Some(at));
    let behind = reader.map_or(layouts[at], |reader| layout_before(steps, reader, layouts));
    [layout_before(steps, at, layouts), behind]
}

/// How the map lies that step `at` reads first.
fn layout_before(steps: &[Step], at: usize, layouts: &[Layout]) -> Layout {
    let Some(from) = first_source(&steps[at]) else { return Layout::Planes };
    if layouts[from] == Layout::Blocks {
        return Layout::Blocks;
    }
    let reads =
        |step: &&Step| step.sources.iter().any(|source| matches!(source, Source::Step(s) if *s == from));
    let alone = steps[from + 1..].iter().filter(reads).count() == 1;
    match [from, at].map(|step| convolution(&steps[step])) {
        [Some(layer), Some(next)]
            if alone && layer.suits_blocks_to(layout_before(steps, from, layouts), next) =>
        {
            Layout::Blocks
        }
        _ => Layout::Planes,
    }
}

fn first_source(step: &Step) -> Option<usize> {
    step.sources.first().and_then(yielded_by)
}

/// The step that yields what is read there.
fn yielded_by(source: &Source) -> Option<usize> {
    match source {
        Source::Step(from) => Some(*from),
        _ => None,
    }
}

/// What a step reads apart from constants.
fn maps(step: &Step) -> usize {
    step.sources.iter().filter(|source| !matches!(source, Source::Konst(_))).count()
}

/// The weights of a step that have left the caches. A matrix product begins to wait for each of its rows, and has a price for
/// every byte without this.
fn from_afar(step: &Step, network_bytes: u64, amounts: &mut Amounts) {
    let bytes = step.kept_bytes() as f64;
    let is_dense = step.op.downcast_ref::<Own>().is_some_and(|own| own.0.label().1 == Kind::Dense);
    if network_bytes > NO_CORE_HOLDS && !is_dense {
        amounts.once(Term::FarBytes, bytes);
    }
    if network_bytes > NO_CACHE_HOLDS {
        if is_dense {
            amounts.all_rows(Term::MemoryBytes, bytes);
            amounts.all_rows(Term::MemoryRows, volume(&step.shape));
        } else {
            amounts.once(Term::MemoryBytes, bytes);
        }
    }
}

/// Another operator that our kernels compute.
fn of_ours(steps: &[Step], step: &Step, own: &Own, layout: Layout, amounts: &mut Amounts) {
    let (written, maps) = (volume(&step.shape), maps(step));
    let operator: &dyn Any = &*own.0;
    if let Some(pooling) = operator.downcast_ref::<Pooling>() {
        return of_pool(&pooling.kernel, layout, written, amounts);
    }
    if let Some(resample) = operator.downcast_ref::<Resample>() {
        return of_resample(&resample.kernel, written, amounts);
    }
    if operator.is::<GlobalPool>() {
        amounts.all_rows(Term::ReducedRows, written);
        return amounts.all_rows(Term::Reduced, read(steps, step));
    }
    if maps > 1 && !operator.is::<Gate>() {
        amounts.all_rows(Term::ResidualValues, written);
    }
    match own.0.label() {
        (_, Kind::Transposed) => {
            amounts.all_rows(Term::TransposedMacs, step.macs as f64);
            amounts.all_rows(Term::TransposedValues, written);
            amounts.once(Term::WeightBytes, step.weight_bytes as f64);
        }
        (_, Kind::Dense) => amounts.all_rows(Term::DenseBytes, 4.0 * step.macs as f64),
        (_, Kind::Lrn) => amounts.all_rows(Term::LrnValues, written),
        (text, _) if text.starts_with("HardSwish") => amounts.all_rows(Term::HardValues, written),
        (text, _) if text.starts_with("SiLU") => amounts.all_rows(Term::SiluValues, written),
        (_, Kind::Elementwise) => amounts.all_rows(Term::CheapValues, written),
        // Its inputs are written where they belong, or it is read where it lies.
        _ if (own.0.concatenates() || own.0.begins().is_some())
            && step.sources.iter().all(|source| is_ours(steps, source)) => {}
        (_, Kind::Move) => amounts.all_rows(Term::BytesMoved, 4.0 * written),
        _ => amounts.all_rows(Term::OtherBytes, 4.0 * (written + read(steps, step))),
    }
}

/// Whether an operator of ours yields what is read.
fn is_ours(steps: &[Step], source: &Source) -> bool {
    matches!(source, Source::Step(from) if steps[*from].op.is::<Own>())
}

/// A pool combines rows first, then columns; of channels side by side all in the same way.
fn of_pool(pool: &Pool, layout: Layout, written: f64, amounts: &mut Amounts) {
    let rows = written / pool.out_width.max(1) as f64;
    amounts.all_rows(Term::PoolTaps, rows * (pool.width * pool.kernel[0]) as f64);
    let split = pool.stride[1] > 1 && layout == Layout::Planes;
    let columns = if split { Term::PoolStridedTaps } else { Term::PoolTaps };
    amounts.all_rows(columns, written * pool.kernel[1] as f64);
    let [_, abreast] = layout.as_planes(1, 1);
    amounts.all_rows(Term::PoolRows, rows / abreast as f64);
}

/// Columns are gathered one by one, but for stretches of them, in every row that is read; rows are moved or summed.
fn of_resample(resample: &Resampling, written: f64, amounts: &mut Amounts) {
    let (rows, width) = (resample.rows.len(), resample.columns.len());
    let gathered = match &resample.columns {
        Taps::Copies { run, .. } => (width - run.len()) as f64,
        Taps::Blends { window, .. } => (width * window) as f64 / 2.0,
    };
    let (read, term, amount) = match &resample.rows {
        Taps::Copies { sources, .. } => {
            let repeated = sources.windows(2).filter(|pair| pair[0] == pair[1]).count();
            (rows - repeated, Term::BytesMoved, 4.0 * written)
        }
        Taps::Blends { .. } => {
            let reaches = || (0..rows).filter_map(|row| resample.rows.reach(row));
            let first = reaches().map(|reach| reach.0).min().unwrap_or(0);
            (reaches().map(|reach| reach.1 + 1).max().unwrap_or(0) - first, Term::CheapValues, written)
        }
    };
    let channels = written / (rows * width).max(1) as f64;
    amounts.all_rows(Term::ResizedValues, channels * read as f64 * gathered);
    amounts.all_rows(term, amount);
}

/// Values that a step reads and that are no constants.
fn read(steps: &[Step], step: &Step) -> f64 {
    let read = step.sources.iter().filter_map(|source| match source {
        Source::Step(from) => Some(volume(&steps[*from].shape)),
        _ => None,
    });
    read.sum()
}

fn volume(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>() as f64
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_3x3_is_counted_in_winograds_domain() {
        // 32 channels of 40×40 to 48: ten groups of four columns, six products along, four down for each of 20 pairs of rows.
        let (work, rows, macs) = of_layer(0, "l0");
        let products = amount(&work, Term::WinogradMacs, rows);
        let down = (6 * 32 * 10 * 48) as f64;
        let ragged = 2.5 * (4 * 6 * 32 * 48) as f64;
        let beyond = "one more for a row whose pair is cut through, and what the last tile is not filled";
        assert_eq!(products, down * (4.0 * 20.0 + 1.0) + ragged, "{beyond}");
        assert_eq!(3.0 * (products - down - ragged), macs as f64, "a third of those by definition");
        assert_eq!(amount(&work, Term::OutputValues, rows), (48 * 40 * 48) as f64, "in whole vectors");
        assert_eq!(amount(&work, Term::DirectMacs, rows), 0.0);
    }

    #[test]
    fn a_1x1_is_counted_in_tiles_and_its_weights_pass_by_for_every_block_of_pixels() {
        // 256 channels to 128 over 56×56, between maps in planes, gathered for more than 32.
        let (work, rows, macs) = of_layer(17, "l2.few");
        let ragged = 2.5 * (256 * 128) as f64;
        assert_eq!(amount(&work, Term::PointwiseMacs, rows), macs as f64 + ragged);
        assert_eq!(amount(&work, Term::PanelReads, rows), (8 * 256 * 56 * 56) as f64);
        assert_eq!(amount(&work, Term::Packed, rows), (256 * 56 * 56) as f64);
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
            let shape = ConvShape {
                in_channels: 128,
                out_channels: 128,
                groups,
                width: 28,
                kernel: [3, 3],
                stride: [1, 1],
                dilation: [1, 1],
                left: 1,
                right: 1,
            };
            let weights = vec![0.0; shape.weights()];
            let conv = Conv::new(shape, &weights, Epilogue::none(), Algorithm::WinogradPairs, Isa::best());
            let mut amounts = Amounts::default();
            let written = (128 * 28 * 28) as f64;
            convolution::of(&conv.unwrap(), [Layout::Planes; 2], written, None, &mut amounts);
            amounts.0[&Term::WinogradMacs]
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
        assert_eq!(
            amount(&work, Term::Packed, rows),
            0.0,
            "a product that writes blocks reads its map in place"
        );
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
                assert!(
                    work.iter().all(|work| work.call >= 0.0 && work.row >= 0.0),
                    "{index} {layer}: {work:?}"
                );
                assert_eq!(amount(&work, Term::Call, 3), 1.0);
            }
        }
    }
}
