//! What is known of a worker's speed: its profile, its layers as measured, its scale, its pieces.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::cut::Equations;
use super::{
    CutCost, LayerCost, LayerMemory, PieceCost, PieceMemory, Portion, Profile, ReferenceMemory, Scale,
    StripMemory, Variation,
};
use crate::event::is_time;
use crate::network::{Kind, Network, Term};
use crate::rows::Rows;

/// What a piece costs beside its layers, as far as it is expected before anything ran: so many calls of a layer, and
/// its bytes copied so often. Measured on emulated devices.
const CALLS: f64 = 25.0;
const COPIES: f64 = 2.0;

/// A layer of a block as a worker computed it in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimedLayer {
    /// Which, as an index into the network's layers.
    pub layer: usize,
    /// Rows of all pieces together.
    pub rows: u32,
    /// Milliseconds, on the worker as it is throttled.
    pub ms: f64,
}

/// A block as a worker computed it in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimedBlock {
    /// Its units.
    pub units: Range<usize>,
    /// Rows of its output.
    pub rows: Rows,
    /// Its layers.
    pub layers: Vec<TimedLayer>,
    /// In how many pieces.
    pub pieces: u32,
    /// Bytes that these read.
    pub bytes_in: u64,
    /// Bytes that they yielded.
    pub bytes_made: u64,
    /// Bytes sent of these.
    pub bytes_out: u64,
    /// Its spans together, ms; `None` if they are not known.
    pub spans_ms: Option<f64>,
}

impl TimedBlock {
    /// Its layers, each with what was computed of it.
    fn portions(&self) -> impl Iterator<Item = (&TimedLayer, Portion)> {
        let last = self.layers.len().wrapping_sub(1);
        self.layers.iter().enumerate().map(move |(at, layer)| {
            let read = if at == 0 { self.bytes_in } else { 0 };
            let written = if at == last { self.bytes_made } else { 0 };
            (layer, Portion { pieces: self.pieces, rows: layer.rows, read, written })
        })
    }
}

/// What a worker takes for one network, at full CPU share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerCosts {
    /// By layer of the network.
    pub layers: Vec<LayerCost>,
    /// At cuts, beside layers.
    pub at_cuts: CutCost,
    /// For pieces of strips, beside all that.
    pub piece: PieceCost,
}

impl WorkerCosts {
    /// Milliseconds for a portion of a layer.
    pub fn portion_ms(&self, layer: usize, portion: &Portion) -> f64 {
        portion.ms(self.layers[layer], self.at_cuts)
    }
}

/// Everything learnt of a worker and one network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerMemory {
    /// By layer of the network: what the profile says; empty without one.
    prior: Vec<LayerCost>,
    /// What it says of cuts.
    #[serde(default)]
    prior_at_cuts: CutCost,
    /// By layer of the network.
    layers: Vec<LayerMemory>,
    /// The whole network alone, ms, where that is all there is.
    single_ms: Option<f64>,
    piece: PieceMemory,
    #[serde(default)]
    strips: StripMemory,
    scale: Scale,
    #[serde(default)]
    variation: Variation,
    #[serde(default)]
    reference: ReferenceMemory,
}

impl WorkerMemory {
    /// Of a worker with this profile, if it is calibrated, before it ran anything of `network`.
    pub fn new(network: &Network, profile: Option<&Profile>) -> Self {
        let layers = vec![LayerMemory::default(); network.layers.len()];
        let mut memory = Self { layers, ..Self::default() };
        if let Some(profile) = profile {
            memory.calibrate(network, profile);
        }
        memory
    }

    /// Whether it can be of `network`: it knows as many layers, and what they take are times, on a scale that a worker can have.
    pub fn is_of(&self, network: &Network) -> bool {
        let layers = network.layers.len();
        self.layers.len() == layers
            && self.scale.is_possible()
            && (self.prior.is_empty() || self.prior.len() == layers)
            && self.prior.iter().all(|cost| is_time(cost.call_ms) && is_time(cost.row_ms))
            && is_time(self.prior_at_cuts.read_ms)
            && is_time(self.prior_at_cuts.write_ms)
            && self.layers.iter().all(|layer| layer.measured().all(|(_, ms)| is_time(ms)))
    }

