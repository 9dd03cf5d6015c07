//! Some workers share what comes first, in blocks of even length or down to where maps get smaller, then the fastest
//! goes on alone: starts for local search, of many kinds rather than all good. From one worker's plan changes do not get there one by one, since
//! sharing pays only once several blocks are shared.

use super::draft::Draft;
use super::fill::Party;
use super::proportional::prefixes;
use super::search::Search;
use crate::network::Split;

/// Where shared blocks end.
#[derive(Clone, Copy)]
enum Ends {
    /// After so many units, or before where that is no place to share.
    Every(usize),
    /// Where maps have fewer rows than before: there the fewest bytes are exchanged.
    Smaller,
}

/// All that are tried.
const ENDS: [Ends; 4] = [Ends::Every(1), Ends::Every(2), Ends::Every(4), Ends::Smaller];
/// Shares of the workers but the fastest, where more would keep it waiting for links.
const SHARES: [f64; 3] = [1.0, 0.5, 0.25];
/// So many of the fastest of a team are tried as the one to whom the others hand rows on.
const HEIRS: usize = 2;
/// At most so many teams, by how many of the fastest are in them.
const TEAMS: usize = 4;

/// Who shares, and how.
struct Sharing {
    team: Vec<usize>,
    /// Who goes on alone.
    heir: usize,
    ends: Ends,
    share: f64,
    /// Whether rows are handed on towards the heir from block to block, and none the other way.
    drifts: bool,
}

impl<'a> Search<'a> {
    /// Costs, for some teams and lengths of blocks, every end of sharing, together with `helpers`, and offers the best of each.
    pub(crate) fn try_stages(&mut self, helpers: &mut [Self]) {
        let order = self.by_speed();
        let sizes: Vec<usize> = prefixes(order.len()).collect();
        let step = sizes.len().div_ceil(TEAMS).max(1);
        let mut sharings = Vec::new();
        for &size in sizes.iter().rev().step_by(step) {
            let mut team = order[..size].to_vec();
            team.sort_unstable();
            for ends in ENDS {
                for share in SHARES {
                    let sharing = |heir, drifts| Sharing { team: team.clone(), heir, ends, share, drifts };
                    sharings.push(sharing(order[0], false));
                    sharings.extend(order[..size].iter().take(HEIRS).map(|&heir| sharing(heir, true)));
                }
            }
        }
        let found = self.divide(helpers, &sharings, |search, sharing| search.best_end(sharing));
        for draft in found.into_iter().flatten() {
            self.offer(draft);
        }
    }

    /// The best of all ends.
    fn best_end(&mut self, sharing: &Sharing) -> Option<Draft> {
        let Sharing { ref team, heir, ends, share, drifts } = *sharing;
        let less = |search: &mut Self, from: usize, to: usize| {
            let rows = search.levelled(from, to, &Party::of(team));
            let weight = |worker: usize| if worker == heir { 1.0 } else { share };
            let counts = rows.windows(2).map(|rows| f64::from(rows[1] - rows[0])).enumerate();
            let weights: Vec<f64> = counts.map(|(worker, count)| weight(worker) * count).collect();
            search.in_proportion(to, &weights)
        };
        let units = self.units();
        let dense = |unit: usize| self.problem.network.units[unit].split == Split::Features;
        let first_dense = (0..units).find(|&unit| dense(unit)).unwrap_or(units);
        let mut shared = Draft::new(self.problem.workers());
        let mut best: Option<(f64, Draft)> = None;
        let (mut state, mut next, mut pair) =
            (self.costing.state(), self.costing.state(), self.costing.pair());
        let mut from = 0;
        while from < first_dense && self.shared(from + 1) {
            let to = self.end(from, first_dense, ends);
            let mut rows = less(self, from, to);
            match shared.len().checked_sub(1) {
                None => self.costing.open(to, &rows, &mut next),
                Some(last) => {
                    if drifts {
                        self.drift(shared.block(last), from, to, heir, &mut rows);
                    }
                    self.costing.step(&state, to, &rows, &mut next);
                }
            }
            std::mem::swap(&mut state, &mut next);
            shared.push(to, &rows);
            from = to;
            for with_dense in [false, true] {
                if with_dense && first_dense == units {
                    continue;
                }
                let mut draft = shared.clone();
                let rest = if with_dense { first_dense } else { units };
                if to < rest {
                    draft.push(rest, &self.alone(rest, heir));
                }
                for unit in rest..units {
                    let rows = match self.shared(unit + 1) {
                        true => less(self, unit, unit + 1),
                        false => self.alone(unit + 1, heir),
                    };
                    draft.push(unit + 1, &rows);
                }
                let latency = self.costing.latency_from(&state, &draft, shared.len(), &mut pair);
                let cost = self.judge(&draft, latency);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, draft));
                }
            }
        }
        best.map(|(_, draft)| draft)
    }

    /// Where the shared block that begins with unit `from` ends, at `last` at the latest.
    fn end(&self, from: usize, last: usize, ends: Ends) -> usize {
        let found = match ends {
            Ends::Every(length) => (from + 1..=last.min(from + length)).rev().find(|&to| self.shared(to)),
            Ends::Smaller => {
                let is_end = |to: usize| to == last || self.rows(to) < self.rows(to - 1);
                (from + 1..=last).find(|&to| self.shared(to) && is_end(to))
            }
        };
        found.unwrap_or(from + 1)
    }
}
