//! What a layer makes a processor do: amounts of work by physical term.
//!
//! A predictor multiplies each amount by a coefficient of the device. The terms follow the kernels that the
//! engine executes, because each has its own speed: an amount of one must never be priced as another.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Kind, Layer, Network};

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Once for every piece in which a layer is computed.
    Call,
    /// For every operator of a layer beyond the first that runs by itself.
    Step,
    /// Multiply-accumulates of k×k convolutions computed directly, channels padded to tiles.
    DirectMacs,
    /// Multiply-accumulates of 3×3 convolutions in Winograd's domain, padded to tiles.
    WinogradMacs,
    /// Multiply-accumulates of 1×1 convolutions, channels padded to tiles.
    PointwiseMacs,
    /// Multiply-accumulates of convolutions whose inputs are broadcast to blocks of channels, padded to those.
    BlockMacs,
    /// Multiply-accumulates of depthwise convolutions, channels padded to vectors.
    DepthwiseMacs,
    /// Multiply-accumulates of convolutions with several groups, padded to tiles.
    GroupedMacs,
    /// Multiply-accumulates of transposed convolutions.
    TransposedMacs,
    /// Multiply-accumulates of matrix products with constant weights.
    DenseMacs,
    /// Multiply-accumulates of anything else.
    OtherMacs,
    /// Values gathered into patches before a matrix product.
    Gathered,
    /// The same where a stride leaves values out.
    GatheredStrided,
    /// Stretches of consecutive values that are gathered: the narrower a map, the more.
    GatherRuns,
    /// Values packed into panels before a 1×1 convolution.
    Packed,
    /// Values of packed panels read again for every tile of a matrix product.
    PanelReads,
    /// Sums that a matrix product interrupts: written and read once more.
    SumReloads,
    /// Values transformed into Winograd's domain.
    WinogradValues,
    /// Values transformed back from Winograd's domain.
    WinogradSums,
    /// Values that a convolution writes.
    OutputValues,
    /// Values of another map that are added on an operator's way to memory.
    ResidualValues,
    /// Values that a depthwise convolution turns, so that channels lie side by side.
    DepthwiseCopied,
    /// Groups of columns that a depthwise convolution computes together.
    DepthwiseColumns,
    /// Values that a depthwise convolution turns back and writes.
    DepthwiseValues,
    /// Values that a transposed convolution writes.
    TransposedValues,
    /// Values that a pool combines.
    PoolTaps,
    /// Values that a pool combines where a stride leaves values out.
    PoolStridedTaps,
    /// Rows of channels that a pool yields.
    PoolRows,
    /// Values that a global reduction reads.
    Reduced,
    /// Values that a global reduction yields.
    ReducedRows,
    /// Values normalised over neighbouring channels.
    LrnValues,
    /// Values written by a resize.
    ResizedValues,
    /// Values that pass through arithmetic of a few instructions: additions, products, ReLU.
    CheapValues,
    /// Values that pass through an exponential: sigmoid, tanh, softmax.
    ExpValues,
    /// Values that pass through a hard sigmoid or hard swish.
    HardValues,
    /// Values that pass through a SiLU on an operator's way to memory, or by itself.
    SiluValues,
    /// Bytes of activations read.
    BytesRead,
    /// Bytes of activations written.
    BytesWritten,
    /// Bytes copied without arithmetic.
    BytesMoved,
    /// Bytes that any other operator reads and writes.
    OtherBytes,
    /// Bytes of weights that a convolution reads.
    WeightBytes,
    /// Bytes of weights that a matrix product with one vector reads.
    DenseBytes,
    /// Bytes of weights of convolutions that come from beyond the cores' own caches, in networks whose weights these do not hold.
    FarBytes,
    /// Bytes of weights that come from memory, in networks whose weights no cache holds.
    MemoryBytes,
    /// Rows of weights of a matrix product with one vector that come from memory.
    MemoryRows,
    /// Bytes of a block's input, if the layer is the block's first.
    BlockInput,
    /// Bytes of a block's output, if the layer is the block's last.
    BlockOutput,
}

