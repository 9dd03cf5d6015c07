//! Operators computed together in bands of rows, so that the maps between them never leave the caches.
//!
//! A map that is larger than a second-level cache is written to memory, or a cache that others share, and read again
//! from there. Where an operator alone reads what another yields, and needs only rows nearby, both go down the map
//! together: a band of the last operator's rows at a time, and of each map before it the rows that these need. The rows
//! that the next band needs again stay. Every value is computed by the same operations as without bands, as no
//! algorithm depends on the rows; each thread goes down its own share and computes what lies at the seam twice.
//!
//! A map between two of them may lie as both like it best: next to depthwise layers in blocks of channels
//! ([`Layout::Blocks`]), so that they need not turn it.

use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_kernels::{KernelError, Layout, Map, Scratch, Strip};
use tract_onnx::tract_core::internal::*;

use super::workspace::{Hand, Workspace};
use super::{Operator, chain};
use crate::rows::{Node, Split};
use crate::team::thread_time;

/// An operator that computes an output row from rows nearby of its first input, and from the same row of a second one
/// if it adds that.
pub(crate) trait Banded: Operator {
    /// Which rows.
    fn reach(&self) -> Reach;

    /// Whether it, reading a map laid out as `before`, and `next`, which alone reads what it yields, take that in blocks.
    fn passes_blocks_to(&self, before: Layout, next: &dyn Banded) -> bool {
        let (_, _) = (before, next);
        false
    }

    /// Computes `strip.rows` into one slice a channel or block, from and to maps laid out as it takes them. The input is
    /// as wide as [`Reach`] says and holds what they need.
    ///
    /// # Errors
    /// If a size is another one, which is a mistake in here.
    fn run_band(
        &self,
        strip: &Strip<'_>,
        layouts: [Layout; 2],
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError>;
}

/// The first input of an operator, and the window over its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Channels, rows and width.
    pub(crate) input: [usize; 3],
    /// Rows from the first tap of a window to the last, and from one window to the next.
    pub(crate) span: usize,
    pub(crate) stride: usize,
    /// Rows of zeros above and below.
    pub(crate) pads: [usize; 2],
    /// 1 if pairs of output rows that are computed together begin at odd rows, 0 if at even ones.
    pub(crate) odd: usize,
}

impl Reach {
    /// An operator that reads of `input` the row that it writes.
    pub(crate) fn same_row(input: [usize; 3]) -> Self {
        Self { input, span: 0, stride: 1, pads: [0, 0], odd: 0 }
    }

    /// The input rows that output rows `rows` need.
    fn need(&self, rows: &Range<usize>) -> Range<usize> {
        let first = rows.start * self.stride;
        let end = (rows.end - 1) * self.stride + self.span + 1;
        first.saturating_sub(self.pads[0])..end.saturating_sub(self.pads[0]).min(self.input[1])
    }

    /// Input rows that so many output rows need at most.
    fn most(&self, rows: usize) -> usize {
        ((rows - 1) * self.stride + self.span + 1).min(self.input[1])
    }

    /// Whether a pair of output rows would be cut in two before row `row`.
    fn cuts_a_pair(&self, row: usize) -> bool {
        (row + self.odd) % 2 == 1
    }

    /// What computes output rows `rows` from `held`, whose first row is row `first` of the input.
    fn strip<'a>(&self, rows: &Range<usize>, held: Map<'a>, first: usize) -> Strip<'a> {
        let need = self.need(rows);
        let end = (rows.end - 1) * self.stride + self.span + 1;
        // An odd row stays an odd one: some kernels compute rows by pairs, which begin at even ones.
        let skipped = rows.start % 2;
        Strip {
            input: held.rows_between(need.start - first, need.end - first),
            top: self.pads[0].saturating_sub(rows.start * self.stride) + skipped * self.stride,
            // A window may reach beyond the padding, as with rounding up.
            bottom: end.saturating_sub(self.pads[0] + self.input[1]).min(self.pads[1]),
            rows: skipped..skipped + rows.len(),
            residual: None,
        }
    }
}

