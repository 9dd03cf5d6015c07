//! A plan placed up to some block: who needs which rows, and when everybody is done.

use crate::rows::Rows;

/// The strip of a block that one of its owners computes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strip {
    pub(super) worker: u32,
    /// Rows of the block's output, at least one.
    pub(super) rows: Rows,
    /// Rows of the block's input that it needs.
    pub(super) need: Rows,
    /// Of `rows`, those that wait for no other worker.
    pub(super) free: Rows,
    /// Where the input ends that is needed for the rows above `free`, and where it begins that is needed for those below;
    /// known only where it matters, in spans with gaps.
    pub(super) above_end: u32,
    pub(super) below_start: u32,
}

/// How a strip is computed: up to three pieces, in order of preference the upper, the lower, the middle one.
/// A strip in one piece is all upper.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Job {
    /// Milliseconds of the upper, lower, and middle piece; 0 of one that there is not.
    pub(super) ms: [f64; 3],
    pub(super) worker: u32,
    /// Its first parcel with rows of the lower piece; those of the upper one end here.
    pub(super) turn: u32,
    /// One past its last parcel, where the next worker's begin.
    pub(super) end: u32,
    /// Nothing is computed before all input is there.
    pub(super) waits_for_all: bool,
    /// The upper piece does without [`Way::AboveGap`].
    pub(super) skips_above: bool,
    /// The lower piece does without [`Way::BelowGap`].
    pub(super) skips_below: bool,
}

/// Where a strip's rows come from.
///
/// A strip asks for all rows from its first to its last, but convolutions with large strides read none of
/// some between. Whoever sends only such rows holds up a strip in one piece, but no piece that does without.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Way {
    /// A worker with earlier rows, or the lab.
    #[default]
    Above,
    /// A worker with later rows.
    Below,
    /// The same, only rows that no row above those that wait for nobody needs.
    AboveGap,
    /// The same for below.
    BelowGap,
}

/// In place of a receiver.
pub(super) const NOBODY: u32 = u32::MAX;

/// When the last rows are there, by [`Way`], ms; 0 where none come.
pub(super) type Arrivals = [f64; 4];

/// Rows that one worker sends to another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parcel {
    /// The receiver, or [`NOBODY`].
    pub(super) to: u32,
    pub(super) way: Way,
    /// How long the sender's link is occupied, ms.
    pub(super) sending_ms: f64,
    /// From then until they are there, lateness included, ms.
    pub(super) delay_ms: f64,
}

/// Who needs and sends what, whatever the time: follows from the rows of three blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// The block's units.
    pub(super) units: (usize, usize),
    /// The number of their ground.
    pub(super) place: usize,
    /// The boundaries of its rows, as in a partition's block.
    pub(super) bounds: Vec<u32>,
    /// The strips of its owners, in order, then the lab's, which needs nothing; those beyond are unused.
    pub(super) strips: Vec<Strip>,
    pub(super) owners: usize,
    /// Its span has gaps.
    pub(super) has_gaps: bool,
    /// How the owners of the block before compute it, in order; those beyond are unused.
    pub(super) jobs: Vec<Job>,
    pub(super) senders: usize,
    /// The span of the block before has gaps.
    pub(super) sent_has_gaps: bool,
    /// Every sender has two parcels, for the owner before and the one after.
    pub(super) is_near: bool,
    /// What is sent of it, by sender.
    pub(super) parcels: Vec<Parcel>,
}

/// When one worker is done with the blocks before, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Clock {
    /// Has computed them.
    pub(super) computing: f64,
    /// Has sent them.
    pub(super) sending: f64,
    /// Has the input of its strip.
    pub(super) arrivals: Arrivals,
}

/// What is known once a block is placed and its input is on the way. It goes with the costing that placed it, which numbers its
/// grounds as it comes by them.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) layout: Layout,
    /// By worker.
    pub(super) clocks: Vec<Clock>,
    /// By worker, if somebody looked back from the end: for each of its times how much lies behind it at least, ms; `-∞` if
    /// nothing waits for it.
    pub(super) tails: Vec<Clock>,
}

