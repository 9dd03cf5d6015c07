//! Memory that operators work in, kept from layer to layer and from run to run, and the threads they work on.

use std::mem::{replace, take};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tract_onnx::tract_core::internal::TractResult;

use super::Places;
use super::arena::Arena;
use crate::spares::Spares;
use crate::team::Team;
use collab_kernels::{Buffer, KernelError, PlaneList, Scratch, Share, divide};

/// The workspaces of a network's strips: as many as strips ever ran at once.
#[derive(Debug, Default)]
pub(crate) struct Workspaces {
    team: Arc<Team>,
    unused: Mutex<Vec<Workspace>>,
}

impl Workspaces {
    /// None yet, for this team.
    pub(crate) fn of(team: Arc<Team>) -> Self {
        Self { team, unused: Mutex::default() }
    }

    /// Who computes.
    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// One that nobody uses, for one run whose maps have these places, and other memory from `spares`.
    pub(crate) fn take(&self, places: &Places, spares: Option<Spares>) -> TractResult<Workspace> {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || Workspace { team: self.team.clone(), ..Workspace::default() };
        let mut workspace = unused.unwrap_or_else(new);
        workspace.arena.clear(places, spares)?;
        Ok(workspace)
    }

    /// Takes it back.
    pub(crate) fn keep(&self, workspace: Workspace) {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}

/// What each thread works with, and the maps of a run.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    team: Arc<Team>,
    hands: Vec<Hand>,
    /// Memory for lists of an output's planes, as they lie and in the kernel's order.
    planes: PlaneList,
    ordered: PlaneList,
    /// What threads made together for all of them within one operator.
    pub(super) between: Buffer,
    /// Maps on their way from one operator to the next.
    pub(super) arena: Arena,
}

/// What one thread works with.
#[derive(Debug, Default)]
pub(super) struct Hand {
    pub(super) scratch: Scratch,
    pub(super) planes: PlaneList,
    /// Bands of the maps between operators that are computed together, see [`super::bands`].
    pub(super) bands: Buffer,
    /// Time of each of these operators in the last share.
    pub(super) laps: Vec<Duration>,
}

/// Multiply-accumulates, or values times eight, that take a few times as long as handing them to a helper that is
/// awake: two microseconds.
const WORTH_A_THREAD: u64 = 100_000;

impl Workspace {
    /// Time that all threads spent on each of the operators that were computed together last.
    pub(crate) fn take_laps(&mut self) -> Vec<Duration> {
        let mut all = Vec::new();
        for hand in &mut self.hands {
            all.resize(all.len().max(hand.laps.len()), Duration::ZERO);
            all.iter_mut().zip(hand.laps.drain(..)).for_each(|(all, lap)| *all += lap);
        }
        all
    }

    /// Runs `kernel` for all `rows` of an output of `channels`, some rows on each thread. It is given the rows and
    /// one slice a channel for them; `work` is the multiply-accumulates of all.
    pub(super) fn by_rows(
        &mut self,
        output: &mut [f32],
        [channels, rows]: [usize; 2],
        work: u64,
        kernel: impl Fn(Range<usize>, &mut [&mut [f32]], &mut Hand) -> Result<(), KernelError> + Sync,
    ) -> Result<(), KernelError> {
        let shares = Share::by_rows(channels, rows, self.threads_for(work, output.len()));
        self.by_shares(output, [channels, rows], &[], &shares, |share, planes, hand| {
            kernel(share.rows.clone(), planes, hand)
        })
    }

    /// How many threads are worth handing something to that writes so many values by `work` multiply-accumulates.
    pub(super) fn threads_for(&self, work: u64, values: usize) -> usize {
        (work.max(8 * values as u64) / WORTH_A_THREAD).clamp(1, self.team.threads() as u64) as usize
    }

    /// Runs `kernel` for every share, each on a thread. The plane of channel `i` is number `places[i]` of the output, or
    /// `i` where `places` is empty.
    pub(super) fn by_shares(
        &mut self,
        output: &mut [f32],
        [channels, rows]: [usize; 2],
        places: &[usize],
        shares: &[Share],
        kernel: impl Fn(&Share, &mut [&mut [f32]], &mut Hand) -> Result<(), KernelError> + Sync,
    ) -> Result<(), KernelError> {
        let width = output.len() / (channels * rows).max(1);
        while self.hands.len() < shares.len() {
            self.hands.push(Hand::default());
        }
        let mut planes = self.planes.split(output, channels);
        if !places.is_empty() {
            let mut ordered = self.ordered.split(&mut [], 1);
            ordered.extend(places.iter().map(|&place| take(&mut planes[place])));
            self.ordered.keep(replace(&mut planes, ordered));
        }
        if let ([hand, ..], [share]) = (&mut self.hands[..], shares) {
            let result = kernel(share, &mut planes, hand);
            self.planes.keep(planes);
            return result;
        }
        let hands = &mut self.hands[..shares.len()];
        let mut lists: Vec<_> = hands.iter_mut().map(|hand| hand.planes.split(&mut [], 1)).collect();
        divide(planes.drain(..), width, shares, &mut lists);
        self.planes.keep(planes);
        let tasks: Vec<_> = shares.iter().zip(lists).zip(hands).collect();
        let results = self.team.run(tasks, |((share, mut planes), hand)| {
            let result = kernel(share, &mut planes, hand);
            hand.planes.keep(planes);
            result
        });
        results.into_iter().collect()
    }
}
