//! Changes of a plan that small ones do not add up to, as every step between would be slower: two workers exchange their
//! shares, or some blocks that follow each other are cut anew.

use rand::{Rng, RngExt};

use super::draft::Draft;
use super::moves::LEVELLED;
use super::search::Search;
use super::shifts::{run, scale};

/// Fewest and most blocks that are cut anew.
const CUT_ANEW: (usize, usize) = (2, 3);

impl Search<'_> {
    /// Two workers exchange their shares of a run of blocks, half the time in proportion to how fast they are.
    pub(crate) fn exchange_shares(
        &self,
        draft: &mut Draft,
        index: usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let (first, end) = run(draft, index, rng);
        let (one, other) = (self.any_worker(rng), self.any_worker(rng));
        let has_none = |worker| draft.rows(index, worker).is_empty();
        if one == other || (has_none(one) && has_none(other)) {
            return None;
        }
        let ratio = if rng.random_bool(0.5) { self.speeds[one] / self.speeds[other] } else { 1.0 };
        self.reshare(draft, first, end, |shares| {
            (shares[one], shares[other]) = (shares[other] * ratio, shares[one] / ratio);
        });
        Some(first)
    }

    /// Cuts some blocks from `index` on anew, into one less to one more, anywhere. Each has the shares of the block that had
    /// its last unit, now and then levelled.
    pub(crate) fn cut_anew(&mut self, draft: &mut Draft, index: usize, rng: &mut impl Rng) -> Option<usize> {
        let (fewest, most) = CUT_ANEW;
        let end = draft.len().min(index + rng.random_range(fewest..=most));
        let (from, to) = (draft.start(index), draft.ends[end - 1]);
        if end - index < fewest || to - from <= fewest {
            return None;
        }
        let blocks = end - index + rng.random_range(0..=2) - 1;
        let mut cuts: Vec<usize> = (1..blocks).map(|_| rng.random_range(from + 1..to)).collect();
        cuts.push(to);
        cuts.sort_unstable();
        cuts.dedup();
        let levels = rng.random_bool(LEVELLED);
        let before = draft.clone();
        (index..end).for_each(|_| draft.remove(index));
        let mut model = index;
        for (at, &cut) in (index..).zip(&cuts) {
            while before.ends[model] < cut {
                model += 1;
            }
            let mut bounds = before.block(model).to_vec();
            scale(&mut bounds, self.rows(cut));
            draft.insert(at, cut, &bounds);
        }
        if levels {
            (index..index + cuts.len()).for_each(|at| self.level_owners(draft, at));
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::plan::draft::tests::{any_partition, on_any_problems};

    #[test]
    fn leaps_lead_from_partitions_to_partitions() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut exchanged, mut cut) = (0, 0);
        on_any_problems(&mut rng, 60, |search, rng| {
            let (network, workers) = (search.problem.network, search.problem.workers());
            let start = Draft::of(&any_partition(rng, network, workers));
            for index in 0..start.len() {
                for leap in 0..2 {
                    let mut draft = start.clone();
                    let first = match leap {
                        0 => search.exchange_shares(&mut draft, index, rng),
                        _ => search.cut_anew(&mut draft, index, rng),
                    };
                    let Some(first) = first else {
                        assert_eq!(draft, start, "what does not apply changes nothing");
                        continue;
                    };
                    (exchanged, cut) = (exchanged + 1 - leap, cut + leap);
                    (0..first).for_each(|at| assert_eq!(draft.block(at), start.block(at)));
                    search.mend(&mut draft, first);
                    draft.partition().check(network, workers).unwrap();
                }
            }
        });
        assert!(exchanged > 50 && cut > 50, "{exchanged} {cut}");
    }
}
