//! Operators computed together in bands of rows, so that the maps between them never leave the caches.
//!
//! A map that is larger than a second-level cache is written to memory, or a cache that others share, and read again
//! from there. Where an operator alone reads what another yields, and needs only rows nearby, both go down the map
//! together: a band of the last operator's rows at a time, and of each map before it the rows that these need. The rows
//! that the next band needs again stay. Every value is computed by the same operations as without bands, as no
//! algorithm depends on the rows; each thread goes down its own share and computes what lies at the seam twice.
//!
//! Of maps of few rows that is much. There, threads divide the first operators by channels, where each channel needs its
//! own only, and what follows when all have finished ([`Bands::together`]).
//!
//! A map between two of them may lie as both like it best: next to depthwise layers in blocks of channels
//! ([`Layout::Blocks`]), so that they need not turn it.

mod walk;

use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_kernels::{Layout, Map, Share};

use super::banded::{Banded, Reach};
use super::layouts::planes_of;
use super::workspace::Workspace;
use super::{Computed, Lies, Operator, chain};
use crate::rows::{Node, Split};
use walk::Walk;

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
    /// How that lies, and what it adds.
    layout: Layout,
    added: Layout,
    /// Which of all inputs it adds.
    residual: Option<usize>,
    /// Rows that its output has room for.
    room: usize,
}

impl Stage {
    /// An operator that adds input number `residual` of all.
    pub(super) fn new(operator: Arc<dyn Banded>, residual: Option<usize>) -> Option<Self> {
        let output = chain::as_map(operator.shape())?;
        let Lies { added, output: layout, .. } = operator.lies();
        Some(Self { reach: operator.reach(), operator, output, layout, added, residual, room: 0 })
    }

    /// Multiply-accumulates of so many of its rows.
    fn macs(&self, rows: usize) -> f64 {
        self.operator.macs() as f64 * rows as f64 / self.output[1] as f64
    }

    /// Planes of its output, and values in a row of one.
    fn planes(&self) -> [usize; 2] {
        self.layout.as_planes(self.output[0], self.output[2])
    }

    /// The planes that hold channels `channels` of its output.
    fn planes_of(&self, channels: &Range<usize>) -> Range<usize> {
        planes_of(self.layout, channels)
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

/// Multiply-accumulates that take as long as handing work over once more.
const HANDING: f64 = 250_000.0;

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

    /// Chooses blocks wherever both operators take them, also such as are not whole.
    fn lay_out(&mut self) {
        let mut before = self.stages[0].operator.lies().input;
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

    /// The first operators that `count` threads divide by channels: those that need the same channels only of what the one
    /// before yields, if that takes less than dividing all by rows.
    fn together(&self, count: usize) -> Option<Together> {
        let mut together = Together { stages: 1, step: self.stages[0].operator.by_channels()?.step };
        for stage in &self.stages[1..] {
            let Some(channels) = stage.operator.by_channels().filter(|channels| channels.apart) else {
                break;
            };
            let (less, more) = (together.step.min(channels.step), together.step.max(channels.step));
            if !more.is_multiple_of(less) {
                break;
            }
            together = Together { stages: together.stages + 1, step: more };
        }
        let units = self.stages[0].output[0].div_ceil(together.step);
        if count < 2 || together.stages < 2 || units < count {
            return None;
        }
        let (first, rest) = self.stages.split_at(together.stages);
        let longest = units.div_ceil(count) as f64 / units as f64;
        let first = longest * first.iter().map(|stage| stage.macs(stage.output[1])).sum::<f64>();
        let by_channels = first + if rest.is_empty() { 0.0 } else { HANDING + most_macs(rest, count) };
        (by_channels < most_macs(&self.stages, count)).then_some(together)
    }
}

/// Operators of which each channel needs its own only.
struct Together {
    /// How many they are.
    stages: usize,
    /// Channels are divided at multiples of this.
    step: usize,
}

/// How `count` threads divide `stages`: by rows, or one alone by channels where that is more even.
fn shares(stages: &[Stage], count: usize) -> Vec<Share> {
    let [channels, rows, _] = stages[stages.len() - 1].output;
    let uneven = |parts: usize| parts.div_ceil(count) as f64 / parts as f64;
    let step = match stages {
        [only] => only.operator.by_channels().map(|channels| channels.step),
        _ => None,
    };
    match step.filter(|step| uneven(channels.div_ceil(*step)) < uneven(rows)) {
        Some(step) => Share::by_channels([channels, step], rows, count),
        None => Share::by_rows(channels, rows, count),
    }
}

/// Multiply-accumulates of the largest share of `stages` that `count` threads get.
fn most_macs(stages: &[Stage], count: usize) -> f64 {
    let last = &stages[stages.len() - 1];
    let macs = |share: Share| {
        let mut rows = share.rows;
        let mut macs = last.macs(rows.len()) * share.channels.len() as f64 / last.output[0] as f64;
        for at in (0..stages.len() - 1).rev() {
            rows = stages[at + 1].reach.need(&rows);
            macs += stages[at].macs(rows.len());
        }
        macs
    };
    shares(stages, count).into_iter().map(macs).fold(0.0, f64::max)
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

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let count = workspace.threads_for(self.macs(), output.len());
        let [channels, height, width] = self.stages[0].reach.input;
        let layout = self.stages[0].operator.lies().input;
        let [planes, width] = layout.as_planes(channels, width);
        let input = Map::new(inputs[0], planes, height, width)?;
        let all = Walk { stages: &self.stages, first: 0, input, layout, inputs };
        let Some(together) = self.together(count) else {
            return all.run(output, &shares(&self.stages, count), self.rows, workspace);
        };
        let (first, rest) = self.stages.split_at(together.stages);
        let end = &first[together.stages - 1];
        let [channels, rows, _] = end.output;
        let by_channels = Share::by_channels([channels, together.step], rows, count);
        let first = Walk { stages: first, ..all };
        if rest.is_empty() {
            return first.run(output, &by_channels, self.rows, workspace);
        }
        let mut between = take(&mut workspace.between);
        let [planes, row] = end.planes();
        let map = between.take(planes * rows * row);
        let result = first.run(map, &by_channels, end.room, workspace).and_then(|()| {
            let input = Map::new(map, planes, rows, row)?;
            let rest = Walk { stages: rest, first: together.stages, input, layout: end.layout, inputs };
            rest.run(output, &shares(rest.stages, count), self.rows, workspace)
        });
        workspace.between = between;
        result
    }

    /// They are joined after everything was cut.
    fn split(&self, _node: &Node) -> Option<Split> {
        None
    }
}
