//! The predictors that are compared: ours, and what is found in the literature, fitted on the same calibration.

use std::collections::BTreeMap;
use std::ops::Range;

use collab_core::network::{Kind, Layer, Network};
use collab_core::predict::nnls::fit_relative;
use collab_core::rows::Rows;

/// A layer with what it took.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Which layer of the network.
    pub layer: usize,
    /// Rows computed.
    pub rows: u32,
    /// What that took, ms.
    pub ms: f64,
}

/// A strip with what it took.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its units.
    pub units: Range<usize>,
    /// Rows of its output.
    pub rows: Rows,
    /// Its layers that computed rows.
    pub layers: Vec<Seen>,
    /// What all of it took, ms.
    pub ms: f64,
}

/// The layers of these blocks.
fn layers(blocks: &[Block]) -> impl Iterator<Item = &Seen> {
    blocks.iter().flat_map(|block| &block.layers)
}

/// A predictor for one network on one device.
pub trait Predictor {
    /// What `rows` rows of a layer take, ms.
    fn layer(&self, network: &Network, layer: usize, rows: u32) -> f64;

    /// Takes a run of some strips of the network into account.
    fn learn(&mut self, network: &Network, run: &[Block]);

    /// The half-width of the interval that should hold four of five blocks, and of that for layers, as shares of the
    /// prediction.
    fn intervals(&self) -> Option<(f64, f64)> {
        None
    }

    /// What every layer of a block takes for a strip of it, ms, recomputed halo included.
    fn layers(&self, network: &Network, units: &Range<usize>, rows: Rows) -> Vec<f64> {
        let demand = network.demand(units, rows);
        let layers = network.layers_of(units).zip(&demand.layers);
        layers.map(|(layer, rows)| self.layer(network, layer, rows.len())).collect()
    }

    /// What the strip takes, ms: what its layers take.
    fn strip(&self, network: &Network, units: &Range<usize>, rows: Rows) -> f64 {
        self.layers(network, units, rows).iter().sum()
    }
}

/// What a layer of the calibration did and took.
#[derive(Clone, Copy, Debug)]
pub struct Calibrated<'a> {
    /// The layer.
    pub layer: &'a Layer,
    /// Rows computed.
    pub rows: u32,
    /// What that took, ms.
    pub ms: f64,
}

fn macs(layer: &Layer, rows: u32) -> f64 {
    layer.row_macs as f64 * f64::from(rows)
}

fn written(layer: &Layer, rows: u32) -> f64 {
    layer.output.bytes(rows) as f64
}

/// EdgeLD's form: a layer takes `a · MACs + b`.
#[derive(Clone)]
pub struct FlopsLinear {
    a: f64,
    b: f64,
    /// What late runs took over what was predicted.
    factor: f64,
}

impl FlopsLinear {
    /// Fits both coefficients.
    pub fn fit(seen: &[Calibrated]) -> Self {
        let rows: Vec<Vec<f64>> = seen.iter().map(|seen| vec![macs(seen.layer, seen.rows), 1.0]).collect();
        let fitted = fit_relative(&rows, &times(seen));
        Self { a: at(&fitted, 0), b: at(&fitted, 1), factor: 1.0 }
    }
}

impl Predictor for FlopsLinear {
    fn layer(&self, network: &Network, layer: usize, rows: u32) -> f64 {
        match rows {
            0 => 0.0,
            rows => self.factor * (self.a * macs(&network.layers[layer], rows) + self.b),
        }
    }

    fn learn(&mut self, network: &Network, run: &[Block]) {
        let predicted: f64 = layers(run).map(|seen| self.layer(network, seen.layer, seen.rows)).sum();
        let measured: f64 = layers(run).map(|seen| seen.ms).sum();
        if predicted > 0.0 {
            self.factor *= measured / predicted;
        }
    }
}

/// Each kind of layer has a rate and an overhead: of multiply-accumulates, or of bytes written where there are none.
#[derive(Clone)]
pub struct RatePerKind {
    rates: BTreeMap<Kind, (f64, f64)>,
    factors: BTreeMap<Kind, f64>,
}

impl RatePerKind {
    /// Fits each kind by itself.
    pub fn fit(seen: &[Calibrated]) -> Self {
        let fit = |kind: Kind| {
            let seen: Vec<Calibrated> = seen.iter().filter(|seen| seen.layer.kind == kind).copied().collect();
            let rows: Vec<Vec<f64>> =
                seen.iter().map(|seen| vec![amount(seen.layer, seen.rows), 1.0]).collect();
            let fitted = fit_relative(&rows, &times(&seen));
            (kind, (at(&fitted, 0), at(&fitted, 1)))
        };
        let rates = seen.iter().map(|seen| seen.layer.kind).map(fit).collect();
        Self { rates, factors: BTreeMap::new() }
    }
}

fn amount(layer: &Layer, rows: u32) -> f64 {
    if layer.row_macs > 0 { macs(layer, rows) } else { written(layer, rows) }
}

impl Predictor for RatePerKind {
    fn layer(&self, network: &Network, layer: usize, rows: u32) -> f64 {
        let layer = &network.layers[layer];
        let Some((a, b)) = self.rates.get(&layer.kind).filter(|_| rows > 0) else { return 0.0 };
        let factor = self.factors.get(&layer.kind).copied().unwrap_or(1.0);
        factor * (a * amount(layer, rows) + b)
    }

