//! 3×3 convolution of stride 1 by Winograd's F(4,3) along the width: four outputs of a row from six products instead of
//! twelve. Rows stay independent, so a strip computes exactly what the whole computes.
//!
//! Input rows are transformed once (six values for every four columns), multiplied as six dense products whose pixels
//! are groups of four columns, and transformed back. Points 0, ±1, ±2, ∞ (Lavin and Gray, arXiv 1509.09308).
//! Bound: multiply-adds, half as many as by definition, from about 64 channels on; below that the transforms; on maps of
//! 7×7 the weights, which are twice as many and come from the third-level cache.
//!
//! Measured beside a peak of 136 GMAC/s, counting multiply-adds by definition (so the bound is 272): 64 channels of 56×56
//! 200, 256 channels of 14×14 175 and 150 with weights from memory, 512 channels of 7×7 97 and 83.

use crate::epilogue::{Epilogue, residual_plane};
use crate::gather::{Window, copy};
use crate::isa::{Kernel, Vector, load, store};
use crate::scratch::Buffers;
use crate::tile::{PANEL, Product, Sums, compute, tile_pixels};
use crate::weights::PackedWeights;
use crate::{ConvShape, KernelError, Map};
use std::ops::Range;

/// Products for every group of columns.
const POINTS: usize = 6;

/// Columns of a group.
const COLUMNS: usize = 4;

/// Values of the transformed input of one band of rows that stay in the second-level cache.
const TRANSFORMED: usize = 160 * 1024;

/// The same where fewer rows would fill too few tiles: one point's share stays in the cache while the weights of some
/// panels pass by.
const MOST_TRANSFORMED: usize = 256 * 1024;

/// Groups of columns in a band below which the weights pass by too often.
const FEW_GROUPS: usize = 96;

/// Panels of output channels computed for one point before the next.
const PANELS: usize = 4;

/// Whether the algorithm can compute a layer.
pub(crate) fn fits(shape: &ConvShape) -> bool {
    shape.kernel == [3, 3] && shape.stride == [1, 1] && shape.dilation == [1, 1]
}

/// Transforms each row of each kernel: three values become six.
pub(crate) fn pack(shape: &ConvShape, weights: &[f32]) -> Result<PackedWeights, KernelError> {
    if !fits(shape) {
        return Err(KernelError::Algorithm {
            algorithm: "Winograd",
            needs: "a 3×3 kernel, stride 1 and dilation 1",
        });
    }
    let depth = shape.in_channels / shape.groups * 3;
    let channels = shape.out_channels / shape.groups;
    Ok(PackedWeights::pack(shape.groups * POINTS, channels, depth, |set, channel, k| {
        let (group, point) = (set / POINTS, set % POINTS);
        let row = &weights[((group * channels + channel) * depth + k) * 3..][..3];
        let [a, b, c] = [row[0], row[1], row[2]].map(f64::from);
        let value = match point {
            0 => a / 4.0,
            1 => -(a + b + c) / 6.0,
            2 => -(a - b + c) / 6.0,
            3 => a / 24.0 + b / 12.0 + c / 6.0,
            4 => a / 24.0 - b / 12.0 + c / 6.0,
            _ => c,
        };
        value as f32
    }))
}

/// One run of a layer.
pub(crate) struct Winograd<'a, 'b> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) epilogue: &'a Epilogue,
    pub(crate) window: Window<'a>,
    pub(crate) rows: usize,
    pub(crate) residual: Option<Map<'a>>,
    /// One plane for each of `channels`.
    pub(crate) output: &'a mut [&'b mut [f32]],
    /// Of the whole layer.
    pub(crate) out_channels: usize,
    /// Those to compute: from the start of a panel to the end of one, or whole groups.
    pub(crate) channels: Range<usize>,
    pub(crate) groups: usize,
    pub(crate) buffers: &'a mut Buffers,
}

