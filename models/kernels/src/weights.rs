//! Packed weights: laid out once as the kernels read them, then shared by all strips of a layer.

use crate::isa::{Vector, load};
use crate::tile::PANEL;
use std::hint::black_box;
use std::ops::Range;

/// The weights of one output channel each, for one product: a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; PANEL]);

/// Panels whose lines are read ahead together: so many streams from memory at once.
pub(crate) const FETCHED: usize = 4;

/// Weights as the kernels read them. Shared by [`std::sync::Arc`]; not changed after packing.
///
/// Dense layers: for each set (a group, a Winograd point, or a phase of a transposed convolution) and each panel of 16
/// output channels, one line a product, zeros where the channels end.
#[derive(Debug)]
pub struct PackedWeights {
    lines: Vec<Line>,
    panels: usize,
    depth: usize,
}

impl PackedWeights {
    /// Packs `sets` matrices of `channels` × `depth`; `weight(set, channel, k)` gives the values.
    pub(crate) fn pack(
        sets: usize,
        channels: usize,
        depth: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> PackedWeights {
        let panels = channels.div_ceil(PANEL);
        let mut lines = Vec::with_capacity(sets * panels * depth);
        for set in 0..sets {
            for panel in 0..panels {
                let first = panel * PANEL;
                let count = (channels - first).min(PANEL);
                lines.extend((0..depth).map(|k| {
                    let mut line = Line([0.0; PANEL]);
                    for (i, value) in line.0.iter_mut().enumerate().take(count) {
                        *value = weight(set, first + i, k);
                    }
                    line
                }));
            }
        }
        PackedWeights { lines, panels, depth }
    }

    /// The lines of one panel of one set.
    #[inline(always)]
    pub(crate) fn panel(&self, set: usize, panel: usize) -> &[Line] {
        &self.lines[(set * self.panels + panel) * self.depth..][..self.depth]
    }

    /// Reads the lines `lines` of [`FETCHED`] panels from `first` on, of `panels` there are, so that they are in a cache
    /// when tiles ask for them.
    ///
    /// A tile has so many instructions for every line that only a few lines can be under way at once, which is too few
    /// for weights that come from memory. Where they are in a cache already this takes about two cycles a line.
    #[inline(always)]
    pub(crate) fn fetch<V: Vector>(
        &self,
        v: V,
        set: usize,
        first: usize,
        panels: usize,
        lines: Range<usize>,
    ) {
        let mut all = [v.splat_f32s(0.0); FETCHED];
        let mut streams = [&self.lines[..0]; FETCHED];
        let last = panels.saturating_sub(1);
        for (i, stream) in streams.iter_mut().enumerate() {
            *stream = &self.panel(set, (first + i).min(last))[lines.clone()];
        }
        for at in 0..lines.len() {
            for (all, stream) in all.iter_mut().zip(&streams) {
                *all = v.or_f32s(*all, load::<V>(&stream[at].0));
            }
        }
        black_box(&all);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }
}
