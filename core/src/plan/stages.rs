//! Some workers share what comes first in blocks of even length, then the fastest goes on alone: starts for local
//! search, of many kinds rather than all good. From one worker's plan changes do not get there one by one, since
//! sharing pays only once several blocks are shared.

use super::draft::Draft;
use super::fill::Party;
use super::proportional::prefixes;
use super::search::Search;
use crate::network::Split;

/// Units in a block.
const LENGTHS: [usize; 3] = [1, 2, 4];
/// Shares of the workers but the fastest, where more would keep it waiting for links.
const SHARES: [f64; 3] = [1.0, 0.5, 0.25];
/// At most so many teams, by how many of the fastest are in them.
const TEAMS: usize = 4;

impl Search<'_> {
    /// Costs, for some teams and lengths of blocks, every end of sharing, and offers the best of each.
    pub(crate) fn try_stages(&mut self) {
        let order = self.by_speed();
        let sizes: Vec<usize> = prefixes(order.len()).collect();
        let step = sizes.len().div_ceil(TEAMS).max(1);
        for &size in sizes.iter().rev().step_by(step) {
            let mut team = order[..size].to_vec();
            team.sort_unstable();
            for length in LENGTHS {
                for share in SHARES {
                    self.try_ends(&team, order[0], length, share);
                }
            }
        }
    }

    fn try_ends(&mut self, team: &[usize], heir: usize, length: usize, share: f64) {
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
        let mut from = 0;
        while from < first_dense && self.shared(from + 1) {
            let to = (from + 1..=first_dense.min(from + length)).rev().find(|&to| self.shared(to));
            let to = to.unwrap_or(from + 1);
            let rows = less(self, from, to);
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
                let cost = self.cost(&draft);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, draft));
                }
            }
        }
        if let Some((_, draft)) = best {
            self.offer(draft);
        }
    }
}