impl Kernel for Winograd<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Winograd {
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
        } = self;
        let (nr, lanes) = (tile_pixels::<V>(), V::F32_LANES);
        let in_channels = window.map.channels() / sets;
        let group_channels = out_channels / sets;
        let groups = window.out_width.div_ceil(COLUMNS);
        let row = POINTS * in_channels * groups;
        let fits = |values: usize| (values / row).saturating_sub(2).max(1);
        let most = fits(TRANSFORMED).max(fits(MOST_TRANSFORMED).min(FEW_GROUPS.div_ceil(groups)));
        let band_rows = rows.div_ceil(rows.div_ceil(most));
        let band = Band { groups, rows: band_rows };

        buffers.taps.clear();
        buffers.taps.extend((0..in_channels * 3).map(|k| k / 3 * band.channel() + k % 3 * groups));
        let transformed = buffers.first.take(POINTS * band.point(in_channels));
        let pixels = band_rows * groups;
        let stride = pixels.next_multiple_of(lanes);
        let sums = buffers.second.take(POINTS * PANELS * PANEL * stride);
        let split = (band.channel() + MAX_SLACK).max(stride);
        let work = buffers.third.take(split * (POINTS + COLUMNS) + COLUMNS * (groups + 2 * MAX_SLACK));

        for set in channels.start / group_channels..channels.end.div_ceil(group_channels) {
            let own = channels.start.max(set * group_channels)..channels.end.min((set + 1) * group_channels);
            let output = &mut output[own.start - channels.start..own.end - channels.start];
            let first_panel = (own.start - set * group_channels) / PANEL;
            let from = set * in_channels..(set + 1) * in_channels;
            for start in (0..rows).step_by(band_rows) {
                let count = band_rows.min(rows - start);
                let lines = start..start + count + 2;
                transform_input(v, &window, from.clone(), lines, band, work, transformed);
                let pixels = count * groups;
                for (chunk, planes) in output.chunks_mut(PANELS * PANEL).enumerate() {
                    for point in 0..POINTS {
                        let input =
                            &transformed[point * band.point(in_channels)..][..band.point(in_channels)];
                        let values = &mut sums[point * PANELS * PANEL * stride..][..PANELS * PANEL * stride];
                        for (index, values) in values.chunks_mut(PANEL * stride).enumerate() {
                            let Some(rest) = planes.len().checked_sub(index * PANEL).filter(|&rest| rest > 0)
                            else {
                                break;
                            };
                            let panel = first_panel + chunk * PANELS + index;
                            let set = set * POINTS + point;
                            // The next panel of this point, or the first of the next point.
                            let mut ahead = match index + 1 < planes.len().div_ceil(PANEL) {
                                true => weights.panel(set, panel + 1),
                                false if point + 1 < POINTS => weights.panel(set + 1, panel - index),
                                false => &[],
                            };
                            let weights = weights.panel(set, panel);
                            for pixel in (0..pixels).step_by(nr) {
                                let input = &input[pixel..];
                                let product = Product { weights, taps: &buffers.taps, input, ahead };
                                ahead = &[];
                                let mut target = Sums { values: &mut values[pixel..], stride };
                                compute(v, product, rest.min(PANEL), nr.min(pixels - pixel), &mut target);
                            }
                        }
                    }
                    for (channel, plane) in planes.iter_mut().enumerate() {
                        let absolute = own.start + chunk * PANELS * PANEL + channel;
                        let rows = start * window.out_width..(start + count) * window.out_width;
                        let columns = transform_output(v, sums, channel, stride, pixels, work);
                        let epilogue = epilogue.channel(absolute);
                        let residual = residual_plane(&residual, absolute).map(|r| &r[rows.clone()]);
                        let plane = &mut plane[rows];
                        for (y, to) in plane.chunks_exact_mut(window.out_width).enumerate() {
                            let from = &columns[y * groups * COLUMNS..];
                            let residual = residual.map(|r| &r[y * window.out_width..][..window.out_width]);
                            epilogue.apply_row(v, from, residual, to);
                        }
                    }
                }
            }
        }
    }
}

/// Values behind a stretch that whole vectors may reach into.
const MAX_SLACK: usize = 16;

/// How the transformed rows of a band lie: point, channel, row, group of columns.
#[derive(Clone, Copy)]
struct Band {
    groups: usize,
    /// Output rows; the input has two more.
    rows: usize,
}

impl Band {
    /// Values of one channel at one point.
    fn channel(self) -> usize {
        (self.rows + 2) * self.groups
    }

    /// Values of all channels at one point.
    fn point(self, channels: usize) -> usize {
        channels * self.channel() + MAX_SLACK
    }
}

