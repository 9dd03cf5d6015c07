//! One boundary planned anew in several blocks at once, by a beam: block after block, where it may lie given where it lay
//! before, and of those places the ones from which the rest of the plan ends soonest.
//!
//! A boundary that moves in one block alone is out of line with the blocks around it, so of a better course every single
//! step may be slower.

use rand::{Rng, RngExt};

use super::anneal::Current;
use super::costing::State;
use super::draft::Draft;
use super::search::Search;
use super::shifts::{neighbours, run};

/// So many courses are followed at most.
const WIDTH: usize = 4;
/// How often a run of blocks is planned, not at most [`AROUND`] on either side of one.
const RUNS: f64 = 0.3;
const AROUND: usize = 3;
/// So many blocks behind the last that changes, what was known of the plan says how long the rest takes.
const SETTLED: usize = 2;
/// A course is left when its plan would be slower than before by this share of the latency.
const HOPELESS: f64 = 0.01;
/// As what part of an evaluation a block counts that is placed.
const PLACED: f64 = 0.18;

/// A boundary between two owners, to be planned anew in blocks `first..end`.
#[derive(Clone, Copy)]
struct Stretch {
    upper: usize,
    lower: usize,
    first: usize,
    end: usize,
}

/// Where a boundary lies up to some block.
#[derive(Clone, Debug)]
struct Course {
    row: u32,
    /// Which course of the block before it continues.
    from: usize,
    /// About what the plan takes, ms.
    ms: f64,
    state: State,
}

/// The courses up to one block; the first so many are in use.
#[derive(Clone, Debug, Default)]
struct Level {
    used: usize,
    courses: Vec<Course>,
}

/// Room for courses, from one time to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beam {
    levels: Vec<Level>,
    spare: Option<State>,
    rows: Vec<u32>,
    bounds: Vec<u32>,
}

impl Search<'_> {
    /// Plans a boundary of block `index` and of some blocks around it anew; the fastest course found that differs from the one
    /// that is there, were the rest of the plan of `now` as it is.
    pub(crate) fn replan(
        &mut self,
        draft: &mut Draft,
        now: &Current,
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let (upper, lower) = neighbours(draft, index, rng)?;
        let (first, end) = if rng.random_bool(RUNS) {
            run(draft, index, rng)
        } else {
            let (before, after) = (rng.random_range(0..=AROUND), rng.random_range(1..=AROUND));
            (index.saturating_sub(before), draft.len().min(index + after))
        };
        if end - first < 2 {
            return None;
        }
        let stretch = Stretch { upper, lower, first, end };
        let mut beam = std::mem::take(&mut self.beam);
        let changed =
            self.follow(&mut beam, draft, now, stretch).and_then(|tips| beam.lay(tips, draft, stretch));
        self.beam = beam;
        changed
    }

    /// Follows courses of `stretch` and a little beyond it; the level they come to, if any does.
    fn follow(&mut self, beam: &mut Beam, draft: &Draft, now: &Current, stretch: Stretch) -> Option<usize> {
        let last = draft.len().min(stretch.end + SETTLED);
        for at in stretch.first..last {
            let level = at - stretch.first;
            if beam.levels.len() == level {
                beam.levels.push(Level::default());
            }
            self.extend(beam, draft, now, stretch, at);
            if beam.levels[level].used == 0 {
                return None;
            }
        }
        Some(last - 1 - stretch.first)
    }

    /// Goes on with every course to block `at`, which may be the first.
    fn extend(&mut self, beam: &mut Beam, draft: &Draft, now: &Current, stretch: Stretch, at: usize) {
        let Beam { levels, spare, rows, bounds } = beam;
        let spare = spare.get_or_insert_with(|| self.costing.state());
        let (before, here) = levels.split_at_mut(at - stretch.first);
        let (before, here) = (before.last(), &mut here[0]);
        let (from, to) = (draft.start(at), draft.ends[at]);
        let moves = self.shared(to) && stretch.moves(draft, at);
        self.costing.spans.span(from, to);
        here.used = 0;
        bounds.clear();
        bounds.extend_from_slice(draft.block(at));
        for parent in 0..before.map_or(1, |before| before.used) {
            let course = before.map(|before| &before.courses[parent]);
            rows.clear();
            rows.push(stretch.row(draft, at));
            if moves {
                self.places(draft, at, stretch, course.map(|course| course.row), rows);
            }
            let state =
                course.map(|course| &course.state).or(at.checked_sub(1).map(|last| &now.states[last]));
            for &row in &*rows {
                if moves {
                    bounds[stretch.upper + 1..=stretch.lower].fill(row);
                }
                self.count_part(PLACED);
                match state {
                    None => self.costing.open(to, bounds, spare),
                    Some(state) => self.costing.step(state, to, bounds, spare),
                }
                let ms = match at + 1 == draft.len() {
                    true => self.costing.finish(spare),
                    false => self.costing.outlook(spare, &now.states[at]),
                };
                if ms <= now.cost * (1.0 + HOPELESS) {
                    // Beyond the stretch each goes on by itself.
                    here.take(row, parent, ms, spare, at >= stretch.end);
                }
            }
        }
    }

    /// Adds to `rows` where the boundary may lie in block `at`, given that it lies at row `course` of the block before, or where it
    /// did: in line with that, or where one of the neighbours does without rows of the other, or near.
    fn places(&self, draft: &Draft, at: usize, stretch: Stretch, course: Option<u32>, rows: &mut Vec<u32>) {
        let old = stretch.row(draft, at);
        let mut around = |row: u32, by: u32| rows.extend([row.saturating_sub(by), row + by]);
        if course.is_none() {
            around(old, 2);
        }
        match at.checked_sub(1) {
            None => [1, 4].into_iter().for_each(|by| around(old, by)),
            Some(last) => {
                let (from, to) = (draft.start(at), draft.ends[at]);
                let was = stretch.row(draft, last);
                let owned = course.unwrap_or(was);
                let by = (i64::from(owned) - i64::from(was)) * i64::from(self.rows(to))
                    / i64::from(self.rows(from)).max(1);
                let along = (i64::from(old) + by).max(0) as u32;
                around(along, 0);
                around(along, 1);
                let span = self.costing.spans.known(from, to);
                rows.extend([span.last_end(owned), span.first_start(owned)]);
            }
        }
        let block = draft.block(at);
        let (low, high) = (block[stretch.upper], block[stretch.lower + 1]);
        rows.iter_mut().for_each(|row| *row = (*row).clamp(low, high));
        rows.sort_unstable();
        rows.dedup();
    }
}