/// Operators of which each reads what the one before yields.
#[derive(Clone, Debug)]
pub(super) struct Bands {
    stages: Vec<Stage>,
    /// Output rows that are computed at a time.
    rows: usize,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    operator: Arc<dyn Banded>,
    reach: Reach,
    /// Channels, rows and width of its output.
    output: [usize; 3],
    /// How that lies.
    layout: Layout,
    /// Which of all inputs it adds.
    residual: Option<usize>,
    /// Rows that its output has room for.
    room: usize,
}

impl Stage {
    /// An operator that adds input number `residual` of all.
    pub(super) fn new(operator: Arc<dyn Banded>, residual: Option<usize>) -> Option<Self> {
        let output = chain::as_map(operator.shape())?;
        Some(Self { reach: operator.reach(), operator, output, layout: Layout::Planes, residual, room: 0 })
    }

    /// Planes of its output, and values in a row of one.
    fn planes(&self) -> [usize; 2] {
        self.layout.as_planes(self.output[0], self.output[2])
    }

    /// Values of its band.
    fn values(&self) -> usize {
        let [planes, width] = self.planes();
        planes * self.room * width
    }
}

/// Rows of the last operator that are computed at a time where the bands are large: as many as kernels compute at once.
const ROWS: usize = 4;

/// Bytes of all bands that stay in a second-level cache, with what else is read.
const BANDS: usize = 1 << 20;

/// Bytes of all bands at [`ROWS`] rows up to which another operator is joined.
const MOST: usize = 3 << 19;

impl Bands {
    /// `stages` together, if there are several and their bands are not too large.
    pub(super) fn of(stages: Vec<Stage>) -> Option<Self> {
        let all = stages.last()?.output[1];
        let mut bands = Self { stages, rows: 0 };
        bands.lay_out();
        if bands.stages.len() < 2 || bands.make_room(ROWS.min(all)) > MOST {
            return None;
        }
        let counts = (ROWS..all).step_by(ROWS).chain([all]);
        let fitting = counts.take_while(|&rows| bands.make_room(rows) <= BANDS).last();
        let count = all.div_ceil(fitting.unwrap_or(ROWS.min(all)));
        bands.make_room(all.div_ceil(count).next_multiple_of(2));
        Some(bands)
    }

    /// Whether the last map that one passes to another lies in blocks.
    pub(super) fn end_in_blocks(&self) -> bool {
        let [.., from, _] = &*self.stages else { return false };
        from.layout == Layout::Blocks
    }

    /// Chooses blocks wherever both operators take them.
    fn lay_out(&mut self) {
        let mut before = Layout::Planes;
        for at in 1..self.stages.len() {
            let [from, to] = [&self.stages[at - 1], &self.stages[at]];
            if from.operator.passes_blocks_to(before, &*to.operator) {
                self.stages[at - 1].layout = Layout::Blocks;
            }
            before = self.stages[at - 1].layout;
        }
    }

    /// Sets how many rows are computed at a time; how many bytes the bands have then.
    fn make_room(&mut self, rows: usize) -> usize {
        self.rows = rows;
        let mut room = rows;
        let mut bytes = 0;
        for at in (1..self.stages.len()).rev() {
            // A row more, so that pairs of rows stay together.
            room = (self.stages[at].reach.most(room) + 1).min(self.stages[at - 1].output[1]);
            self.stages[at - 1].room = room;
            bytes += size_of::<f32>() * self.stages[at - 1].values();
        }
        bytes
    }

