//! Packed weights: laid out once as the kernels read them, then shared by all strips of a layer.

use crate::memory::Memory;
use crate::tile::PANEL;

/// The weights of one output channel each, for one product: a cache line.
pub(crate) type Line = [f32; PANEL];

/// Weights as the kernels read them. Shared by [`std::sync::Arc`]; not changed after packing.
///
/// Dense layers: for each set (a group, a Winograd point, or a phase of a transposed convolution) and each panel of 16
/// output channels, one line a product, zeros where the channels end.
#[derive(Debug)]
pub struct PackedWeights {
    memory: Memory,
    sets: usize,
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
        let mut memory = Memory::to_keep(sets * panels * depth * PANEL);
        let mut lines = memory.values_mut().as_chunks_mut::<PANEL>().0.iter_mut();
        for set in 0..sets {
            for panel in 0..panels {
                let first = panel * PANEL;
                let count = (channels - first).min(PANEL);
                for (k, line) in (0..depth).zip(&mut lines) {
                    for (i, value) in line.iter_mut().enumerate().take(count) {
                        *value = weight(set, first + i, k);
                    }
                }
            }
        }
        PackedWeights { memory, sets, panels, depth }
    }

    /// The lines of one panel of one set.
    #[inline(always)]
    pub(crate) fn panel(&self, set: usize, panel: usize) -> &[Line] {
        &self.memory.values().as_chunks().0[(set * self.panels + panel) * self.depth..][..self.depth]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.sets * self.panels * self.depth * size_of::<Line>()
    }
}