    fn learn(&mut self, network: &Network, run: &[Block]) {
        let mut sums: BTreeMap<Kind, (f64, f64)> = BTreeMap::new();
        for seen in layers(run) {
            let sums = sums.entry(network.layers[seen.layer].kind).or_default();
            sums.0 += seen.ms;
            sums.1 += self.layer(network, seen.layer, seen.rows);
        }
        for (kind, (measured, predicted)) in sums.into_iter().filter(|(_, sums)| sums.1 > 0.0) {
            *self.factors.entry(kind).or_insert(1.0) *= measured / predicted;
        }
    }
}

/// The sum of what the layers take one by one: for each kind linear in multiply-accumulates and bytes written;
/// once the network ran, what each layer took, by the row.
#[derive(Clone)]
pub struct SumOfLayers {
    kinds: BTreeMap<Kind, Vec<f64>>,
    /// What a row of each layer took.
    measured: BTreeMap<usize, f64>,
}

impl SumOfLayers {
    /// Fits each kind by itself.
    pub fn fit(seen: &[Calibrated]) -> Self {
        let fit = |kind: Kind| {
            let seen: Vec<Calibrated> = seen.iter().filter(|seen| seen.layer.kind == kind).copied().collect();
            let rows: Vec<Vec<f64>> =
                seen.iter().map(|seen| features(seen.layer, seen.rows).to_vec()).collect();
            (kind, fit_relative(&rows, &times(&seen)))
        };
        let kinds = seen.iter().map(|seen| seen.layer.kind).map(fit).collect();
        Self { kinds, measured: BTreeMap::new() }
    }
}

fn features(layer: &Layer, rows: u32) -> [f64; 3] {
    [macs(layer, rows), written(layer, rows), 1.0]
}

impl Predictor for SumOfLayers {
    fn layer(&self, network: &Network, layer: usize, rows: u32) -> f64 {
        if let Some(row_ms) = self.measured.get(&layer) {
            return row_ms * f64::from(rows);
        }
        let layer = &network.layers[layer];
        let Some(fitted) = self.kinds.get(&layer.kind).filter(|_| rows > 0) else { return 0.0 };
        features(layer, rows).iter().zip(fitted).map(|(amount, cost)| amount * cost).sum()
    }

    fn learn(&mut self, _network: &Network, run: &[Block]) {
        let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for seen in layers(run) {
            let sums = sums.entry(seen.layer).or_default();
            sums.0 += seen.ms;
            sums.1 += f64::from(seen.rows);
        }
        let by_row = sums.into_iter().filter(|(_, (_, rows))| *rows > 0.0);
        self.measured.extend(by_row.map(|(layer, (ms, rows))| (layer, ms / rows)));
    }
}

fn times(seen: &[Calibrated]) -> Vec<f64> {
    seen.iter().map(|seen| seen.ms).collect()
}

fn at(fitted: &[f64], index: usize) -> f64 {
    fitted.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::chain;

    use super::*;

    fn calibration(network: &Network) -> Vec<Calibrated<'_>> {
        let took = |layer: &Layer, rows: u32| 1e-6 * macs(layer, rows) + 0.2;
        let rows = [2, 5, 9, 16];
        let all = network.layers.iter().flat_map(|layer| rows.map(|rows| (layer, rows)));
        all.map(|(layer, rows)| Calibrated { layer, rows, ms: took(layer, rows) }).collect()
    }

    #[test]
    fn each_baseline_finds_what_it_can_express() {
        let network = chain(16, 3);
        let seen = calibration(&network);
        let expected = 1e-6 * macs(&network.layers[1], 12) + 0.2;
        let predictors: [Box<dyn Predictor>; 3] = [
            Box::new(FlopsLinear::fit(&seen)),
            Box::new(RatePerKind::fit(&seen)),
            Box::new(SumOfLayers::fit(&seen)),
        ];
        for predictor in predictors {
            let predicted = predictor.layer(&network, 1, 12);
            assert!((predicted / expected - 1.0).abs() < 1e-3, "{predicted} {expected}");
            assert_eq!(predictor.layer(&network, 1, 0), 0.0);
        }
    }

    #[test]
    fn each_baseline_learns_from_a_run() {
        let network = chain(16, 3);
        let seen = calibration(&network);
        let mut predictors: [Box<dyn Predictor>; 3] = [
            Box::new(FlopsLinear::fit(&seen)),
            Box::new(RatePerKind::fit(&seen)),
            Box::new(SumOfLayers::fit(&seen)),
        ];
        for predictor in &mut predictors {
            let run = (0..3).map(|layer| Seen { layer, rows: 16, ms: 5.0 }).collect::<Vec<_>>();
            let block = Block { units: 0..3, rows: Rows::all(16), layers: run, ms: 15.0 };
            predictor.learn(&network, &[block]);
            let strip = predictor.strip(&network, &(0..3), Rows::all(16));
            assert!((strip - 15.0).abs() < 1e-6, "{strip}");
        }
    }
}