    /// Computes output rows `rows` into one slice a channel.
    fn run_rows(
        &self,
        inputs: &[&[f32]],
        rows: Range<usize>,
        output: &mut [&mut [f32]],
        hand: &mut Hand,
    ) -> Result<(), KernelError> {
        let Hand { scratch, planes: list, bands, laps } = hand;
        let last = self.stages.len() - 1;
        laps.resize(self.stages.len(), Default::default());
        let mut memory = bands.take(self.stages[..last].iter().map(Stage::values).sum());
        let mut bands: TVec<Band<'_>> = TVec::new();
        for stage in &self.stages[..last] {
            let (values, rest) = memory.split_at_mut(stage.values());
            bands.push(Band { values, held: 0..0 });
            memory = rest;
        }
        let mut needs: TVec<Range<usize>> = self.stages.iter().map(|_| 0..0).collect();
        let mut begun = thread_time();
        let mut start = rows.start;
        while start < rows.end {
            let end = start + self.rows;
            let end = end - usize::from(self.rows > 1 && self.stages[last].reach.cuts_a_pair(end));
            needs[last] = start..end.min(rows.end);
            start = needs[last].end;
            for at in (0..last).rev() {
                let Range { start, end } = self.stages[at + 1].reach.need(&needs[at + 1]);
                let end = end + usize::from(self.stages[at].reach.cuts_a_pair(end));
                needs[at] = start..end.min(self.stages[at].output[1]);
            }
            for (at, stage) in self.stages.iter().enumerate() {
                let (before, own) = bands.split_at_mut(at);
                let (input, first, layout) = match before.last() {
                    Some(band) => {
                        let from = &self.stages[at - 1];
                        let [planes, width] = from.planes();
                        let map = Map::new(band.values, planes, from.room, width)?;
                        (map.rows_between(0, band.held.len()), band.held.start, from.layout)
                    }
                    None => {
                        let [channels, height, width] = stage.reach.input;
                        (Map::new(inputs[0], channels, height, width)?, 0, Layout::Planes)
                    }
                };
                let mut made = needs[at].clone();
                let [count, width] = stage.planes();
                let mut planes = match own.first_mut() {
                    Some(band) => {
                        made.start = band.advance(&made, width, stage.room * width);
                        let at = (made.start - band.held.start) * width;
                        let mut planes = list.split(band.values, count);
                        for plane in &mut planes {
                            *plane = &mut std::mem::take(plane)[at..][..made.len() * width];
                        }
                        planes
                    }
                    None => {
                        let at = (made.start - rows.start) * width;
                        let mut planes = list.split(&mut [], 1);
                        let len = made.len() * width;
                        planes.extend(output.iter_mut().map(|plane| &mut plane[at..][..len]));
                        planes
                    }
                };
                let result = if made.is_empty() {
                    Ok(())
                } else {
                    let mut strip = stage.reach.strip(&made, input, first);
                    if let Some(residual) = stage.residual {
                        let [channels, height, width] = stage.output;
                        let map = Map::new(inputs[residual], channels, height, width)?;
                        strip.residual = Some(map.rows_between(made.start, made.end));
                    }
                    stage.operator.run_band(&strip, [layout, stage.layout], &mut planes, scratch)
                };
                list.keep(planes);
                result?;
                let now = thread_time();
                laps[at] += now.saturating_sub(begun);
                begun = now;
            }
        }
        Ok(())
    }
}

/// The rows of a map that are there at present.
struct Band<'a> {
    values: &'a mut [f32],
    held: Range<usize>,
}

impl Band<'_> {
    /// Goes on to rows `next`, of which those held already are moved to the beginning; the first row that is not.
    fn advance(&mut self, next: &Range<usize>, width: usize, plane: usize) -> usize {
        let kept = next.start..self.held.end.max(next.start);
        if !kept.is_empty() {
            let from = (kept.start - self.held.start) * width;
            for plane in self.values.chunks_exact_mut(plane) {
                plane.copy_within(from..from + kept.len() * width, 0);
            }
        }
        self.held = next.clone();
        kept.end
    }
}

impl Operator for Bands {
    fn name(&self) -> &'static str {
        "Bands"
    }

    fn label(&self) -> (String, Kind) {
        let labels: Vec<_> = self.stages.iter().map(|stage| stage.operator.label()).collect();
        let texts: Vec<&str> = labels.iter().map(|(text, _)| text.as_str()).collect();
        (texts.join(", "), labels[0].1)
    }

    fn shape(&self) -> &[usize] {
        self.stages[self.stages.len() - 1].operator.shape()
    }

    fn macs(&self) -> u64 {
        self.stages.iter().map(|stage| stage.operator.macs()).sum()
    }

    fn weights(&self) -> u64 {
        self.stages.iter().map(|stage| stage.operator.weights()).sum()
    }

    fn run(
        &self,
        inputs: &[&[f32]],
        output: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<(), KernelError> {
        let [channels, rows, _] = self.stages[self.stages.len() - 1].output;
        workspace.by_rows(output, [channels, rows], self.macs(), |rows, planes, hand| {
            self.run_rows(inputs, rows, planes, hand)
        })
    }

    /// They are joined after everything was cut.
    fn split(&self, _node: &Node) -> Option<Split> {
        None
    }
}
