//! What every block would take one team of workers, and what would remain after it.
//!
//! Rows of a block are levelled on what strips take, halo and calls included, as if all of the team began
//! together. A dynamic program from the end gives the time to go after every cut; it takes all workers to
//! wait for each other, but not for transfers that the next block can hide behind its inner rows. It is the
//! policy's opinion before it has learnt anything.

use super::features::{Outlook, stretch};
use crate::plan::fill::{Line, Party};
use crate::plan::search::Search;

/// Longer blocks are not considered: their halo is never worth it.
pub(crate) const LONGEST_BLOCK: usize = 8;
/// Share of a block's time that is taken to hide transfers where it can be computed in pieces.
const HIDING: f64 = 0.8;

/// One block of a team.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    /// The slowest strip, ms.
    pub(crate) slowest: f64,
    /// Rows sent before it, from the block that ends where it begins, ms.
    pub(crate) exchange: f64,
    /// Whether its strips can be computed in pieces.
    pub(crate) hides: bool,
}

impl Entry {
    /// What is left of the exchange when the block hides what it can, ms.
    fn waiting(&self) -> f64 {
        let hidden = if self.hides { HIDING * self.slowest } else { 0.0 };
        (self.exchange - hidden).max(0.0)
    }
}

/// All blocks of one team, by first unit, then by length.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) team: Vec<usize>,
    entries: Vec<Entry>,
    bounds: Vec<u32>,
    stride: usize,
    /// By cut: ms from there to the end, the exchange there included.
    to_go: Vec<f64>,
}

impl Table {
    pub(crate) fn new(search: &mut Search<'_>, outlook: &Outlook, team: &[usize]) -> Self {
        let (units, stride) = (search.units(), search.problem.workers() + 1);
        let mut table = Self {
            team: team.to_vec(),
            entries: vec![Entry::default(); units * LONGEST_BLOCK],
            bounds: vec![0; units * LONGEST_BLOCK * stride],
            stride,
            to_go: vec![f64::INFINITY; units + 1],
        };
        let (mut weights, mut bounds, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for to in 1..=units {
            for from in (to.saturating_sub(LONGEST_BLOCK)..to).rev() {
                search.costing.spans.span(from, to);
                outlook.weights(team, from, to, &mut weights);
                search.level_for(team, from, to, &weights, &mut bounds, &mut lines);
                let at = table.at(from, to);
                table.bounds[at * stride..(at + 1) * stride].copy_from_slice(&bounds);
            }
        }
        let mut asks = Vec::with_capacity(stride);
        for from in (0..units).rev() {
            for to in from + 1..=units.min(from + LONGEST_BLOCK) {
                let bounds = table.rows(from, to);
                let rows = search.rows(to) / team.len() as u32;
                let entry = Entry {
                    slowest: search.slowest(from, to, bounds).1,
                    exchange: match from {
                        0 => 0.0,
                        _ => search.exchange(table.rows(from - 1, from), from, to, bounds, &mut asks),
                    },
                    hides: search.shared(to) && search.costing.hides(from, to, rows),
                };
                let at = table.at(from, to);
                table.entries[at] = entry;
            }
            table.to_go[units] = 0.0;
            let alone = search.problem.candidates().map(|worker| outlook.rest_ms[worker][from]);
            let alone = alone.fold(f64::INFINITY, f64::min) + table.entry(from, from + 1).exchange;
            let blocks = (from + 1..=units.min(from + LONGEST_BLOCK)).map(|to| {
                let entry = table.entry(from, to);
                entry.waiting() + entry.slowest + table.to_go[to]
            });
            table.to_go[from] = blocks.fold(alone, f64::min);
        }
        table
    }

    fn at(&self, from: usize, to: usize) -> usize {
        from * LONGEST_BLOCK + to - from - 1
    }

    /// The block of units `from..to`, of at most [`LONGEST_BLOCK`] units.
    pub(crate) fn entry(&self, from: usize, to: usize) -> &Entry {
        &self.entries[self.at(from, to)]
    }

    /// Its rows.
    pub(crate) fn rows(&self, from: usize, to: usize) -> &[u32] {
        let at = self.at(from, to);
        &self.bounds[at * self.stride..(at + 1) * self.stride]
    }

    /// Ms from unit `from` to the end if its block ends at `to`; without what is waited for before it.
    fn through(&self, from: usize, to: usize) -> f64 {
        self.entry(from, to).slowest + self.to_go[to]
    }

    /// How much is gained by ending the block that begins at `from` at `to` rather than later, ms.
    pub(crate) fn gain(&self, from: usize, to: usize) -> f64 {
        let units = self.to_go.len() - 1;
        let later = (to + 1..=units.min(from + LONGEST_BLOCK)).map(|later| self.through(from, later));
        later.fold(f64::INFINITY, f64::min) - self.through(from, to)
    }
}

impl Search<'_> {
    /// Turns the rows of the block that begins one unit later into levelled ones of `team` for the block `from..to`, which
    /// must be tabulated; a block of one unit begins with rows in proportion to `weights`. Those of the fastest alone where
    /// it cannot be split.
    fn level_for(
        &self,
        team: &[usize],
        from: usize,
        to: usize,
        weights: &[f64],
        bounds: &mut Vec<u32>,
        lines: &mut Vec<Line>,
    ) {
        let rows = self.rows(to);
        if self.shared(to) {
            if from + 1 == to {
                stretch(rows, weights, bounds);
                self.balance(from, to, &Party::of(team), bounds, lines);
            }
            self.balance(from, to, &Party::of(team), bounds, lines);
            return;
        }
        let owner = team.iter().copied().max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
        bounds.clear();
        bounds.extend((0..self.problem.workers() + 1).map(|at| if at > owner { rows } else { 0 }));
    }
}
