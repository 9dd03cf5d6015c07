//! What a strip takes beyond its layers and pieces, learnt for each strip that runs.
//!
//! Layers are remembered by themselves, so that strips which never ran can be priced. What they leave out depends
//! on the strip: which maps still lie in the caches, how far a sleeping device oversleeps. A strip that ran is
//! therefore predicted from what it took itself, as a factor that begins at 1. What is beyond 1 was no computing, which layers
//! and pieces tell: other programs, a late sleeper. A throttle stretches computing only, so it takes as many milliseconds then.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::rows::Rows;

/// Strips remembered: those of a few partitions.
const STRIPS: usize = 64;
/// What one run moves the factor at least, of how far it is off.
const RATE: f64 = 0.1;
/// A run further off than this, as a logarithm, moves it no further.
const MOST_OFF: f64 = 0.15;

/// A strip and its factor, as a logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Strip {
    units: (u32, u32),
    rows: Rows,
    log: f32,
    runs: u32,
}

/// The strips that a worker ran lately, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StripMemory {
    strips: Vec<Strip>,
}

impl StripMemory {
    /// How much longer the rows `rows` of the block `units` take than their layers and pieces at `share` (0…1) of the CPU; 1
    /// if they never ran.
    pub fn factor(&self, units: &Range<usize>, rows: Rows, share: f64) -> f64 {
        let full = self.place(units, rows).map_or(1.0, |at| f64::from(self.strips[at].log).exp());
        if full > 1.0 { 1.0 + (full - 1.0) * share } else { full }
    }

    /// Takes in that they took `ratio` times what their layers and pieces say at `share` (0…1) of the CPU.
    pub fn learn(&mut self, units: &Range<usize>, rows: Rows, ratio: f64, share: f64) {
        if !(ratio.is_finite() && ratio > 0.0 && share > 0.0) {
            return;
        }
        let ratio = if ratio > 1.0 { 1.0 + (ratio - 1.0) / share } else { ratio };
        let mut strip = match self.place(units, rows) {
            Some(at) => self.strips.remove(at),
            None => Strip { units: (units.start as u32, units.end as u32), rows, log: 0.0, runs: 0 },
        };
        let off = (ratio.ln() - f64::from(strip.log)).clamp(-MOST_OFF, MOST_OFF);
        // A run counts as much as each before it and as the factor of 1 that it began with.
        strip.log += (off * RATE.max(1.0 / f64::from(strip.runs + 2))) as f32;
        strip.runs = strip.runs.saturating_add(1);
        if self.strips.len() == STRIPS {
            self.strips.remove(0);
        }
        self.strips.push(strip);
    }

    fn place(&self, units: &Range<usize>, rows: Rows) -> Option<usize> {
        let units = (units.start as u32, units.end as u32);
        self.strips.iter().position(|strip| strip.units == units && strip.rows == rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_learns_its_own_factor_and_others_keep_theirs() {
        let mut memory = StripMemory::default();
        let (units, rows) = (2..5, Rows::new(3, 9));
        for _ in 0..12 {
            memory.learn(&units, rows, 1.12, 1.0);
        }
        assert!((memory.factor(&units, rows, 1.0) / 1.12 - 1.0).abs() < 0.02, "{memory:?}");
        assert_eq!(memory.factor(&units, Rows::new(3, 10), 1.0), 1.0);
        memory.learn(&units, rows, 30.0, 1.0);
        assert!(memory.factor(&units, rows, 1.0) < 1.16, "one wild run moves it by little: {memory:?}");
        for at in 0..STRIPS as u32 {
            memory.learn(&units, Rows::new(at, at + 100), 1.0, 1.0);
        }
        assert_eq!(memory.factor(&units, rows, 1.0), 1.0, "what ran long ago is forgotten");
        assert_eq!(memory.strips.len(), STRIPS);
    }

    #[test]
    fn what_is_no_computing_takes_as_long_when_computing_is_throttled() {
        let mut memory = StripMemory::default();
        let (units, rows) = (0..1, Rows::new(0, 8));
        let (computed, delay) = (10.0, 2.0);
        let taken = |share: f64| computed / share + delay;
        (0..40).for_each(|_| memory.learn(&units, rows, taken(1.0) / computed, 1.0));
        for share in [0.6, 0.4] {
            let predicted = memory.factor(&units, rows, share) * computed / share;
            assert!((predicted / taken(share) - 1.0).abs() < 0.01, "{share}: {predicted}");
            memory.learn(&units, rows, taken(share) * share / computed, share);
        }
        let full = memory.factor(&units, rows, 1.0) * computed;
        assert!((full / taken(1.0) - 1.0).abs() < 0.01, "throttled runs say the same: {full}");
    }
}
