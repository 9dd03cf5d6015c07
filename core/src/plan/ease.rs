//! Starts from easier links: plans are annealed as if transfers were short, then while those get as long as they are.
//!
//! Where links are slow, plans that share all the way are good only once rows are levelled and cuts are where few rows are
//! exchanged; from one worker's plan every step towards them is slower. On fast links there is nothing in the way,
//! and as links get slower by little, little has to change (graduated optimisation: Blake and Zisserman 1987).

use rand_chacha::ChaCha8Rng;

use super::draft::Draft;
use super::search::Search;

/// The first share of its time that a transfer takes.
const EASIEST: f64 = 0.125;
/// In so many equal steps of its logarithm it grows to 1.
const STAGES: i32 = 8;
/// So many plans are annealed on the way.
const CHAINS: usize = 4;

impl Search<'_> {
    /// Of `starts`, those that are best with the shortest transfers, annealed from stage to stage within `evaluations`.
    pub(crate) fn eased(&mut self, starts: &[Draft], evaluations: u64, rng: &mut ChaCha8Rng) -> Vec<Draft> {
        self.eased = true;
        self.costing.ease(EASIEST);
        let mut ranked: Vec<(f64, &Draft)> = starts.iter().map(|start| (self.cost(start), start)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.truncate(CHAINS);
        let mut chains: Vec<Draft> = ranked.into_iter().map(|(_, start)| start.clone()).collect();
        let left = evaluations.saturating_sub(starts.len() as u64);
        let each = left / (chains.len() as u64 * STAGES as u64).max(1);
        for stage in 0..STAGES {
            self.costing.ease(EASIEST.powf(1.0 - f64::from(stage) / f64::from(STAGES)));
            for chain in &mut chains {
                *chain = self.anneal(chain, each, rng).1;
            }
        }
        self.costing.ease(1.0);
        self.eased = false;
        chains
    }
}
