//! Which policies are deployed together.

use rand::RngExt;

use super::policy::{Mind, Policy};
use super::portfolio::Portfolio;
use super::rollout::Room;
use super::trainer::{Part, Trainer};
use crate::plan::Problem;
use crate::plan::scenario::{costs, random_fleet};
use crate::plan::search::Search;

impl Trainer {
    /// `size` policies that complement each other best on `problems` fresh problems.
    pub fn portfolio(&self, size: usize, problems: usize) -> Portfolio {
        let mut rng = self.rng.clone();
        let mut minds: Vec<Mind> = Vec::new();
        if self.uses(Part::Population) {
            minds.extend(self.population.iter().map(|member| member.mind.clone()));
        }
        if self.uses(Part::Agent) {
            minds.push(self.agent.mind.clone());
        }
        let mut results: Vec<Vec<f64>> = vec![Vec::with_capacity(problems); minds.len()];
        for at in 0..problems {
            let network = &self.networks[at % self.networks.len()];
            let count = rng.random_range(2..=8);
            let (devices, lab) = random_fleet(&mut rng, count);
            let costs = costs(network, &devices, lab);
            let allowed = vec![true; count];
            let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &[] };
            let Some(search) = Search::new(&problem) else { continue };
            let mut room = Room::new(search);
            for (mind, result) in minds.iter().zip(&mut results) {
                result.push(room.best(mind).map_or(f64::INFINITY, |(walk, _)| walk.latency.ln()));
            }
        }
        let mut reached = vec![f64::MAX; results.first().map_or(0, Vec::len)];
        let mut members: Vec<Policy> = Vec::with_capacity(size);
        let mut left: Vec<usize> = (0..minds.len()).collect();
        while members.len() < size && !left.is_empty() {
            let score = |&at: &usize| -> f64 {
                reached.iter().zip(&results[at]).map(|(had, new)| had.min(*new)).sum()
            };
            let Some((place, _)) = left.iter().map(score).enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
            else {
                break;
            };
            let chosen = left.remove(place);
            reached.iter_mut().zip(&results[chosen]).for_each(|(had, new)| *had = had.min(*new));
            members.push(minds[chosen].policy());
        }
        Portfolio { members }
    }
}