impl Term {
    /// Every term.
    pub const ALL: [Term; 47] = [
        Term::Call,
        Term::Step,
        Term::DirectMacs,
        Term::WinogradMacs,
        Term::PointwiseMacs,
        Term::BlockMacs,
        Term::DepthwiseMacs,
        Term::GroupedMacs,
        Term::TransposedMacs,
        Term::DenseMacs,
        Term::OtherMacs,
        Term::Gathered,
        Term::GatheredStrided,
        Term::GatherRuns,
        Term::Packed,
        Term::PanelReads,
        Term::SumReloads,
        Term::WinogradValues,
        Term::WinogradSums,
        Term::OutputValues,
        Term::ResidualValues,
        Term::DepthwiseCopied,
        Term::DepthwiseColumns,
        Term::DepthwiseValues,
        Term::TransposedValues,
        Term::PoolTaps,
        Term::PoolStridedTaps,
        Term::PoolRows,
        Term::Reduced,
        Term::ReducedRows,
        Term::LrnValues,
        Term::ResizedValues,
        Term::CheapValues,
        Term::ExpValues,
        Term::HardValues,
        Term::SiluValues,
        Term::BytesRead,
        Term::BytesWritten,
        Term::BytesMoved,
        Term::OtherBytes,
        Term::WeightBytes,
        Term::DenseBytes,
        Term::FarBytes,
        Term::MemoryBytes,
        Term::MemoryRows,
        Term::BlockInput,
        Term::BlockOutput,
    ];

    /// As a screen says it.
    pub fn name(self) -> &'static str {
        match self {
            Term::Call => "call",
            Term::Step => "operators",
            Term::DirectMacs => "MACs k×k",
            Term::WinogradMacs => "MACs Winograd",
            Term::PointwiseMacs => "MACs 1×1",
            Term::BlockMacs => "MACs in blocks",
            Term::DepthwiseMacs => "MACs depthwise",
            Term::GroupedMacs => "MACs grouped",
            Term::TransposedMacs => "MACs transposed",
            Term::DenseMacs => "MACs dense",
            Term::OtherMacs => "MACs other",
            Term::Gathered => "gather",
            Term::GatheredStrided => "gather strided",
            Term::GatherRuns => "gather runs",
            Term::Packed => "packing",
            Term::PanelReads => "panels",
            Term::SumReloads => "sums again",
            Term::WinogradValues => "Winograd in",
            Term::WinogradSums => "Winograd out",
            Term::OutputValues => "outputs",
            Term::ResidualValues => "residual",
            Term::DepthwiseCopied => "dw copies",
            Term::DepthwiseColumns => "dw columns",
            Term::DepthwiseValues => "dw outputs",
            Term::TransposedValues => "transposed outputs",
            Term::PoolTaps => "pool window",
            Term::PoolStridedTaps => "pool strided",
            Term::PoolRows => "pool rows",
            Term::Reduced => "reduction",
            Term::ReducedRows => "reduced",
            Term::LrnValues => "LRN",
            Term::ResizedValues => "resize",
            Term::CheapValues => "elements",
            Term::ExpValues => "exponentials",
            Term::HardValues => "hard swish",
            Term::SiluValues => "SiLU",
            Term::BytesRead => "bytes read",
            Term::BytesWritten => "bytes written",
            Term::BytesMoved => "bytes moved",
            Term::OtherBytes => "bytes other",
            Term::WeightBytes => "weight bytes",
            Term::DenseBytes => "dense weights",
            Term::FarBytes => "weights from afar",
            Term::MemoryBytes => "weights from memory",
            Term::MemoryRows => "rows from memory",
            Term::BlockInput => "block's input",
            Term::BlockOutput => "block's output",
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The amount of one term: `call + rows · row` for `rows` output rows, nothing for none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Of what.
    pub term: Term,
    /// Once for every piece in which the layer is computed.
    pub call: f64,
    /// For every output row.
    pub row: f64,
}

impl Work {
    /// The amount for `rows` output rows.
    pub fn amount(&self, rows: u32) -> f64 {
        if rows == 0 { 0.0 } else { self.call + self.row * f64::from(rows) }
    }
}

impl Network {
    /// The work of layer `layer`, an index into the network's layers: as the engine stated it, else derived
    /// from its kind, its multiply-accumulates and the tensors it touches.
    pub fn work(&self, layer: usize) -> Vec<Work> {
        let stated = &self.layers[layer].work;
        if stated.is_empty() { self.derived_work(&self.layers[layer]) } else { stated.clone() }
    }