impl Stretch {
    /// Where the boundary lies in block `at`.
    fn row(self, draft: &Draft, at: usize) -> u32 {
        draft.block(at)[self.lower]
    }

    /// Whether its two owners are neighbours in block `at`, one of those that change.
    fn moves(self, draft: &Draft, at: usize) -> bool {
        let bounds = draft.block(at);
        at < self.end && bounds[self.upper + 1] == bounds[self.lower]
    }
}

impl Level {
    /// Takes in a course, and leaves an unused state in its place, unless enough better ones are known; of those with the same row, or
    /// the same beginning if they are `apart`, only the best.
    fn take(&mut self, row: u32, from: usize, ms: f64, state: &mut State, apart: bool) {
        let known = &self.courses[..self.used];
        let same = known.iter().position(|known| if apart { known.from == from } else { known.row == row });
        let slowest = || (0..self.used).max_by(|&a, &b| known[a].ms.total_cmp(&known[b].ms));
        let place = match same {
            None if self.used < WIDTH => self.used,
            _ => match same.or_else(slowest) {
                Some(place) if ms < known[place].ms => place,
                _ => return,
            },
        };
        if place == self.courses.len() {
            self.courses.push(Course { row, from, ms, state: state.clone() });
        }
        self.used = self.used.max(place + 1);
        let course = &mut self.courses[place];
        (course.row, course.from, course.ms) = (row, from, ms);
        std::mem::swap(&mut course.state, state);
    }
}

impl Beam {
    /// Lays the boundary of `stretch` as the fastest course up to level `tips` has it that differs from `draft`; the first block
    /// that changes.
    fn lay(&self, tips: usize, draft: &mut Draft, stretch: Stretch) -> Option<usize> {
        let courses = &self.levels[tips].courses[..self.levels[tips].used];
        let mut order: Vec<usize> = (0..courses.len()).collect();
        order.sort_by(|&a, &b| courses[a].ms.total_cmp(&courses[b].ms));
        order.into_iter().find_map(|tip| {
            let mut changed = None;
            let mut at = tip;
            for (level, index) in (0..=tips).rev().map(|level| (level, stretch.first + level)) {
                let course = &self.levels[level].courses[at];
                let moves = stretch.moves(draft, index);
                let bounds = draft.block_mut(index);
                if moves && bounds[stretch.lower] != course.row {
                    bounds[stretch.upper + 1..=stretch.lower].fill(course.row);
                    changed = Some(index);
                }
                at = course.from;
            }
            changed
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::plan::draft::tests::{any_partition, on_any_problems};

    #[test]
    fn replanned_boundaries_lead_from_partitions_to_partitions_most_of_them_faster() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let (mut changed, mut faster) = (0, 0);
        on_any_problems(&mut rng, 80, |search, rng| {
            let (network, workers) = (search.problem.network, search.problem.workers());
            let start = Draft::of(&any_partition(rng, network, workers));
            let before = search.cost(&start);
            let now = search.current(&start, Vec::new(), &mut Vec::new());
            for index in (0..start.len()).cycle().take(20) {
                let mut draft = start.clone();
                let Some(first) = search.replan(&mut draft, &now, index, rng) else {
                    assert_eq!(draft, start, "what does not apply changes nothing");
                    continue;
                };
                changed += 1;
                (0..first).for_each(|at| assert_eq!(draft.block(at), start.block(at)));
                assert_ne!(draft.block(first), start.block(first));
                assert_eq!(draft.ends, start.ends);
                draft.partition().check(network, workers).unwrap();
                faster += usize::from(search.cost(&draft) < before);
            }
        });
        assert!(changed > 200 && 2 * faster > changed, "{faster} of {changed}");
    }
}
