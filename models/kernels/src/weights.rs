//! Packed weights: laid out once as the kernels read them, then shared by all strips of a layer.

use crate::tile::PANEL;

/// The weights of one output channel each, for one product: a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; PANEL]);

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

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }
}
