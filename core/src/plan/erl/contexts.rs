//! The fleet at hand in conditions that it may be in soon: what a trainer learns while the lab runs.

use rand::{Rng, RngExt};

use crate::id::Node;
use crate::network::Network;
use crate::plan::Problem;
use crate::predict::{Costs, CutCost, Lateness, LayerCost, LinkCost, PieceCost};

/// A worker's speed is off by up to this factor in any condition: what a prediction may miss.
const NOISE: f64 = 0.08;
/// How often a worker is throttled, a link slowed down, a worker away.
const THROTTLED: f64 = 0.3;
const SLOWED: f64 = 0.2;
const AWAY: f64 = 0.1;

/// Costs with every worker's computing and sending scaled.
#[derive(Clone, Debug)]
pub struct Conditions<'a> {
    base: &'a dyn Costs,
    /// Time of computing, over that of the base, by worker.
    slowdown: Vec<f64>,
    /// Rate, over that of the base, and added delay in ms, by worker.
    links: Vec<(f64, f64)>,
}

impl Costs for Conditions<'_> {
    fn layer(&self, network: &Network, worker: usize, layer: usize) -> LayerCost {
        let LayerCost { call_ms, row_ms } = self.base.layer(network, worker, layer);
        let slowdown = self.slowdown[worker];
        LayerCost { call_ms: call_ms * slowdown, row_ms: row_ms * slowdown }
    }

    fn at_cuts(&self, worker: usize) -> CutCost {
        self.base.at_cuts(worker).times(self.slowdown[worker])
    }

    fn piece(&self, worker: usize) -> PieceCost {
        self.base.piece(worker).times(self.slowdown[worker])
    }

    fn lateness(&self) -> Lateness {
        self.base.lateness()
    }

    fn link(&self, from: Node, to: Node) -> LinkCost {
        let LinkCost { delay_ms, bytes_per_ms } = self.base.link(from, to);
        let (rate, delay) = match from {
            Node::Lab => (1.0, 0.0),
            Node::Worker(worker) => self.links[worker.index()],
        };
        LinkCost { delay_ms: delay_ms + delay, bytes_per_ms: bytes_per_ms * rate }
    }
}

/// Several conditions of one fleet; the first is the fleet as it is.
#[derive(Clone, Debug)]
pub struct Contexts<'a> {
    problem: &'a Problem<'a>,
    drawn: Vec<(Conditions<'a>, Vec<bool>)>,
}

impl<'a> Contexts<'a> {
    /// The fleet of `problem` as it is and in `others` more conditions.
    pub fn draw(problem: &'a Problem<'a>, others: usize, rng: &mut impl Rng) -> Self {
        let workers = problem.workers();
        let as_it_is = Conditions {
            base: problem.costs,
            slowdown: vec![1.0; workers],
            links: vec![(1.0, 0.0); workers],
        };
        let mut drawn = vec![(as_it_is.clone(), problem.allowed.to_vec())];
        for _ in 0..others {
            let mut conditions = as_it_is.clone();
            let mut allowed = problem.allowed.to_vec();
            for worker in 0..workers {
                let share = if rng.random_bool(THROTTLED) { rng.random_range(0.2..1.0) } else { 1.0 };
                conditions.slowdown[worker] = rng.random_range(1.0 - NOISE..1.0 + NOISE) / share;
                if rng.random_bool(SLOWED) {
                    conditions.links[worker] = (rng.random_range(0.05..1.0), rng.random_range(0.0..3.0));
                }
                let left = allowed.iter().filter(|&&allowed| allowed).count();
                if left > 1 && rng.random_bool(AWAY) {
                    allowed[worker] = false;
                }
            }
            drawn.push((conditions, allowed));
        }
        Self { problem, drawn }
    }

    /// What is to be planned in each.
    pub fn problems(&self) -> Vec<Problem<'_>> {
        let Problem { network, memory, .. } = *self.problem;
        self.drawn.iter().map(|(costs, allowed)| Problem { network, costs, allowed, memory }).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::named;
    use crate::plan::scenario::{LinkClass, costs, seed_like};
    use crate::plan::{BestSingle, Budget, Planner};

    #[test]
    fn the_first_context_is_the_fleet_as_it_is_and_none_is_without_a_worker() {
        let network = named("alexnet").unwrap();
        let costs = costs(&network, &seed_like(4, LinkClass::Wifi), LinkClass::Wifi);
        let allowed = [true, false, true, true];
        let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
        let single = |problem: &Problem<'_>| {
            BestSingle.plan(problem, Budget::default()).map(|plan| plan.timeline.finish_ms)
        };
        let contexts = Contexts::draw(&problem, 40, &mut ChaCha8Rng::seed_from_u64(3));
        let problems = contexts.problems();
        assert_eq!(single(&problems[0]), single(&problem));
        assert_eq!(problems.len(), 41);
        for other in &problems {
            assert!(single(other).is_some() && !other.allowed[1]);
        }
        assert!(problems.iter().skip(1).any(|other| single(other) != single(&problem)));
    }
}