    fn derived_work(&self, layer: &Layer) -> Vec<Work> {
        let written = layer.output.row_values() as f64;
        let read: f64 = layer.inputs.iter().map(|edge| self.values_read(layer, *edge)).sum();
        let macs = layer.row_macs as f64;
        let by_row = |term: Term, row: f64| Work { term, call: 0.0, row };
        let mut work = vec![Work { term: Term::Call, call: 1.0, row: 0.0 }];
        match layer.kind {
            Kind::Conv => work.push(by_row(Term::DirectMacs, macs)),
            Kind::Pointwise => work.push(by_row(Term::PointwiseMacs, macs)),
            Kind::Depthwise => work.push(by_row(Term::DepthwiseMacs, macs)),
            Kind::Grouped => work.push(by_row(Term::GroupedMacs, macs)),
            Kind::Transposed => work.push(by_row(Term::TransposedMacs, macs)),
            Kind::Dense => {
                let rows = f64::from(layer.output.rows.max(1));
                work.push(by_row(Term::DenseMacs, macs));
                work.push(by_row(Term::WeightBytes, layer.weight_bytes as f64 / rows));
            }
            Kind::Pool => work.push(by_row(Term::PoolTaps, read)),
            Kind::Lrn => work.push(by_row(Term::LrnValues, written)),
            Kind::Resize => work.push(by_row(Term::ResizedValues, written)),
            Kind::Elementwise => work.push(by_row(Term::CheapValues, written)),
            Kind::Move => work.push(by_row(Term::BytesMoved, 4.0 * written)),
            Kind::Other => work.push(by_row(Term::OtherMacs, macs.max(written))),
        }
        if !matches!(layer.kind, Kind::Move) {
            work.push(by_row(Term::BytesRead, 4.0 * read));
            work.push(by_row(Term::BytesWritten, 4.0 * written));
        }
        work
    }

    /// Values of one input that are new with every output row. An input of which every output row needs
    /// everything is shared out among the rows.
    fn values_read(&self, layer: &Layer, edge: super::Edge) -> f64 {
        let cut = edge.from.map_or(self.input.cut, |from| self.layers[from as usize].output);
        let rows = match edge.map.num {
            0 => f64::from(cut.rows) / f64::from(layer.output.rows.max(1)),
            num => f64::from(num) / f64::from(edge.map.den),
        };
        rows * cut.row_values() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::{ZOO, chain, named};

    #[test]
    fn every_term_is_listed_once_and_named_once() {
        let mut names: Vec<&str> = Term::ALL.iter().map(|term| term.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Term::ALL.len());
        assert!(Term::ALL.windows(2).all(|pair| pair[0] < pair[1]), "in the order of the enum");
    }

    #[test]
    fn derived_work_counts_every_multiply_accumulate_once() {
        for name in ZOO {
            let network = named(name).unwrap();
            for (index, layer) in network.layers.iter().enumerate().filter(|(_, layer)| layer.row_macs > 0) {
                let work = network.work(index);
                let macs = work.iter().filter(|work| work.term.name().starts_with("MACs"));
                let total: f64 = macs.map(|work| work.amount(layer.output.rows)).sum();
                assert_eq!(total, (layer.row_macs * u64::from(layer.output.rows)) as f64, "{}", layer.name);
            }
        }
    }

    #[test]
    fn stated_work_counts_instead_of_derived_work() {
        let mut network = chain(16, 2);
        assert!(network.work(1).iter().any(|work| work.term == Term::DirectMacs));
        let stated = vec![Work { term: Term::WinogradMacs, call: 3.0, row: 5.0 }];
        network.layers[1].work = stated.clone();
        assert_eq!(network.work(1), stated);
        assert_eq!((stated[0].amount(0), stated[0].amount(2)), (0.0, 13.0));
    }
}
