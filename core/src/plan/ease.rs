//! Starts from easier links: plans are annealed as if transfers were short, then while those get as long as they are.
//!
//! Where links are slow, plans that share all the way are good only once rows are levelled and cuts are where few rows are
//! exchanged; from one worker's plan every step towards them is slower. On fast links there is nothing in the way,
//! and as links get slower by little, little has to change (graduated optimisation: Blake and Zisserman 1987).

use rand::{Rng, RngExt};

use super::draft::Draft;
use super::refine::chain_rng;
use super::search::Search;

/// How transfers get as long as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Easing {
    /// Of all evaluations, the share that is spent on it.
    pub(crate) share: f64,
    /// Of the starts, so many are ranked by what they would take with the shortest transfers.
    pub(crate) ranked: usize,
    /// So many of those are annealed.
    pub(crate) chains: usize,
    /// The share of their time that transfers take at first.
    pub(crate) easiest: f64,
    /// In so many equal steps of its logarithm it grows to 1.
    pub(crate) stages: i32,
}

impl Search<'_> {
    /// Anneals the best of `starts`, of which there is one at least, as `easing` says, within its share of `evaluations`.
    pub(crate) fn eased(
        &mut self,
        easing: Easing,
        starts: &[Draft],
        evaluations: u64,
        rng: &mut impl Rng,
        helpers: &mut [Self],
    ) -> Vec<Draft> {
        let Easing { share, ranked, chains, easiest, stages } = easing;
        let end = self.evaluations + (evaluations as f64 * share) as u64;
        let links = |stage: i32| self.costing.wires(easiest.powf(1.0 - f64::from(stage) / f64::from(stages)));
        let stages: Vec<_> = (0..=stages).map(links).collect();
        let Some((real, stages)) = stages.split_last() else { return Vec::new() };
        self.eased = true;
        self.costing.ease(&stages[0]);
        let mut known: Vec<(f64, &Draft)> =
            starts.iter().take(ranked).map(|start| (self.cost(start), start)).collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.eased = false;
        self.costing.ease(real);
        let chains = known.into_iter().take(chains).map(|(_, start)| (start, rng.random()));
        let chains: Vec<(&Draft, u64)> = chains.collect();
        let each = end.saturating_sub(self.evaluations) / (chains.len() * stages.len()).max(1) as u64;
        self.divide(helpers, &chains, |search, &(start, seed)| {
            let mut rng = chain_rng(seed);
            let mut chain = start.clone();
            search.eased = true;
            for links in stages {
                search.costing.ease(links);
                chain = search.anneal(&chain, each, &mut rng).1;
            }
            search.eased = false;
            search.costing.ease(real);
            chain
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::chain;
    use crate::plan::Problem;
    use crate::predict::{LinkCost, RatePerWorker};

    #[test]
    fn easier_links_lead_to_sharing_and_are_forgotten_afterwards() {
        let network = chain(96, 8);
        let link = LinkCost::new(20.0, 0.5);
        let costs = RatePerWorker { macs_per_ms: vec![2e6; 2], links: vec![link; 2], lab: link };
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2], memory: &[] };
        let mut search = Search::new(&problem).unwrap();
        search.try_singles();
        search.try_equal();
        let starts = search.starts();
        let (before, _) = search.best().unwrap();
        let real: Vec<f64> = starts.iter().map(|start| search.cost(start)).collect();
        let easing = Easing { share: 1.0, ranked: 8, chains: 1, easiest: 0.01, stages: 1 };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let eased = search.eased(easing, &starts, 300, &mut rng, &mut []);
        assert!((0..eased[0].len()).any(|at| (0..2).all(|worker| !eased[0].rows(at, worker).is_empty())));
        assert_eq!(search.best().unwrap().0, before, "what easier links would allow is no plan");
        assert_eq!(starts.iter().map(|start| search.cost(start)).collect::<Vec<_>>(), real);
    }
}