/// Transforms the input rows `lines` of the channels `from`; line 0 is the top tap of output row 0.
#[inline(always)]
fn transform_input<V: Vector>(
    v: V,
    window: &Window<'_>,
    from: Range<usize>,
    lines: Range<usize>,
    band: Band,
    work: &mut [f32],
    transformed: &mut [f32],
) {
    let (channels, rows) = (from.len(), lines.len());
    let count = rows * band.groups;
    let stride = band.channel() + MAX_SLACK;
    let (work, padded) = work.split_at_mut(POINTS * stride);
    let left = window.left as usize;
    padded.fill(0.0);
    for (channel, source) in from.enumerate() {
        for row in 0..rows {
            let line = (window.first_row + lines.start + row).checked_sub(window.top);
            let to = &mut work[row * band.groups..];
            match line.filter(|&line| line < window.map.rows()) {
                Some(line) => {
                    let line = window.map.row(source, line);
                    copy(v, line, &mut padded[left..], line.len());
                    spread(v, padded, band.groups, stride, to);
                }
                None => to.chunks_mut(stride).for_each(|to| to[..band.groups].fill(0.0)),
            }
        }
        let four = v.splat_f32s(4.0);
        let five = v.splat_f32s(-5.0);
        let two = v.splat_f32s(2.0);
        let minus_four = v.splat_f32s(-4.0);
        let minus_two = v.splat_f32s(-2.0);
        for at in (0..count).step_by(V::F32_LANES) {
            let [d0, d1, d2, d3, d4, d5] = points::<V>(v, &work[at..], stride);
            let even = v.fma(d2, minus_four, d4);
            let odd = v.fma(d1, minus_four, d3);
            let near = v.sub_f32s(d4, d2);
            let far = v.sub_f32s(d3, d1);
            let points = [
                v.fma(d0, four, v.fma(d2, five, d4)),
                v.add_f32s(even, odd),
                v.sub_f32s(even, odd),
                v.fma(far, two, near),
                v.fma(far, minus_two, near),
                v.fma(d1, four, v.fma(d3, five, d5)),
            ];
            for (point, value) in points.into_iter().enumerate() {
                let to = point * band.point(channels) + channel * band.channel() + at;
                store::<V>(&mut transformed[to..], value);
            }
        }
    }
}

/// For each of six shifts, every fourth value of a row between its zeros. Whole vectors are written, so rows go in order.
#[inline(always)]
fn spread<V: Vector>(v: V, row: &[f32], groups: usize, stride: usize, to: &mut [f32]) {
    let lanes = V::F32_LANES;
    for group in (0..groups).step_by(lanes) {
        let from = &row[group * COLUMNS..];
        let [a, b, c, d] = fourths::<V>(v, from);
        let [e, f, ..] = fourths::<V>(v, &from[COLUMNS..]);
        for (shift, value) in [a, b, c, d, e, f].into_iter().enumerate() {
            store::<V>(&mut to[shift * stride + group..], value);
        }
    }
}

/// A vector of each point; they lie `stride` apart.
#[inline(always)]
fn points<V: Vector>(v: V, from: &[f32], stride: usize) -> [V::f32s; POINTS] {
    let mut points = [v.splat_f32s(0.0); POINTS];
    for (i, point) in points.iter_mut().enumerate() {
        *point = load::<V>(&from[i * stride..]);
    }
    points
}

/// The values at places 0, 1, 2 and 3 modulo 4.
#[inline(always)]
fn fourths<V: Vector>(v: V, from: &[f32]) -> [V::f32s; COLUMNS] {
    let lanes = V::F32_LANES;
    let from = &from[..COLUMNS * lanes];
    let [a, b] = v.split(load::<V>(from), load::<V>(&from[lanes..]));
    let [c, d] = v.split(load::<V>(&from[2 * lanes..]), load::<V>(&from[3 * lanes..]));
    let ([first, third], [second, fourth]) = (v.split(a, c), v.split(b, d));
    [first, second, third, fourth]
}

/// Transforms the sums of one channel back: `pixels` groups of four columns side by side.
#[inline(always)]
fn transform_output<'a, V: Vector>(
    v: V,
    sums: &[f32],
    channel: usize,
    stride: usize,
    pixels: usize,
    work: &'a mut [f32],
) -> &'a [f32] {
    let (two, four, eight) = (v.splat_f32s(2.0), v.splat_f32s(4.0), v.splat_f32s(8.0));
    for at in (0..pixels).step_by(V::F32_LANES) {
        let [m0, m1, m2, m3, m4, m5] =
            points::<V>(v, &sums[channel * stride + at..], PANELS * PANEL * stride);
        let (even, odd) = (v.add_f32s(m1, m2), v.sub_f32s(m1, m2));
        let (far_even, far_odd) = (v.add_f32s(m3, m4), v.sub_f32s(m3, m4));
        let columns = [
            v.add_f32s(v.add_f32s(m0, even), far_even),
            v.fma(far_odd, two, odd),
            v.fma(far_even, four, even),
            v.add_f32s(v.fma(far_odd, eight, odd), m5),
        ];
        let ([a, b], [c, d]) = (v.interleave(columns[0], columns[2]), v.interleave(columns[1], columns[3]));
        let to = &mut work[at * COLUMNS..][..COLUMNS * V::F32_LANES];
        let ([a, c], [b, d]) = (v.interleave(a, c), v.interleave(b, d));
        for (i, value) in [a, c, b, d].into_iter().enumerate() {
            store::<V>(&mut to[i * V::F32_LANES..], value);
        }
    }
    &work[..pixels * COLUMNS]
}
