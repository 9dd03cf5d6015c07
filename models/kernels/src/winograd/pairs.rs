//! F(2,3) down pairs of rows and F(4,3) along them: eight outputs from 24 products instead of 72.
//!
//! F(2,3) is the one algorithm of its kind that keeps rows exact. Its two outputs are `m0 + m1 + m2` and `m1 − m2 − m3`,
//! where only `m0` needs the first of four input rows and only `m3` the last. So each row needs the three input rows that it
//! needs by definition, and one whose neighbour in its pair another strip computes goes through the same operations
//! without it, at the price of three products instead of two. Pairs begin at even rows of the whole layer.
//!
//! Input rows are transformed along, then four at a time down (24 values for every group of four columns), multiplied as
//! 24 dense products whose pixels are groups of a pair, and transformed back. What lies a point apart lies an odd number
//! of cache lines apart: with powers of two all 24 streams would meet in one set of the first-level cache, which took a
//! third as long again. Bound: multiply-adds, a third of those by definition, from about 256 channels on; below that the
//! transforms.
//!
//! Measured beside a peak of 136 GMAC/s, counting multiply-adds by definition (so the bound is 408): 64
//! channels of 224×224 243, 128 of 112×112 287, 256 of 56×56 306 and 512 of 28×28 327, or 280 and 290 with weights from
//! memory; 128 channels to 32 of 28×28 163.

use super::{PANELS, Reader, SLACK, back, check, next_panel, weight};
use crate::epilogue::residual_plane;
use crate::isa::{Kernel, Vector, load, store};
use crate::run::Run;
use crate::scratch::odd_lines;
use crate::sizes::{ALONG, COLUMNS, FEW_GROUPS, PAIRS_TRANSFORMED};
use crate::target::Sums;
use crate::tile::{PANEL, Product, Taps, compute, tile_pixels};
use crate::weights::PackedWeights;
use crate::{ConvShape, KernelError};

/// Points down a pair of rows.
pub(crate) const DOWN: usize = 4;

/// Products for every group of columns of a pair of rows.
const POINTS: usize = DOWN * ALONG;

/// Transforms each kernel: nine values become 24.
pub(crate) fn pack(shape: &ConvShape, weights: &[f32]) -> Result<PackedWeights, KernelError> {
    check(shape)?;
    let depth = shape.in_channels / shape.groups;
    let channels = shape.out_channels / shape.groups;
    Ok(PackedWeights::pack(shape.groups * POINTS, channels, depth, |set, channel, k| {
        let (group, point) = (set / POINTS, set % POINTS);
        let kernel = &weights[((group * channels + channel) * depth + k) * 9..][..9];
        let column = |x: usize| {
            let [a, b, c] = [kernel[x], kernel[3 + x], kernel[6 + x]].map(f64::from);
            match point / ALONG {
                0 => a,
                1 => (a + b + c) / 2.0,
                2 => (a - b + c) / 2.0,
                _ => c,
            }
        };
        weight(point % ALONG, [column(0), column(1), column(2)]) as f32
    }))
}

/// Computes a run by pairs of rows.
pub(crate) struct WinogradPairs<'a, 'b> {
    pub(crate) run: Run<'a, 'b>,
    /// Whether the first row is the second of its pair.
    pub(crate) odd: bool,
}