    /// Expects nothing beside layers, as of strips that are run by themselves: nobody puts together what they read or sends on
    /// what they yield.
    pub fn by_themselves(mut self) -> Self {
        self.piece = PieceMemory::default();
        self
    }

    /// Takes a profile for what was expected before; what was measured since stays.
    pub fn calibrate(&mut self, network: &Network, profile: &Profile) {
        if profile.coefficients.is_empty() {
            return;
        }
        let layers = 0..network.layers.len();
        self.prior = layers.map(|layer| profile.cost(&network.work(layer))).collect();
        self.prior_at_cuts = profile.at_cuts();
        let ms = |term: Term| profile.coefficient(term).map_or(0.0, |known| known.ms);
        let byte_ms = COPIES * ms(Term::BytesMoved);
        self.piece.expect(PieceCost { call_ms: CALLS * ms(Term::Call), in_ms: byte_ms, out_ms: byte_ms });
    }

    /// Takes the time it computed the whole network alone, at full share; layers measured count before it.
    pub fn take_single(&mut self, compute_ms: f64) {
        self.single_ms = Some(compute_ms);
    }

    /// Whether anything is known of it.
    pub fn is_known(&self) -> bool {
        !self.prior.is_empty()
            || self.single_ms.is_some()
            || self.layers.iter().any(|layer| !layer.is_empty())
    }

    /// A layer as it was measured.
    pub fn layer(&self, layer: usize) -> Option<&LayerMemory> {
        self.layers.get(layer)
    }

    /// Its scale.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// How much its strips differ from run to run.
    pub fn variation(&self) -> &Variation {
        &self.variation
    }

    /// What strips that ran took over their layers and pieces.
    pub fn strips(&self) -> &StripMemory {
        &self.strips
    }

    /// What it takes, at full share. `shape` stands in for a profile: only the proportions between
    /// calls and rows, and between layers never measured, are taken from it.
    pub fn costs(&self, network: &Network, shape: &[LayerCost]) -> WorkerCosts {
        let trusted = !self.prior.is_empty();
        let prior = if trusted { &self.prior } else { shape };
        let pairs = || self.layers.iter().zip(prior);
        let mut factors: Vec<f64> = pairs().filter_map(|(layer, prior)| layer.factor(*prior)).collect();
        factors.sort_by(f64::total_cmp);
        let alone = || -> f64 {
            prior.iter().zip(&network.layers).map(|(cost, layer)| cost.ms(layer.output.rows)).sum()
        };
        let single = || Some(self.single_ms? / alone().max(1e-9));
        let usual = factors.get(factors.len() / 2).copied().or_else(single).unwrap_or(1.0);
        let measured: Vec<_> = pairs().map(|(layer, prior)| layer.equations(*prior, trusted)).collect();
        let at_cuts = CutCost::fit(&measured, self.prior_at_cuts);
        let scale = self.scale.factor();
        let cost = |((layer, prior), (equations, _)): ((&LayerMemory, &LayerCost), &(Equations, f64))| {
            let cost = if layer.is_empty() { prior.times(usual) } else { equations.line(at_cuts) };
            cost.times(scale)
        };
        WorkerCosts {
            layers: pairs().zip(&measured).map(cost).collect(),
            at_cuts: at_cuts.times(scale),
            piece: self.piece.cost().times(scale),
        }
    }

