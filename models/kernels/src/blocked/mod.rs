//! Convolutions whose lanes are 16 output channels, for maps in blocks: 16 channels side by side, pixel after pixel
//! ("nChw16c").
//!
//! Each input value is broadcast, so inputs may lie as they like and outputs are written as they are computed; planes are
//! turned in registers once a stretch of pixels is complete. An output is the same chain of multiply-adds as of every
//! dense kernel, `k` ascending, so its bits do not depend on how maps are laid out.
//!
//! Bound: multiply-adds. A step of the widest tile is 24 on 4 vector loads and 6 broadcasts.

mod pointwise;
mod pool;
mod tile;
mod windowed;
mod winograd;

pub(crate) use pointwise::Pointwise;
pub(crate) use pool::BlockPool;
pub(crate) use windowed::{Windowed, holds_blocks, holds_groups, reads_few};
pub(crate) use winograd::Winograd;

use crate::epilogue::{Epilogue, LaneEpilogue};
use crate::isa::Vector;
use crate::memory::LINE;
use crate::run::Residual;
use crate::scratch::Buffer;
use crate::sizes::{DEPTH, PANELS_ABREAST as PANELS};
use crate::tile::PANEL;
use crate::turn::{Added, side_by_side, turn_back};
use crate::weights::{Line, PackedWeights};
use crate::{Layout, Map};
use std::ops::Range;
use tile::{Finish, Product, compute};

/// Pixels computed before the next block of `k`: their sums, and what they multiply, stay in the caches.
const PIXELS: usize = 96;

/// Some output pixels of one set of weights.
struct Stretch<'a, 'b> {
    weights: &'a PackedWeights,
    set: usize,
    /// The panel of the set that holds the first of `channels`.
    panel: usize,
    /// The set and the first of its panels that are multiplied after this one.
    next: Option<(usize, usize)>,
    epilogue: &'a Epilogue,
    /// Output channels of the set.
    channels: Range<usize>,
    /// Where in `input` the value for pixel 0 lies for each `k`.
    taps: &'a [usize],
    input: &'a [f32],
    /// The pixels to compute, by rows of `width`; from one row to the next `pitch` values of the input.
    pixels: Range<usize>,
    width: usize,
    pitch: usize,
    residual: Residual<'a>,
    /// Of these channels, from pixel 0 on.
    output: &'a mut [&'b mut [f32]],
    layout: Layout,
    sums: &'a mut Buffer,
}

impl Stretch<'_, '_> {
    /// `STEP` is the distance between the values of two pixels.
    #[inline(always)]
    fn run<V: Vector, const STEP: usize>(mut self, v: V) {
        let panels = self.channels.len().div_ceil(PANEL);
        let turns = panels.div_ceil(PANELS);
        for turn in 0..turns {
            let (first, end) = (turn * panels / turns, (turn + 1) * panels / turns);
            match end - first {
                1 => self.panels::<V, 1, STEP>(v, first),
                2 => self.panels::<V, 2, STEP>(v, first),
                3 => self.panels::<V, 3, STEP>(v, first),
                _ => self.panels::<V, PANELS, STEP>(v, first),
            }
        }
    }