impl Kernel for WinogradPairs<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let WinogradPairs { run, odd } = self;
        let Run {
            weights,
            epilogue,
            window,
            rows,
            residual,
            output,
            out_channels,
            channels,
            groups: sets,
            buffers,
            ..
        } = run;
        let residual = residual.map();
        let (nr, lanes) = (tile_pixels::<V>(), V::F32_LANES);
        let in_channels = window.map.channels() / sets;
        let group_channels = out_channels / sets;
        let groups = window.out_width.div_ceil(COLUMNS);
        // Rows of pairs are counted from the even row of the first pair, which may not be wanted.
        let skipped = usize::from(odd);
        let pairs = (rows + skipped).div_ceil(2);
        let most = (PAIRS_TRANSFORMED / (POINTS * in_channels * groups)).max(FEW_GROUPS.div_ceil(groups));
        let band_pairs = pairs.div_ceil(pairs.div_ceil(most));

        let stride = (band_pairs * groups).next_multiple_of(lanes);
        let point_len = odd_lines(in_channels * stride + SLACK);
        let transformed = buffers.first.take(POINTS * point_len);
        let sums_len = odd_lines(PANELS * PANEL * stride);
        let sums = buffers.second.take(POINTS * sums_len);
        let along_len = odd_lines((band_pairs + 1) * groups + SLACK);
        let work = (2 * ALONG * along_len).max(2 * COLUMNS * stride);
        let (work, padded) =
            buffers.third.take(work + Reader::values(groups, band_pairs + 1)).split_at_mut(work);

        for set in channels.start / group_channels..channels.end.div_ceil(group_channels) {
            let own = channels.start.max(set * group_channels)..channels.end.min((set + 1) * group_channels);
            let output = &mut output[own.start - channels.start..own.end - channels.start];
            let first_panel = (own.start - set * group_channels) / PANEL;
            let from = set * in_channels..(set + 1) * in_channels;
            for start in (0..pairs).step_by(band_pairs) {
                let pairs = band_pairs.min(pairs - start);
                let pixels = pairs * groups;
                let line = (window.first_row + 2 * start) as isize - (skipped + window.top) as isize;
                let mut reader = Reader::new(&window, from.clone(), groups, padded);
                for (index, channel) in from.clone().enumerate() {
                    let (even, odd) = work.split_at_mut(ALONG * along_len);
                    let count = pairs as isize + 1;
                    reader.read(v, channel, [line, 2, count], along_len, even);
                    reader.read(v, channel, [line + 1, 2, count], along_len, odd);
                    let rows = Along { even, odd, len: along_len, groups };
                    rows.transform(v, pixels, in_channels, index, transformed, point_len);
                }

                // Tiles are as wide as can be but the last.
                let last = (pixels - 1) / nr * nr;
                let last_width = (pixels - last).next_multiple_of(lanes);
                // A row alone needs no product with the input row that is only its neighbour's.
                let alone_first = if odd && start == 0 { groups } else { 0 };
                let alone_last = if 2 * (start + pairs) > rows + skipped { groups } else { 0 };
                for (chunk, planes) in output.chunks_mut(PANELS * PANEL).enumerate() {
                    for point in 0..POINTS {
                        let input = &transformed[point * point_len..][..point_len];
                        let values = &mut sums[point * sums_len..][..PANELS * PANEL * stride];
                        let wanted = match point / ALONG {
                            0 => alone_first..pixels,
                            3 => 0..pixels - alone_last,
                            _ => 0..pixels,
                        };
                        for (index, values) in values.chunks_mut(PANEL * stride).enumerate() {
                            let Some(rest) = planes.len().checked_sub(index * PANEL).filter(|&rest| rest > 0)
                            else {
                                break;
                            };
                            let panel = first_panel + chunk * PANELS + index;
                            let set = set * POINTS + point;
                            let count = planes.len().div_ceil(PANEL);
                            let mut ahead = next_panel(weights, set, panel, index..count, point + 1 < POINTS);
                            let weights = weights.panel(set, panel);
                            for tile in (0..pixels).step_by(nr) {
                                let (first, end) = (tile.max(wanted.start), (tile + nr).min(wanted.end));
                                if first >= end {
                                    continue;
                                }
                                let input = &input[tile * in_channels + first - tile..];
                                let taps = Taps::Every(if tile == last { last_width } else { nr });
                                let product = Product { weights, taps, input, ahead };
                                ahead = &[];
                                let mut target = Sums { values: &mut values[first..], stride };
                                compute(v, product, rest.min(PANEL), end - first, &mut target);
                            }
                        }
                    }
                    for (channel, plane) in planes.iter_mut().enumerate() {
                        let absolute = own.start + chunk * PANELS * PANEL + channel;
                        let (first, second) = work.split_at_mut(COLUMNS * stride);
                        transform_sums(v, &sums[channel * stride..], sums_len, pixels, [first, second]);
                        let epilogue = epilogue.channel(absolute);
                        let residual = residual_plane(&residual, absolute);
                        for row in 0..2 * pairs {
                            let Some(to) = (2 * start + row).checked_sub(skipped).filter(|&to| to < rows)
                            else {
                                continue;
                            };
                            let columns = if row % 2 == 0 { &*first } else { &*second };
                            let at = to * window.out_width..(to + 1) * window.out_width;
                            let residual = residual.map(|residual| &residual[at.clone()]);
                            let from = &columns[row / 2 * groups * COLUMNS..];
                            epilogue.apply_row(v, from, residual, &mut plane[at]);
                        }
                    }
                }
            }
        }
    }
}