/// The later of two times: one instruction, where `max` takes six for what is no number.
#[inline(always)]
pub(crate) fn later(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// When all of an input is there.
#[inline]
pub(super) fn complete(arrivals: &Arrivals) -> f64 {
    later(later(arrivals[0], arrivals[1]), later(arrivals[2], arrivals[3]))
}

impl Layout {
    /// The strips of the block's owners.
    #[inline(always)]
    pub(super) fn strips(&self) -> &[Strip] {
        &self.strips[..self.owners]
    }

    /// The strip of `worker`, if it owns one.
    pub(super) fn strip(&self, worker: usize) -> Option<&Strip> {
        self.strips().iter().find(|strip| strip.worker as usize == worker)
    }

    /// How the owners of the block before compute it.
    #[inline(always)]
    pub(super) fn jobs(&self) -> &[Job] {
        &self.jobs[..self.senders]
    }

    /// The rows that `worker` owns; the same place twice if none.
    #[inline(always)]
    pub(super) fn rows(&self, worker: usize) -> Rows {
        Rows { start: self.bounds[worker], end: self.bounds[worker + 1] }
    }
}

impl State {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            layout: Layout {
                bounds: vec![0; workers + 1],
                parcels: vec![Parcel::default(); 2 * workers],
                strips: vec![Strip::default(); workers + 1],
                jobs: vec![Job::default(); workers],
                ..Layout::default()
            },
            clocks: vec![Clock::default(); workers],
            tails: vec![Clock::default(); workers],
        }
    }

    /// The block's units.
    pub(crate) fn units(&self) -> (usize, usize) {
        self.layout.units
    }

    /// The boundaries of its rows, as in a partition's block.
    pub(crate) fn bounds(&self) -> &[u32] {
        &self.layout.bounds
    }

    /// The rows of its output that `worker` owns.
    pub(crate) fn rows(&self, worker: usize) -> Rows {
        self.layout.rows(worker)
    }

    /// When `worker` has computed all blocks before this one, ms.
    pub(crate) fn computed(&self, worker: usize) -> f64 {
        self.clocks[worker].computing
    }

    /// Whether everybody is as far as in `other`, of whose blocks this one and the one before are the same.
    pub(crate) fn times_are_those_of(&self, other: &Self) -> bool {
        self.clocks == other.clocks
    }

    /// When the last worker has its input, if this is the first block, ms.
    pub(crate) fn last_arrival(&self) -> f64 {
        self.clocks.iter().map(|clock| complete(&clock.arrivals)).fold(0.0, f64::max)
    }

    /// When `worker` could begin rows of this block, were their input there, ms; if it has none and this is
    /// the first block, at once.
    pub(crate) fn free(&self, worker: usize) -> f64 {
        if self.layout.units.0 == 0 { self.begin(worker) } else { self.computed(worker) }
    }

    /// When `worker` could begin its strip of this block, ms.
    pub(crate) fn begin(&self, worker: usize) -> f64 {
        self.computed(worker).max(complete(&self.clocks[worker].arrivals))
    }

    /// Who sent `worker` rows last, judged by when each had computed all of its own.
    pub(crate) fn latest_sender(&self, worker: usize) -> Option<usize> {
        let layout = &self.layout;
        let mut latest: Option<(f64, usize)> = None;
        let mut begin = 0;
        for (at, job) in layout.jobs().iter().enumerate() {
            let sender = job.worker as usize;
            let end = if layout.is_near { 2 * at + 2 } else { job.end as usize };
            for parcel in &layout.parcels[begin..end] {
                let at = self.clocks[sender].computing + parcel.sending_ms + parcel.delay_ms;
                if parcel.to as usize == worker && latest.is_none_or(|(late, _)| at > late) {
                    latest = Some((at, sender));
                }
            }
            begin = end;
        }
        latest.map(|(_, sender)| sender)
    }

    /// Exchanges the times with `other`, a state of the same blocks.
    pub(crate) fn swap_clocks(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.clocks, &mut other.clocks);
    }
}
