//! A block that several workers share, then one of them alone: what pays where links are slow.

use super::draft::Draft;
use super::fill::Party;
use super::search::Search;

/// How many of the fastest are tried as the one who goes on alone.
const HEIRS: usize = 3;
/// Longer shared blocks are not tried.
const LONGEST: usize = 12;

impl Search<'_> {
    /// Costs, for each of the fastest, the best first block for all to share before it goes on alone.
    ///
    /// Rows are levelled so that the heir has everybody's rows when its own are done, transfers included, so
    /// whoever is behind too slow a link is left out.
    pub(crate) fn try_hand_overs(&mut self) {
        let everyone: Vec<usize> = self.problem.candidates().collect();
        let heirs = self.by_speed().into_iter().take(HEIRS);
        let units = self.units();
        let mut state = self.costing.state();
        let mut ready = vec![0.0; self.problem.workers()];
        for heir in heirs {
            let mut best: Option<(f64, Draft)> = None;
            for to in 1..units.min(LONGEST + 1) {
                if !self.shared(to) {
                    continue;
                }
                let party = Party { members: &everyone, ready: &[], heir: Some(heir) };
                let mut rows = self.levelled(0, to, &party);
                // Once more with what the lab takes to send everybody's input.
                self.costing.open(to, &rows, &mut state);
                ready.iter_mut().enumerate().for_each(|(worker, ready)| *ready = state.free(worker));
                let members: Vec<usize> =
                    everyone.iter().copied().filter(|&worker| rows[worker] < rows[worker + 1]).collect();
                let party = Party { members: &members, ready: &ready, heir: Some(heir) };
                self.balance(0, to, &party, &mut rows, &mut Vec::new());
                let mut draft = Draft::new(self.problem.workers());
                draft.push(to, &rows);
                draft.push(units, &self.alone(units, heir));
                let cost = self.cost(&draft);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, draft));
                }
            }
            if let Some((_, draft)) = best {
                self.offer(draft);
            }
        }
    }
}
