//! Gathers what a few output pixels multiply: for each input channel and tap, the input values of consecutive pixels,
//! side by side, zeros where the kernel reaches beyond the map.
//!
//! Pixels run on across the ends of rows, so narrow maps fill whole tiles. Bound: loads and stores; one of each for a
//! vector of pixels, against one multiply-add a vector for every output channel.

use crate::Map;
use crate::isa::{Vector, load, load_at_most, load_few, store, store_at_most, store_few};
use std::ops::Range;

/// How output pixels lie over input rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) map: Map<'a>,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Rows of zeros above the map.
    pub(crate) top: usize,
    /// Columns of zeros left of the map; where negative, so many columns of the map are skipped.
    pub(crate) left: isize,
    pub(crate) out_width: usize,
    /// The output row in which pixel 0 lies.
    pub(crate) first_row: usize,
}

impl Window<'_> {
    /// Whether each of `pixels` reads exactly the input value in its own place.
    pub(crate) fn is_plain(&self, pixels: usize) -> bool {
        let unpadded = self.top == 0 && self.left == 0 && self.out_width == self.map.width();
        let inside = self.first_row * self.map.width() + pixels <= self.map.rows() * self.map.width();
        self.kernel == [1, 1] && self.stride == [1, 1] && unpadded && inside
    }

    /// The same pixels as one row, if each reads exactly the value in its own place: one long row is copied faster than
    /// many short ones.
    pub(crate) fn as_one_row(&self, pixels: usize) -> Self {
        if !self.is_plain(pixels) {
            return *self;
        }
        let map = self.map.rows_between(self.first_row, self.map.rows()).as_one_row();
        Window { map, first_row: 0, out_width: pixels, ..*self }
    }

    /// Of `needed` rows of the padded map, from the first one on that output row `start` reads, those that the map has; and
    /// where in a channel's values these begin.
    #[inline(always)]
    pub(crate) fn held(&self, start: usize, needed: usize) -> (Range<usize>, usize) {
        let first = (self.first_row + start) * self.stride[0];
        let above = self.top.saturating_sub(first).min(needed);
        let end = (self.map.rows() + self.top).saturating_sub(first).clamp(above, needed);
        let source = if above == end { 0 } else { (first + above - self.top) * self.map.width() };
        (above..end, source)
    }

    /// Fills `panel`: for input channel `first + c` and tap `t`, the values of `pixels` start at
    /// `(c · taps + t) · stride`. What follows them up to the next row of the panel is unspecified.
    #[inline(always)]
    pub(crate) fn gather<V: Vector>(
        &self,
        v: V,
        first: usize,
        channels: usize,
        pixels: Range<usize>,
        stride: usize,
        panel: &mut [f32],
    ) {
        let (pixel, count) = (pixels.start, pixels.len());
        let [rows, columns] = self.kernel;
        for row in 0..rows {
            for column in 0..columns {
                let tap = row * columns + column;
                let (mut y, mut x) = (self.first_row + pixel / self.out_width, pixel % self.out_width);
                let mut at = 0;
                while at < count {
                    let len = (self.out_width - x).min(count - at);
                    let run = Run { first, channels, tap, row, column, y, x, at, len };
                    self.gather_run(v, run, stride, panel);
                    at += len;
                    (y, x) = (y + 1, 0);
                }
            }
        }
    }

    #[inline(always)]
    fn gather_run<V: Vector>(&self, v: V, run: Run, nr: usize, panel: &mut [f32]) {
        let step = self.kernel[0] * self.kernel[1] * nr;
        let targets = panel.chunks_mut(step).take(run.channels).map(|rows| &mut rows[run.tap * nr..][..nr]);
        let line = run.y * self.stride[0] + run.row * self.dilation[0];
        if line < self.top || line - self.top >= self.map.rows() {
            targets.for_each(|to| to[run.at..run.at + run.len].fill(0.0));
            return;
        }
        let line = line - self.top;
        let [_, stride] = self.stride;
        let reach = (run.x * stride + run.column * self.dilation[1]) as isize - self.left;
        let Range { start: lo, end: hi } = outputs_inside(reach, stride, self.map.width(), run.len);
        if lo == hi {
            targets.for_each(|to| to[run.at..run.at + run.len].fill(0.0));
            return;
        }
        let start = line * self.map.width() + (lo * stride).strict_add_signed(reach);
        let edges = lo > 0 || hi < run.len;
        for (c, to) in targets.enumerate() {
            let from = &self.map.beyond(run.first + c)[start..];
            let to = &mut to[run.at..];
            if edges {
                to[..lo].fill(0.0);
            }
            let inner = &mut to[lo..];
            match stride {
                1 => copy(v, from, inner, hi - lo),
                2 => pick::<V, 2>(v, from, &mut inner[..hi - lo]),
                4 => pick::<V, 4>(v, from, &mut inner[..hi - lo]),
                _ => {
                    inner.iter_mut().take(hi - lo).zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f)
                }
            }
            if edges {
                to[hi..run.len].fill(0.0);
            }
        }
    }
}

/// The pixels of a panel that lie in one output row, at one tap.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    channels: usize,
    tap: usize,
    row: usize,
    column: usize,
    y: usize,
    x: usize,
    at: usize,
    len: usize,
}

/// Of `len` outputs, of which number `i` reads column `i · stride + reach`, those that read one of `width` columns.
pub(crate) fn outputs_inside(reach: isize, stride: usize, width: usize, len: usize) -> Range<usize> {
    let start = usize::try_from(-reach).unwrap_or(0).div_ceil(stride).min(len);
    let end = usize::try_from(width as isize - reach).unwrap_or(0).div_ceil(stride).clamp(start, len);
    start..end
}

/// Copies `len` values.
#[inline(always)]
pub(crate) fn copy<V: Vector>(v: V, from: &[f32], to: &mut [f32], len: usize) {
    let lanes = V::F32_LANES;
    if len >= lanes {
        let mut at = 0;
        while at + lanes <= len {
            store::<V>(&mut to[at..], load::<V>(&from[at..]));
            at += lanes;
        }
        if at < len {
            store::<V>(&mut to[len - lanes..], load::<V>(&from[len - lanes..]));
        }
    } else {
        store_few(v, &mut to[..len], load_few(v, &from[..len]));
    }
}

/// Copies every `STRIDE`th value, of two or four, to all of `to`.
#[inline(always)]
pub(crate) fn pick<V: Vector, const STRIDE: usize>(v: V, from: &[f32], to: &mut [f32]) {
    let (lanes, len) = (V::F32_LANES, to.len());
    let mut at = 0;
    while at < len {
        // The group of the last value may be cut short.
        let from = &from[at * STRIDE..];
        let from = &from[..from.len().min(lanes * STRIDE)];
        let [mut values, _] = v.split(part::<V>(v, from, 0), part::<V>(v, from, 1));
        if STRIDE == 4 {
            let [others, _] = v.split(part::<V>(v, from, 2), part::<V>(v, from, 3));
            [values, _] = v.split(values, others);
        }
        store_at_most(v, &mut to[at..], values);
        at += lanes;
    }
}

/// Vector number `i` of `from`, zeros behind its end.
#[inline(always)]
fn part<V: Vector>(v: V, from: &[f32], i: usize) -> V::f32s {
    load_at_most(v, &from[(i * V::F32_LANES).min(from.len())..])
}
