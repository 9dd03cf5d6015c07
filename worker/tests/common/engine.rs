//! A tiny engine whose arithmetic is plain to see, and what it makes of a picture on one device.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use collab_core::id::{Digest, NetworkId};
use collab_core::network::{Network, samples::chain};
use collab_core::rows::Rows;
use collab_core::wire::{NetworkOffer, NetworkOptions};
use collab_worker::engine::{Engine, Map, Model, Strip, Synthetic};
use sha2::{Digest as _, Sha256};

/// Runs `chain` networks: each unit adds up a 3×3 neighbourhood over all channels, with weights that differ
/// from channel to channel, and folds the sum so that it stays small. The order of additions is fixed, so
/// equal inputs give equal bits.
pub(crate) struct TinyEngine;

struct TinyModel(Arc<Network>);

struct TinyStrip {
    network: Arc<Network>,
    units: Range<usize>,
    rows: Rows,
}

/// The bytes of a tiny network: its name, then its size and units as text.
pub(crate) fn tiny_bytes(size: u32, units: u32) -> Bytes {
    format!("tiny {size} {units}").into_bytes().into()
}

pub(crate) fn offer(bytes: &Bytes) -> NetworkOffer {
    let network = Digest(Sha256::digest(bytes).into());
    let options = NetworkOptions { name: "tiny".to_owned(), ..NetworkOptions::default() };
    NetworkOffer { network, bytes: bytes.len() as u64, memory: 0, options }
}

impl Engine for TinyEngine {
    fn load(&self, file: &Path, _: NetworkId, _: &NetworkOptions) -> Result<Box<dyn Model>, String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let mut words = text.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        if number().is_some() {
            return Err("it is no tiny network".to_owned());
        }
        match (number(), number()) {
            (Some(size), Some(units)) => Ok(Box::new(TinyModel(Arc::new(chain(size, units))))),
            _ => Err("it is no tiny network".to_owned()),
        }
    }

    fn synthetic(&self, index: usize) -> Option<Result<Synthetic, String>> {
        let strips = vec![(0..3, Rows::all(12)), (1..2, Rows::new(4, 7))];
        (index == 0).then(|| Ok((Box::new(TinyModel(Arc::new(synthetic()))) as Box<dyn Model>, strips)))
    }

    fn name(&self) -> String {
        "tiny".to_owned()
    }
}

/// The one synthetic network of the tiny engine.
pub(crate) fn synthetic() -> Network {
    chain(12, 3)
}

impl Model for TinyModel {
    fn network(&self) -> &Arc<Network> {
        &self.0
    }

    fn strip(&self, units: Range<usize>, rows: Rows) -> Result<Box<dyn Strip>, String> {
        Ok(Box::new(TinyStrip { network: self.0.clone(), units, rows }))
    }
}

impl Strip for TinyStrip {
    fn run(
        &mut self,
        input: Map,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut [Duration],
    ) -> Result<Map, String> {
        let demand = self.network.demand(&self.units, self.rows);
        if input.rows() != demand.input {
            return Err(format!("given rows {}, expected {}", input.rows(), demand.input));
        }
        let mut map = input;
        for (layer, rows) in self.network.layers_of(&self.units).zip(demand.layers) {
            let start = clock();
            map = convolve(&map, self.network.layers[layer].output, rows);
            times[layer] += clock() - start;
        }
        Ok(map)
    }
}

fn convolve(input: &Map, cut: collab_core::network::Cut, rows: Rows) -> Map {
    let mut output = Map::zeros(cut, rows);
    let (held, channels) = (input.rows(), input.cut().outer);
    let (height, width) = (input.cut().rows as i64, input.cut().inner as i64);
    let mut values = Vec::new();
    for out in 0..cut.outer {
        for row in rows.start..rows.end {
            for column in 0..width {
                let mut sum = 0.1 * out as f32;
                for channel in 0..channels {
                    for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                        let (y, x) = (i64::from(row) + dy, column + dx);
                        if (0..height).contains(&y) && (0..width).contains(&x) {
                            let line = channel * held.len() + (y as u32 - held.start);
                            let value = input.values()[(i64::from(line) * width + x) as usize];
                            sum +=
                                value * (1.0 / (2 + out + 3 * channel) as f32 + 0.01 * (dy - 2 * dx) as f32);
                        }
                    }
                }
                values.push(sum / (1.0 + sum.abs()));
            }
        }
    }
    output.values_mut().copy_from_slice(&values);
    output
}

/// A picture of noise, planar.
pub(crate) fn picture(size: u32) -> Vec<u8> {
    (0..3 * size * size).map(|index| (index.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

pub(crate) fn pixel_rows(network: &Network, picture: &[u8], rows: Rows) -> Vec<u8> {
    let cut = network.input.cut;
    let plane = (cut.rows * cut.inner) as usize;
    let (start, end) = ((rows.start * cut.inner) as usize, (rows.end * cut.inner) as usize);
    picture.chunks_exact(plane).flat_map(|plane| plane[start..end].to_vec()).collect()
}

/// What one device computes of the whole network.
pub(crate) fn single(network: &Network, picture: &[u8]) -> Vec<u8> {
    let cut = network.input.cut;
    let mut input = Map::zeros(cut, Rows::all(cut.rows));
    let std = network.input.pixels.as_ref().unwrap().std[0];
    input.values_mut().iter_mut().zip(picture).for_each(|(value, byte)| *value = f32::from(*byte) / std);
    let units = 0..network.units.len();
    let rows = Rows::all(network.cut(units.end).rows);
    let mut strip = TinyStrip { network: Arc::new(network.clone()), units, rows };
    let mut times = vec![Duration::ZERO; network.layers.len()];
    let output = strip.run(input, &mut || Duration::ZERO, &mut times).unwrap();
    let mut bytes = Vec::new();
    output.read(rows, &mut bytes).unwrap();
    bytes
}