    /// The channels of `NB` panels, the first of which is number `panel` of these channels.
    #[inline(always)]
    fn panels<V: Vector, const NB: usize, const STEP: usize>(&mut self, v: V, panel: usize) {
        let own = panel * PANEL..(panel * PANEL + NB * PANEL).min(self.channels.len());
        let first = self.channels.start + own.start;
        let mut epilogue = [LaneEpilogue::none(); NB];
        for (j, epilogue) in epilogue.iter_mut().enumerate() {
            let count = PANEL.min(own.len() - j * PANEL);
            *epilogue = self.epilogue.lanes(v, first + j * PANEL, 1, count);
            // Planes are added to planes where the sums are turned.
            if let (Residual::Planes(_), Layout::Planes) = (self.residual, self.layout) {
                *epilogue = epilogue.before_residual();
            }
        }
        let panels = self.panel + panel..self.panel + panel + NB;
        let all_panels = self.panel + self.channels.len().div_ceil(PANEL);
        let depth = self.taps.len();
        let step = depth.div_ceil(depth.div_ceil(DEPTH));
        let rows = (PIXELS / self.width).max(1) * self.width;
        let room = rows.next_multiple_of(PANEL) * PANEL;
        for start in self.pixels.clone().step_by(rows) {
            let span = start..self.pixels.end.min(start + rows);
            if let Residual::Planes(residual) = self.residual {
                // It was computed long ago, and each channel's lies in a page of its own.
                for channel in first..first + own.len() {
                    residual.plane(channel)[span.clone()].chunks(LINE).for_each(|line| v.prefetch(line));
                }
            }
            let mut made: [&mut [f32]; NB] = std::array::from_fn(|_| Default::default());
            let mut added = [&[][..]; NB];
            if let Residual::Blocks(map) = self.residual {
                for (j, added) in added.iter_mut().enumerate() {
                    *added = &map.plane(first / PANEL + j)[start * PANEL..];
                }
            }
            let origin = if self.layout == Layout::Blocks {
                let blocks = self.output[panel..panel + NB].iter_mut();
                made.iter_mut().zip(blocks).for_each(|(made, block)| *made = &mut **block);
                if let Residual::Planes(map) = self.residual {
                    for (j, turned) in self.sums.take(NB * room).chunks_exact_mut(room).enumerate() {
                        let planes = planes_of(&map, first + j * PANEL, span.clone());
                        side_by_side(v, &planes, turned);
                    }
                    let turned = self.sums.take(NB * room).chunks_exact(room);
                    added.iter_mut().zip(turned).for_each(|(added, turned)| *added = turned);
                }
                start
            } else {
                let sums = self.sums.take(NB * room).chunks_exact_mut(room);
                made.iter_mut().zip(sums).for_each(|(made, sums)| *made = sums);
                0
            };
            for k in (0..depth).step_by(step) {
                let end = depth.min(k + step);
                let lines = lines_from::<NB>(self.weights, self.set, panels.clone(), k, end - k);
                let epilogue = if end == depth { Some(epilogue) } else { None };
                // The pixels that come first bring the next products' weights near, those that come last the next panels'.
                let mut ahead = match end == depth {
                    false if span.start == self.pixels.start => {
                        lines_from::<NB>(self.weights, self.set, panels.clone(), end, end - k)
                    }
                    true if span.end == self.pixels.end => match self.next {
                        Some((set, first)) if panels.end == all_panels => {
                            lines_from::<NB>(self.weights, set, first..first + NB, 0, end - k)
                        }
                        _ => lines_from::<NB>(self.weights, self.set, panels.end..all_panels, 0, end - k),
                    },
                    _ => [&[][..]; NB],
                };
                for at in span.clone().step_by(self.width) {
                    let row = (at - self.pixels.start) / self.width;
                    let input = &self.input[row * self.pitch..];
                    let ahead = std::mem::replace(&mut ahead, [&[][..]; NB]);
                    let product = Product { lines, taps: &self.taps[k..end], input, ahead };
                    let pixels = self.width.min(span.end - at);
                    let mut residual = added;
                    for residual in residual.iter_mut().filter(|residual| !residual.is_empty()) {
                        *residual = &residual[(at - start) * PANEL..];
                    }
                    let finish = Finish { starts: k == 0, epilogue, residual };
                    compute::<V, NB, STEP>(v, &product, pixels, finish, &mut made, origin + at - start);
                }
            }
            if self.layout == Layout::Planes {
                let planes = &mut self.output[own.clone()];
                let sums = self.sums.take(NB * room).chunks_exact(room);
                for (j, (sums, planes)) in sums.zip(planes.chunks_mut(PANEL)).enumerate() {
                    let (channel, activation) = (first + j * PANEL, self.epilogue.activation);
                    let added = match self.residual {
                        Residual::Planes(residual) => Some(Added { residual, channel, activation }),
                        _ => None,
                    };
                    turn_back(v, sums, [0, 1], planes, span.clone(), added);
                }
            }
        }
    }
}

/// These pixels of the 16 planes from number `first` on; of the last one again where there are fewer.
#[inline(always)]
fn planes_of<'a>(map: &Map<'a>, first: usize, pixels: Range<usize>) -> [&'a [f32]; PANEL] {
    let mut planes = [&[][..]; PANEL];
    if !pixels.is_empty() {
        for (i, plane) in planes.iter_mut().enumerate() {
            *plane = &map.plane((first + i).min(map.channels() - 1))[pixels.clone()];
        }
    }
    planes
}

/// The weights of `NB` panels of a set, from number `panels.start` on, beginning with product `k`, or before it where fewer
/// than `count` are left; none of those from `panels.end` on.
#[inline(always)]
fn lines_from<const NB: usize>(
    weights: &PackedWeights,
    set: usize,
    panels: Range<usize>,
    k: usize,
    count: usize,
) -> [&[Line]; NB] {
    let mut lines = [&[][..]; NB];
    for (lines, panel) in lines.iter_mut().zip(panels) {
        let all = weights.panel(set, panel);
        *lines = &all[k.min(all.len() - count)..];
    }
    lines
}
