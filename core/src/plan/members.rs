//! Changes of who shares a block: workers that are left out or taken in, one that goes on alone, some units apart.

use rand::{Rng, RngExt};

use super::costing::State;
use super::draft::Draft;
use super::fill::Party;
use super::search::Search;
use super::shifts::{own, run, scale};
use crate::network::Split;

/// At most so many units of a block are shared anew.
const WIDEST_ISLAND: usize = 3;

impl Search<'_> {
    /// Takes all rows of blocks `first..end` from a worker, or gives it some if it has none in block `index`.
    pub(crate) fn drop_or_wake(
        &self,
        draft: &mut Draft,
        index: usize,
        (first, end): (usize, usize),
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let worker = self.any_worker(rng);
        let part = rng.random_range(0.1..1.2) * self.speeds[worker];
        let (speeds, had) = (&self.speeds, !draft.rows(index, worker).is_empty());
        self.reshare(draft, first, end, |shares| {
            if had {
                shares[worker] = 0.0;
            } else {
                let others = (0..shares.len()).filter(|&other| shares[other] > 0.0);
                let (rows, speed) =
                    others.fold((0.0, 0.0), |sum, other| (sum.0 + shares[other], sum.1 + speeds[other]));
                shares[worker] = rows * part / f64::max(speed, 1e-12);
            }
        });
        Some(first)
    }

    /// Levels the rows of a run of blocks over its owners and one more or fewer.
    pub(crate) fn refill(
        &mut self,
        draft: &mut Draft,
        states: &[State],
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let workers = self.problem.workers();
        let mut weights: Vec<f64> = (0..workers)
            .map(|worker| if draft.rows(index, worker).is_empty() { 0.0 } else { self.speeds[worker] })
            .collect();
        if rng.random_bool(0.6) {
            let toggled = self.any_worker(rng);
            weights[toggled] = if weights[toggled] > 0.0 { 0.0 } else { self.speeds[toggled] };
        }
        if weights.iter().sum::<f64>() <= 0.0 {
            return None;
        }
        let (first, end) = if rng.random_bool(0.5) { (index, index + 1) } else { run(draft, index, rng) };
        let mut ready = vec![0.0; workers];
        if end == first + 1 && rng.random_bool(0.7) {
            let state = states.get(first)?;
            (0..workers).for_each(|worker| ready[worker] = state.computed(worker));
            let least = ready.iter().copied().fold(f64::INFINITY, f64::min);
            ready.iter_mut().for_each(|at| *at -= least);
        }
        let members: Vec<usize> = (0..workers).filter(|&worker| weights[worker] > 0.0).collect();
        let party = Party { members: &members, ready: &ready, heir: None };
        let mut lines = Vec::new();
        for at in first..end {
            let (from, to) = (draft.start(at), draft.ends[at]);
            let mut rows = self.in_proportion(to, &weights);
            if self.shared(to) {
                self.costing.spans.span(from, to);
                self.balance(from, to, &party, &mut rows, &mut lines);
                self.balance(from, to, &party, &mut rows, &mut lines);
            }
            draft.block_mut(at).copy_from_slice(&rows);
        }
        Some(first)
    }

    /// One worker takes block `index`, or everything from there on.
    pub(crate) fn hand_over(&self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let owner = self.any_worker(rng);
        let to_the_end = rng.random_bool(0.5);
        while to_the_end && draft.len() > index + 1 {
            draft.remove(index);
        }
        let rows = self.rows(draft.ends[index]);
        own(draft.block_mut(index), rows, owner);
        Some(index)
    }

    /// Shares block `index`, or its beginning, among some workers so that whoever goes on has all rows early.
    pub(crate) fn pass_on(
        &mut self,
        draft: &mut Draft,
        states: &[State],
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let (from, mut to) = (draft.start(index), draft.ends[index]);
        let workers = self.problem.workers();
        let next = if index + 1 < draft.len() { index + 1 } else { index };
        let heir = (0..workers).max_by_key(|&worker| draft.rows(next, worker).len())?;
        let part = rng.random_range(0.2..1.0);
        let members: Vec<usize> =
            self.problem.candidates().filter(|&worker| worker == heir || rng.random_bool(part)).collect();
        if to - from > 1 && (next == index || rng.random_bool(0.5)) {
            to = rng.random_range(from + 1..to);
            let mut rest = draft.block(index).to_vec();
            own(&mut rest, self.rows(draft.ends[index]), heir);
            draft.block_mut(index).copy_from_slice(&rest);
            draft.insert(index, to, &rest);
        }
        if !self.shared(to) || members.len() < 2 {
            return None;
        }
        let state = states.get(index)?;
        let ready: Vec<f64> = (0..workers).map(|worker| state.free(worker)).collect();
        let party = Party { members: &members, ready: &ready, heir: Some(heir) };
        let rows = self.levelled(from, to, &party);
        draft.block_mut(index).copy_from_slice(&rows);
        Some(index)
    }

    /// Shares up to three units of block `index` among some workers; who had the block keeps what is before and
    /// after. One worker's convolutions, then dense layers that all take part in, come about in no other way.
    pub(crate) fn share_some(
        &mut self,
        draft: &mut Draft,
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let (from, to) = (draft.start(index), draft.ends[index]);
        let first = rng.random_range(from..to);
        let end = to.min(first + rng.random_range(1..=WIDEST_ISLAND));
        let part = rng.random_range(0.2..1.0);
        let bounds = draft.block(index).to_vec();
        let had = |worker: usize| bounds[worker] < bounds[worker + 1];
        let members: Vec<usize> =
            self.problem.candidates().filter(|&worker| had(worker) || rng.random_bool(part)).collect();
        if members.len() < 2 {
            return None;
        }
        let mut at = index;
        if first > from {
            let mut before = bounds.clone();
            scale(&mut before, self.rows(first));
            draft.insert(at, first, &before);
            at += 1;
        }
        let apart = rng.random_bool(0.5);
        let mut start = first;
        while start < end {
            // Of fused dense layers everybody would compute all but the last.
            let dense = |unit: usize| self.problem.network.units[unit].split == Split::Features;
            let cut = if apart || dense(start) { start + 1 } else { end };
            let rows = match self.shared(cut) {
                true => self.levelled(start, cut, &Party::of(&members)),
                false => self.in_proportion(cut, &self.weights(&members)),
            };
            if cut < to {
                draft.insert(at, cut, &rows);
                at += 1;
            } else {
                draft.block_mut(at).copy_from_slice(&rows);
            }
            start = cut;
        }
        Some(index)
    }
}
