//! A plan placed up to some block: who needs which rows, and when everybody is done.

use crate::rows::Rows;

/// One worker's strip of a block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strip {
    /// Rows of the block's output; empty if it takes no part.
    pub(super) rows: Rows,
    /// Rows of the block's input that it needs.
    pub(super) need: Rows,
    /// Of `rows`, those that wait for no other worker.
    pub(super) free: Rows,
    /// Where the input ends that is needed for the rows above `free`.
    pub(super) above_end: u32,
    /// Where the input begins that is needed for the rows below `free`.
    pub(super) below_start: u32,
}

/// How a strip is computed: up to three pieces, in order of preference the upper, the lower, the middle one.
/// A strip in one piece is all upper.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Job {
    /// Milliseconds of the upper, lower, and middle piece; 0 of one that there is not.
    pub(super) ms: [f64; 3],
    /// How much later than expected its rows are there, ms.
    pub(super) late_ms: f64,
    /// Nothing is computed before all input is there.
    pub(super) waits_for_all: bool,
    /// The upper piece does without [`Way::AboveGap`].
    pub(super) skips_above: bool,
    /// The lower piece does without [`Way::BelowGap`].
    pub(super) skips_below: bool,
    /// Its first parcel with rows of the lower piece; those of the upper one end here.
    pub(super) turn: usize,
    /// One past its last parcel, where the next worker's begin.
    pub(super) end: usize,
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

/// When the last rows are there, by [`Way`], ms; 0 where none come.
pub(super) type Arrivals = [f64; 4];

/// Rows that one worker sends to another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parcel {
    pub(super) to: u32,
    pub(super) way: Way,
    /// The first row and how many.
    pub(super) start: u32,
    pub(super) count: u32,
    /// How long the sender's link is occupied, ms.
    pub(super) sending_ms: f64,
    /// From then until they are there, ms.
    pub(super) delay_ms: f64,
}

/// Who needs and sends what, whatever the time: follows from the rows of three blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// The block's units.
    pub(super) units: (usize, usize),
    pub(super) strips: Vec<Strip>,
    /// How the block before is computed, by worker.
    pub(super) jobs: Vec<Job>,
    /// What is sent of it, by sender.
    pub(super) parcels: Vec<Parcel>,
}

/// When everybody is done with the blocks before, by worker, ms.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    /// Has computed them.
    pub(super) computing: Vec<f64>,
    /// Has sent them.
    pub(super) sending: Vec<f64>,
    /// Has the input of its strip.
    pub(super) arrivals: Vec<Arrivals>,
}

/// What is known once a block is placed and its input is on the way.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) layout: Layout,
    pub(super) clocks: Clocks,
}

/// The later of two times: one instruction, where `max` takes six for what is no number.
#[inline(always)]
pub(super) fn later(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// When all of an input is there.
#[inline]
pub(super) fn complete(arrivals: &Arrivals) -> f64 {
    later(later(arrivals[0], arrivals[1]), later(arrivals[2], arrivals[3]))
}

impl State {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            layout: Layout {
                strips: vec![Strip::default(); workers],
                jobs: vec![Job::default(); workers],
                ..Layout::default()
            },
            clocks: Clocks {
                computing: vec![0.0; workers],
                sending: vec![0.0; workers],
                arrivals: vec![Arrivals::default(); workers],
            },
        }
    }

    /// The block's units.
    pub(crate) fn units(&self) -> (usize, usize) {
        self.layout.units
    }

    /// The boundaries of its rows, as in a partition's block.
    pub(crate) fn bounds(&self) -> Vec<u32> {
        std::iter::once(0).chain(self.layout.strips.iter().map(|strip| strip.rows.end)).collect()
    }

    /// The rows of its output that `worker` owns.
    pub(crate) fn rows(&self, worker: usize) -> Rows {
        self.layout.strips[worker].rows
    }

    /// When `worker` has computed all blocks before this one, ms.
    pub(crate) fn computed(&self, worker: usize) -> f64 {
        self.clocks.computing[worker]
    }

    /// By how much the workers' times are later than in `other`, of whose blocks this one and the one before are
    /// the same, ms: least and most.
    pub(crate) fn later_than(&self, other: &Self) -> (f64, f64) {
        let (own, others) = (&self.clocks, &other.clocks);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut see = |late: f64| (least, most) = (least.min(late), most.max(late));
        for (worker, strip) in other.layout.strips.iter().enumerate() {
            if strip.rows.is_empty() {
                continue;
            }
            see(own.computing[worker] - others.computing[worker]);
            for (at, other) in own.arrivals[worker].iter().zip(&others.arrivals[worker]) {
                if *at > 0.0 {
                    see(at - other);
                }
            }
        }
        // A link that was free before rows were computed holds nothing up: it only counts as a change.
        let sending = own.sending.iter().zip(&others.sending).map(|(own, other)| own - other);
        let latest =
            sending.fold(0.0, |latest: f64, late| if late.abs() > latest.abs() { late } else { latest });
        (least, if latest == 0.0 { most } else { f64::INFINITY })
    }

    /// When the last worker has its input, if this is the first block, ms.
    pub(crate) fn last_arrival(&self) -> f64 {
        self.clocks.arrivals.iter().map(complete).fold(0.0, f64::max)
    }

    /// When `worker` could begin rows of this block, were their input there, ms; if it has none and this is
    /// the first block, at once.
    pub(crate) fn free(&self, worker: usize) -> f64 {
        if self.layout.units.0 == 0 { self.begin(worker) } else { self.computed(worker) }
    }

    /// When `worker` could begin its strip of this block, ms.
    pub(crate) fn begin(&self, worker: usize) -> f64 {
        self.computed(worker).max(complete(&self.clocks.arrivals[worker]))
    }

    /// Who sent `worker` rows last, judged by when each had computed all of its own.
    pub(crate) fn latest_sender(&self, worker: usize) -> Option<usize> {
        let mut latest: Option<(f64, usize)> = None;
        let mut begin = 0;
        for (sender, job) in self.layout.jobs.iter().enumerate() {
            for parcel in &self.layout.parcels[begin..job.end] {
                let at = self.clocks.computing[sender] + parcel.sending_ms + parcel.delay_ms;
                if parcel.to as usize == worker && latest.is_none_or(|(late, _)| at > late) {
                    latest = Some((at, sender));
                }
            }
            begin = job.end;
        }
        latest.map(|(_, sender)| sender)
    }

    /// Exchanges the times with `other`, a state of the same blocks.
    pub(crate) fn swap_clocks(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.clocks, &mut other.clocks);
    }
}