/// The rows of one channel, transformed along: those in even and odd places, each by point, pair and group.
struct Along<'a> {
    even: &'a [f32],
    odd: &'a [f32],
    /// Values from one point to the next.
    len: usize,
    groups: usize,
}

impl Along<'_> {
    /// Transforms them down, into channel `index` of `transformed`. There, values lie by point, tile of pixels, channel
    /// and pixel, so that a product reads on and on.
    #[inline(always)]
    fn transform<V: Vector>(
        &self,
        v: V,
        pixels: usize,
        channels: usize,
        index: usize,
        transformed: &mut [f32],
        point_len: usize,
    ) {
        let (nr, lanes) = (tile_pixels::<V>(), V::F32_LANES);
        for tile in (0..pixels).step_by(nr) {
            let width = (pixels - tile).next_multiple_of(lanes).min(nr);
            let place = tile * channels + index * width;
            for along in 0..ALONG {
                let at = along * self.len + tile;
                let below = at + self.groups;
                let (first, second) = (&self.even[at..][..width], &self.odd[at..][..width]);
                let (third, fourth) = (&self.even[below..][..width], &self.odd[below..][..width]);
                let mut points = transformed[along * point_len + place..].chunks_mut(ALONG * point_len);
                let [p0, p1, p2, p3] = [(); DOWN].map(|()| &mut points.next().unwrap_or_default()[..width]);
                for at in (0..width).step_by(lanes) {
                    let (d0, d1) = (load::<V>(&first[at..]), load::<V>(&second[at..]));
                    let (d2, d3) = (load::<V>(&third[at..]), load::<V>(&fourth[at..]));
                    let [m0, m1, m2, m3] = down(v, [d0, d1, d2, d3]);
                    store::<V>(&mut p0[at..], m0);
                    store::<V>(&mut p1[at..], m1);
                    store::<V>(&mut p2[at..], m2);
                    store::<V>(&mut p3[at..], m3);
                }
            }
        }
    }
}

/// Transforms the sums of one channel back, for the first and the second rows of pairs: `pixels` groups of four columns
/// side by side. Points lie `sums_len` apart.
#[inline(always)]
fn transform_sums<V: Vector>(v: V, sums: &[f32], sums_len: usize, pixels: usize, columns: [&mut [f32]; 2]) {
    let [first, second] = columns;
    for at in (0..pixels).step_by(V::F32_LANES) {
        let [upper, lower] = up(v, &sums[at..], sums_len);
        back(v, upper, &mut first[at * COLUMNS..]);
        back(v, lower, &mut second[at * COLUMNS..]);
    }
}

/// Four rows at the points down.
#[inline(always)]
pub(crate) fn down<V: Vector>(v: V, [d0, d1, d2, d3]: [V::f32s; DOWN]) -> [V::f32s; DOWN] {
    [v.sub_f32s(d0, d2), v.add_f32s(d1, d2), v.sub_f32s(d2, d1), v.sub_f32s(d1, d3)]
}

/// The sums of both rows of pairs at the points along, of those at all points, which lie `apart`.
#[inline(always)]
pub(crate) fn up<V: Vector>(v: V, sums: &[f32], apart: usize) -> [[V::f32s; ALONG]; 2] {
    let (mut upper, mut lower) = ([v.splat_f32s(0.0); ALONG], [v.splat_f32s(0.0); ALONG]);
    for along in 0..ALONG {
        let mut m = [v.splat_f32s(0.0); DOWN];
        for (down, m) in m.iter_mut().enumerate() {
            *m = load::<V>(&sums[(down * ALONG + along) * apart..]);
        }
        upper[along] = v.add_f32s(v.add_f32s(m[0], m[1]), m[2]);
        lower[along] = v.sub_f32s(v.sub_f32s(m[1], m[2]), m[3]);
    }
    [upper, lower]
}
