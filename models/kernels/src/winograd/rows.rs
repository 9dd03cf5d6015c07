//! F(4,3) along the width only. Rows stay independent, so a strip computes exactly what the whole computes.
//!
//! Input rows are transformed once (six values for every four columns), multiplied as six dense products whose pixels
//! are groups of four columns and whose depth are three rows of every channel, and transformed back.
//! Bound: multiply-adds, half as many as by definition, from about 64 channels on; below that the transforms; on maps of
//! 7×7 the weights, which are twice as many and come from the third-level cache.
//!
//! Measured beside a peak of 136 GMAC/s, counting multiply-adds by definition (so the bound is 272): 64 channels of 56×56
//! 209, 256 channels of 14×14 175 and 150 with weights from memory, 512 channels of 7×7 97 and 83.

use super::{PANELS, Reader, SLACK, back, check, next_panel, weight};
use crate::epilogue::residual_plane;
use crate::isa::{Kernel, Vector, load};
use crate::run::Run;
use crate::scratch::odd_lines;
use crate::sizes::{ALONG, COLUMNS, FEW_GROUPS, ROWS_TRANSFORMED};
use crate::target::Sums;
use crate::tile::{PANEL, Product, Taps, compute, tile_pixels};
use crate::weights::PackedWeights;
use crate::{ConvShape, KernelError};

/// Transforms each row of each kernel: three values become six.
pub(crate) fn pack(shape: &ConvShape, weights: &[f32]) -> Result<PackedWeights, KernelError> {
    check(shape)?;
    let depth = shape.in_channels / shape.groups * 3;
    let channels = shape.out_channels / shape.groups;
    Ok(PackedWeights::pack(shape.groups * ALONG, channels, depth, |set, channel, k| {
        let (group, point) = (set / ALONG, set % ALONG);
        let row = &weights[((group * channels + channel) * depth + k) * 3..][..3];
        weight(point, [row[0], row[1], row[2]].map(f64::from)) as f32
    }))
}

/// Computes a run row by row.
pub(crate) struct WinogradRows<'a, 'b>(pub(crate) Run<'a, 'b>);

impl Kernel for WinogradRows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
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
        } = self.0;
        let residual = residual.map();
        let (nr, lanes) = (tile_pixels::<V>(), V::F32_LANES);
        let in_channels = window.map.channels() / sets;
        let group_channels = out_channels / sets;
        let groups = window.out_width.div_ceil(COLUMNS);
        let row = ALONG * in_channels * groups;
        let fits = |values: usize| (values / row).saturating_sub(2).max(1);
        let [usual, at_most] = ROWS_TRANSFORMED;
        let most = fits(usual).max(fits(at_most).min(FEW_GROUPS.div_ceil(groups)));
        let band_rows = rows.div_ceil(rows.div_ceil(most));

        // Transformed rows lie by point, channel, row and group; a band of output rows reads two more.
        let channel_len = (band_rows + 2) * groups;
        let point_len = odd_lines(in_channels * channel_len + SLACK);
        let transformed = buffers.first.take(ALONG * point_len);
        let stride = (band_rows * groups).next_multiple_of(lanes);
        let sums_len = odd_lines(PANELS * PANEL * stride);
        let sums = buffers.second.take(ALONG * sums_len);
        let padded = Reader::values(groups, band_rows + 2);
        let (columns, padded) = buffers.third.take(COLUMNS * stride + padded).split_at_mut(COLUMNS * stride);
        buffers.taps.clear();
        buffers.taps.extend((0..in_channels * 3).map(|k| k / 3 * channel_len + k % 3 * groups));

        for set in channels.start / group_channels..channels.end.div_ceil(group_channels) {
            let own = channels.start.max(set * group_channels)..channels.end.min((set + 1) * group_channels);
            let output = &mut output[own.start - channels.start..own.end - channels.start];
            let first_panel = (own.start - set * group_channels) / PANEL;
            let from = set * in_channels..(set + 1) * in_channels;
            for start in (0..rows).step_by(band_rows) {
                let count = band_rows.min(rows - start);
                let line = (window.first_row + start) as isize - window.top as isize;
                let mut reader = Reader::new(&window, from.clone(), groups, padded);
                for (index, channel) in from.clone().enumerate() {
                    let lines = [line, 1, count as isize + 2];
                    reader.read(v, channel, lines, point_len, &mut transformed[index * channel_len..]);
                }
                let pixels = count * groups;
                for (chunk, planes) in output.chunks_mut(PANELS * PANEL).enumerate() {
                    for point in 0..ALONG {
                        let input = &transformed[point * point_len..][..point_len];
                        let values = &mut sums[point * sums_len..][..PANELS * PANEL * stride];
                        for (index, values) in values.chunks_mut(PANEL * stride).enumerate() {
                            let Some(rest) = planes.len().checked_sub(index * PANEL).filter(|&rest| rest > 0)
                            else {
                                break;
                            };
                            let panel = first_panel + chunk * PANELS + index;
                            let set = set * ALONG + point;
                            let count = planes.len().div_ceil(PANEL);
                            let mut ahead = next_panel(weights, set, panel, index..count, point + 1 < ALONG);
                            let weights = weights.panel(set, panel);
                            for pixel in (0..pixels).step_by(nr) {
                                let input = &input[pixel..];
                                let product =
                                    Product { weights, taps: Taps::At(&buffers.taps), input, ahead };
                                ahead = &[];
                                let mut target = Sums { values: &mut values[pixel..], stride };
                                compute(v, product, rest.min(PANEL), nr.min(pixels - pixel), &mut target);
                            }
                        }
                    }
                    for (channel, plane) in planes.iter_mut().enumerate() {
                        let absolute = own.start + chunk * PANELS * PANEL + channel;
                        transform_sums(v, &sums[channel * stride..], sums_len, pixels, columns);
                        let epilogue = epilogue.channel(absolute);
                        let residual = residual_plane(&residual, absolute);
                        for row in 0..count {
                            let at = (start + row) * window.out_width..(start + row + 1) * window.out_width;
                            let from = &columns[row * groups * COLUMNS..];
                            let residual = residual.map(|residual| &residual[at.clone()]);
                            epilogue.apply_row(v, from, residual, &mut plane[at]);
                        }
                    }
                }
            }
        }
    }
}

/// Transforms the sums of one channel back: `pixels` groups of four columns side by side. Points lie `sums_len` apart.
#[inline(always)]
fn transform_sums<V: Vector>(v: V, sums: &[f32], sums_len: usize, pixels: usize, columns: &mut [f32]) {
    for at in (0..pixels).step_by(V::F32_LANES) {
        let mut points = [v.splat_f32s(0.0); ALONG];
        for (i, point) in points.iter_mut().enumerate() {
            *point = load::<V>(&sums[i * sums_len + at..]);
        }
        back(v, points, &mut columns[at * COLUMNS..]);
    }
}
