//! A pencil for network geometries: layers are drawn one after another, cuts set between them.

use crate::id::Digest;
use crate::network::{Cut, Edge, Input, Kind, Layer, Network, Pixels, Split, Unit};
use crate::rows::RowMap;

/// A drawn tensor.
#[derive(Clone, Copy, Debug)]
pub struct Tensor {
    from: Option<u32>,
    /// Its rows.
    pub cut: Cut,
}

/// A network under the pencil.
#[derive(Clone, Debug)]
pub struct Sketch {
    network: Network,
}

impl Sketch {
    /// With a picture of `channels × size × size` values as input.
    pub fn new(name: &str, channels: u32, size: u32) -> (Self, Tensor) {
        let cut = Cut { outer: channels, rows: size, inner: size };
        let shape = vec![1, channels as usize, size as usize, size as usize];
        let pixels = Pixels { mean: vec![0.0; channels as usize], std: vec![255.0; channels as usize] };
        let network = Network {
            id: Digest([name.len() as u8; 32]),
            name: name.to_owned(),
            input: Input { cut, shape, pixels: Some(pixels) },
            output_shape: Vec::new(),
            layers: Vec::new(),
            units: Vec::new(),
        };
        (Self { network }, Tensor { from: None, cut })
    }

    /// Any layer.
    pub fn layer(
        &mut self,
        kind: Kind,
        inputs: &[(Tensor, RowMap)],
        output: Cut,
        row_macs: u64,
        weight_bytes: u64,
    ) -> Tensor {
        let index = self.network.layers.len() as u32;
        self.network.layers.push(Layer {
            name: format!("{kind:?}{index}").to_lowercase(),
            op: format!("{kind:?}"),
            kind,
            inputs: inputs.iter().map(|(tensor, map)| Edge { from: tensor.from, map: *map }).collect(),
            output,
            row_macs,
            weight_bytes,
            kept_bytes: weight_bytes,
            work: Vec::new(),
        });
        Tensor { from: Some(index), cut: output }
    }

    /// A square convolution to `channels` channels.
    pub fn conv(&mut self, x: Tensor, channels: u32, kernel: u32, stride: u32, pad: u32) -> Tensor {
        let output = window(x.cut, channels, kernel, stride, pad);
        let taps = u64::from(kernel * kernel) * u64::from(x.cut.outer);
        let kind = if kernel == 1 { Kind::Pointwise } else { Kind::Conv };
        let map = RowMap::window(kernel, stride, 1, pad);
        self.layer(kind, &[(x, map)], output, taps * output.row_values(), 4 * taps * u64::from(channels))
    }

    /// A depthwise convolution that keeps the size but for its stride.
    pub fn depthwise(&mut self, x: Tensor, kernel: u32, stride: u32) -> Tensor {
        let pad = kernel / 2;
        let output = window(x.cut, x.cut.outer, kernel, stride, pad);
        let taps = u64::from(kernel * kernel);
        let map = RowMap::window(kernel, stride, 1, pad);
        let weights = 4 * taps * u64::from(x.cut.outer);
        self.layer(Kind::Depthwise, &[(x, map)], output, taps * output.row_values(), weights)
    }

    /// A transposed convolution.
    pub fn transposed(&mut self, x: Tensor, channels: u32, kernel: u32, stride: u32, pad: u32) -> Tensor {
        let size = |rows: u32| (rows - 1) * stride + kernel - 2 * pad;
        let output = Cut { outer: channels, rows: size(x.cut.rows), inner: size(x.cut.inner) };
        let taps = u64::from(kernel * kernel) * u64::from(x.cut.outer);
        let macs = taps * output.row_values() / u64::from(stride * stride);
        let map = RowMap::transposed(kernel, stride, 1, pad);
        self.layer(Kind::Transposed, &[(x, map)], output, macs, 4 * taps * u64::from(channels))
    }

    /// A max pool.
    pub fn pool(&mut self, x: Tensor, kernel: u32, stride: u32, pad: u32) -> Tensor {
        let output = window(x.cut, x.cut.outer, kernel, stride, pad);
        self.layer(Kind::Pool, &[(x, RowMap::window(kernel, stride, 1, pad))], output, 0, 0)
    }

    /// One value a channel.
    pub fn global_pool(&mut self, x: Tensor) -> Tensor {
        let output = Cut { rows: 1, inner: 1, ..x.cut };
        self.layer(Kind::Pool, &[(x, RowMap::whole(x.cut.rows))], output, 0, 0)
    }

    /// Row by row from tensors of as many rows.
    pub fn add(&mut self, inputs: &[Tensor]) -> Tensor {
        let edges: Vec<_> = inputs.iter().map(|&tensor| (tensor, RowMap::SAME)).collect();
        self.layer(Kind::Elementwise, &edges, inputs[0].cut, 0, 0)
    }

    /// Channels side by side.
    pub fn concat(&mut self, inputs: &[Tensor]) -> Tensor {
        let edges: Vec<_> = inputs.iter().map(|&tensor| (tensor, RowMap::SAME)).collect();
        let outer = inputs.iter().map(|tensor| tensor.cut.outer).sum();
        self.layer(Kind::Move, &edges, Cut { outer, ..inputs[0].cut }, 0, 0)
    }

    /// `x` scaled by one value a channel.
    pub fn scale(&mut self, x: Tensor, by: Tensor) -> Tensor {
        self.layer(Kind::Elementwise, &[(x, RowMap::SAME), (by, RowMap::whole(1))], x.cut, 0, 0)
    }

    /// Every row and column `factor` times.
    pub fn resize(&mut self, x: Tensor, factor: u32) -> Tensor {
        let output = Cut { outer: x.cut.outer, rows: x.cut.rows * factor, inner: x.cut.inner * factor };
        self.layer(Kind::Resize, &[(x, RowMap { num: 1, den: factor, lo: 0, hi: 0 })], output, 0, 0)
    }

    /// A dense layer of `features` outputs, which are its rows.
    pub fn dense(&mut self, x: Tensor, features: u32) -> Tensor {
        let values = x.cut.row_values() * u64::from(x.cut.rows);
        let output = Cut { outer: 1, rows: features, inner: 1 };
        let map = RowMap::whole(x.cut.rows);
        self.layer(Kind::Dense, &[(x, map)], output, values, 4 * values * u64::from(features))
    }

    /// Ends a unit with the layer drawn last.
    pub fn cut(&mut self, split: Split) {
        let start = self.network.units.last().map_or(0, |unit| unit.layers.1);
        let end = self.network.layers.len() as u32;
        let output = self.network.layers[end as usize - 1].output;
        self.network.units.push(Unit { layers: (start, end), output, split });
    }

    /// The network, whose last unit must have been cut.
    pub fn finish(mut self) -> Network {
        let output = self.network.cut(self.network.units.len());
        self.network.output_shape =
            vec![1, output.outer as usize, output.rows as usize, output.inner as usize];
        self.network
    }
}

fn window(input: Cut, channels: u32, kernel: u32, stride: u32, pad: u32) -> Cut {
    let size = |rows: u32| (rows + 2 * pad - kernel) / stride + 1;
    Cut { outer: channels, rows: size(input.rows), inner: size(input.inner) }
}
