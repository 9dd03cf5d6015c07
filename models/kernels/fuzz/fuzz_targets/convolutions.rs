//! Any geometry of a convolution: a layer that is accepted computes, and the rows of a strip, from only the input rows they
//! need and in the shares of several threads, have the bits of the whole, on every instruction set.
#![no_main]

use collab_kernels::{Activation, Algorithm, Conv, ConvShape, Epilogue, Isa, Map, Scratch, Strip, divide};
use libfuzzer_sys::fuzz_target;

/// Multiply-adds of a layer that is small enough to be computed often.
const MOST_MACS: usize = 1 << 22;

/// Numbers from the fuzzer's bytes, zeros after their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// One of `0..most`.
    fn below(&mut self, most: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % most
    }

    fn pair(&mut self, from: usize, most: usize) -> [usize; 2] {
        [from + self.below(most), from + self.below(most)]
    }
}

/// Values between −1 and 1 that repeat after a prime number of them.
fn values(len: usize) -> Vec<f32> {
    (0..len).map(|at| (at * 7919 % 1009) as f32 / 504.0 - 1.0).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Bytes(bytes);
    let algorithms =
        [Algorithm::Dense, Algorithm::WinogradRows, Algorithm::WinogradPairs, Algorithm::Depthwise];
    let algorithm = algorithms[bytes.below(4)];
    let groups = 1 + bytes.below(20);
    let [inside, outside] = bytes.pair(0, 48);
    let shape = ConvShape {
        in_channels: groups * inside,
        out_channels: groups * outside,
        groups,
        width: bytes.below(96),
        kernel: bytes.pair(0, 12),
        stride: bytes.pair(0, 6),
        dilation: bytes.pair(0, 5),
        left: bytes.below(12),
        right: bytes.below(12),
    };
    let [in_rows, first] = bytes.pair(0, 40);
    let [top, bottom] = bytes.pair(0, 12);
    let (count, threads) = (1 + bytes.below(40), 1 + bytes.below(5));
    let small = shape.in_channels * shape.out_channels * shape.kernel[0] * shape.kernel[1] < MOST_MACS / 16;
    if !small || shape.stride.contains(&0) || shape.kernel.contains(&0) {
        assert!(Conv::new(shape, &[], Epilogue::none(), algorithm, Isa::Plain).is_err());
        return;
    }
    let rows = shape.out_rows(in_rows, top, bottom);
    let macs = shape.macs_per_row() * rows / groups.max(1);
    if rows == 0 || macs > MOST_MACS {
        return;
    }
    let epilogue = Epilogue::new(values(shape.out_channels), Activation::RELU);
    let weights = values(shape.weights());
    let input = values(shape.in_channels * in_rows * shape.width);
    let width = shape.out_width();
    let map = Map::new(&input, shape.in_channels, in_rows, shape.width).expect("the input has this size");
    let first = first % rows;
    let end = (first + count).min(rows);
    let mut scratch = Scratch::new();
    for isa in Isa::available() {
        let Ok(conv) = Conv::new(shape.clone(), &weights, epilogue.clone(), algorithm, isa) else { return };
        let mut whole = vec![f32::NAN; shape.out_channels * rows * width];
        let strip = Strip { input: map, top, bottom, rows: 0..rows, residual: None };
        conv.run(&strip, &mut whole, &mut scratch).expect("the sizes are the layer's");

        let reach = (shape.kernel[0] - 1) * shape.dilation[0];
        let (low, high) = (first * shape.stride[0], (end - 1) * shape.stride[0] + reach + 1);
        let from = low.saturating_sub(top).min(in_rows);
        let to = high.saturating_sub(top).clamp(from, in_rows);
        let above = top.saturating_sub(low).min(high - low);
        let strip = Strip {
            input: map.rows_between(from, to),
            top: above,
            bottom: high - low - above - (to - from),
            rows: 0..end - first,
            residual: None,
        };
        let conv = conv.beginning_at(first);
        let shares = conv.shares(end - first, threads);
        let mut part = vec![f32::NAN; shape.out_channels * (end - first) * width];
        let mut lists: Vec<_> = shares.iter().map(|_| Vec::new()).collect();
        divide(part.chunks_exact_mut((end - first) * width), width, &shares, &mut lists);
        for (share, mut planes) in shares.iter().zip(lists) {
            conv.run_share(&strip, share, &mut planes, &mut scratch).expect("a share of it");
        }
        for (channel, part) in part.chunks_exact((end - first) * width).enumerate() {
            let expected = &whole[(channel * rows + first) * width..][..part.len()];
            assert!(
                expected.iter().zip(part).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{isa:?} {algorithm:?} {shape:?}: rows {first}..{end} of channel {channel}, {threads} threads"
            );
        }
    }
});