    /// Takes in a run at `share` (0…1) of the CPU. A change point gives the factor by which the worker became
    /// slower.
    pub fn learn(
        &mut self,
        network: &Network,
        blocks: &[TimedBlock],
        share: f64,
        shape: &[LayerCost],
    ) -> Option<f64> {
        let costs = self.costs(network, shape);
        let known =
            |layer: &TimedLayer| self.layers.get(layer.layer).is_some_and(|memory| !memory.is_empty());
        let mut ratios: Vec<(f64, f64)> = Vec::new();
        for block in blocks {
            for (layer, portion) in block.portions().filter(|(layer, _)| known(layer)) {
                let predicted = costs.portion_ms(layer.layer, &portion);
                if predicted > 0.0 && layer.ms > 0.0 {
                    ratios.push((layer.ms * share / predicted, predicted));
                }
            }
        }
        self.vary(blocks, share);
        // The whole run's pace by its middle layer, so that one held up does not count.
        let pace = weighted_median(ratios).unwrap_or(1.0);
        let before = self.scale.factor();
        let change = self.scale.learn(pace);
        let normal = share / (before * pace);
        for block in blocks {
            let (mut layers_ms, mut expected_ms) = (0.0, costs.piece.pieces_ms(block));
            for (layer, portion) in block.portions() {
                layers_ms += layer.ms;
                expected_ms += costs.portion_ms(layer.layer, &portion);
                if let Some(memory) = self.layers.get_mut(layer.layer).filter(|_| layer.rows > 0) {
                    memory.learn(portion, layer.ms * normal);
                }
            }
            if let Some(spans_ms) = block.spans_ms {
                // What it takes to turn a picture into numbers says nothing about pieces that read numbers.
                if block.units.start > 0 || network.input.pixels.is_none() {
                    let rest = (spans_ms - layers_ms) * normal;
                    self.piece.learn(block.pieces, block.bytes_in, block.bytes_out, rest);
                }
                let ratio = spans_ms * share / (pace * expected_ms);
                self.strips.learn(&block.units, block.rows, ratio, share);
            }
        }
        self.piece.fit();
        change
    }

    /// Compares blocks with what their layers took before for as many rows. Layers differ more than the strips that are waited
    /// for: what one takes longer by chance another takes less.
    fn vary(&mut self, blocks: &[TimedBlock], share: f64) {
        let normal = share / self.scale.factor();
        let pairs = blocks.iter().map(|block| {
            let known = block.portions().filter_map(|(layer, portion)| {
                Some((layer.ms * normal, self.layers.get(layer.layer)?.known(portion)?))
            });
            known.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
        });
        self.variation.learn(pairs);
    }

    /// Takes in what its reference strip took while it was idle at `share` (0…1) of the CPU, ms. A change point gives the
    /// factor by which the worker became slower.
    pub fn take_reference(&mut self, ms: f64, share: f64) -> Option<f64> {
        let change = self.reference.learn(ms * share, self.scale.log())?;
        self.scale.shift(change);
        Some(change.exp())
    }

    /// Takes in what strips took at `share` (0…1) of the CPU before anything waited for them. They were run while the
    /// other workers ran theirs, so all that they took counts, a common pace as well.
    pub fn rehearse(&mut self, network: &Network, blocks: &[TimedBlock], share: f64) {
        let normal = share / self.scale.factor();
        let times = blocks.iter().flat_map(TimedBlock::portions);
        for (layer, portion) in
            times.filter(|(layer, _)| layer.rows > 0 && layer.layer < network.layers.len())
        {
            if let Some(memory) = self.layers.get_mut(layer.layer) {
                memory.learn(portion, layer.ms * normal);
            }
        }
    }
}

/// Proportions of a network's layers for a worker without a profile: 10 GMAC/s and 10 GB/s.
pub fn assumed_shape(network: &Network) -> Vec<LayerCost> {
    let layer = |layer: &crate::network::Layer| {
        let macs = layer.row_macs as f64 * if layer.kind == Kind::Depthwise { 4.0 } else { 1.0 };
        LayerCost { call_ms: 2e-3, row_ms: 1e-7 * (macs + 8.0 * layer.output.row_values() as f64) }
    };
    network.layers.iter().map(layer).collect()
}

/// The value in the middle of `(value, weight)`.
fn weighted_median(mut values: Vec<(f64, f64)>) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    values.into_iter().find_map(|(value, weight)| {
        sum += weight;
        (sum >= half).then_some(value)
    })
}

#[cfg(test)]
mod tests;
