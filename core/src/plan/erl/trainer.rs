//! Generations: a population that evolves, an agent that follows the gradient, and what they exchange.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::agent::Agent;
use super::policy::Policy;
use super::population::{Member, renew};
use super::portfolio::Portfolio;
use super::rollout::{Outcome, Room};
use crate::event::{OperatorSuccess, Origin};
use crate::network::Network;
use crate::plan::Problem;
use crate::plan::scenario::{costs, random_fleet};
use crate::plan::search::Search;
use crate::predict::PerLayer;

/// Members of the population.
const POPULATION: usize = 16;
/// Problems a generation.
const PROBLEMS: usize = 8;
/// Plans that the agent samples for a problem.
const SAMPLES: usize = 12;

/// A part of the method that can be switched off, to see what it contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The population; without it the agent is alone.
    Population,
    /// The agent; without it evolution is alone.
    Agent,
    /// The agent enters the population.
    AgentEnters,
    /// The best member becomes the agent when it is clearly better.
    EliteTeaches,
    /// Crossover teaches a child; without it weights are mixed.
    TaughtCrossover,
    /// Mutation is scaled by sensitivity; without it all weights take the same noise.
    GentleMutation,
    /// The agent learns again from plans that beat it.
    Replay,
}

/// How a generation went. Gaps are of ln latency to the best plan that anyone found for the same problem.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// The best member's mean gap.
    pub best: f64,
    /// The members' mean gap.
    pub mean: f64,
    /// The agent's mean gap.
    pub agent: f64,
    /// Geometric mean of the best member's latencies, ms; 0 without a population.
    pub best_ms: f64,
    /// Geometric mean of all members' latencies, ms; 0 without a population.
    pub mean_ms: f64,
    /// Geometric mean of the agent's latencies, ms; 0 without an agent.
    pub agent_ms: f64,
    /// The norm of the agent's last gradient.
    pub gradient: f64,
    /// The agent's loss: −mean(advantage · ln probability of a decision) over the plans it sampled.
    pub actor_loss: f64,
    /// Partitions costed since training began.
    pub evaluations: u64,
    /// Agents among the elite so far.
    pub agents_kept: u64,
    /// Whether the best member became the agent.
    pub taught: bool,
}

/// Training under way. The same seed gives the same weights.
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(super) rng: ChaCha8Rng,
    pub(super) networks: Vec<Network>,
    off: Vec<Part>,
    pub(super) population: Vec<Member>,
    pub(super) agent: Agent,
    /// The agent's standing, as a member's.
    pub(super) standing: Option<f64>,
    /// What became of the children of each operator.
    pub(super) success: Vec<OperatorSuccess>,
    pub(super) now: Generation,
}

impl Trainer {
    /// Begins with random policies for `networks`, of which there must be one; the parts in `off` are not used.
    pub fn new(networks: Vec<Network>, off: &[Part], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let member = |mind| Member { mind, standing: None, plans: Vec::new(), origin: Origin::Start, age: 0 };
        let population = (0..POPULATION).map(|_| member(Policy::random(&mut rng).mind())).collect();
        let agent = Agent::new(Policy::random(&mut rng).mind());
        let success =
            Origin::OPERATORS.map(|operator| OperatorSuccess { operator, made: 0, kept: 0 }).to_vec();
        let now = Generation::default();
        Self { rng, networks, off: off.to_vec(), population, agent, standing: None, success, now }
    }

    /// Begins with the members of `portfolio` in the population and the first of them as the agent.
    pub fn resume(mut self, portfolio: &Portfolio) -> Self {
        for (member, policy) in self.population.iter_mut().zip(&portfolio.members) {
            member.mind = policy.mind();
        }
        if let Some(first) = portfolio.members.first() {
            self.agent = Agent::new(first.mind());
        }
        self
    }

    pub(super) fn uses(&self, part: Part) -> bool {
        !self.off.contains(&part)
    }

    /// One generation on fresh problems: networks of [`Trainer::new`] on random fleets.
    pub fn generation(&mut self) -> Generation {
        let drawn: Vec<(usize, PerLayer, Vec<bool>)> = (0..PROBLEMS)
            .map(|_| {
                let at = self.rng.random_range(0..self.networks.len());
                let count = self.rng.random_range(2..=8);
                let (devices, lab) = random_fleet(&mut self.rng, count);
                (at, costs(&self.networks[at], &devices, lab), vec![true; count])
            })
            .collect();
        let networks = std::mem::take(&mut self.networks);
        let problems: Vec<Problem<'_>> = drawn
            .iter()
            .map(|(at, costs, allowed)| Problem { network: &networks[*at], costs, allowed, memory: &[] })
            .collect();
        let generation = self.generation_on(&problems);
        self.networks = networks;
        generation
    }

    /// One generation on `problems`, such as the fleet at hand; nothing is learnt of none.
    pub fn generation_on(&mut self, problems: &[Problem<'_>]) -> Generation {
        self.now.number += 1;
        let members = if self.uses(Part::Population) { self.population.len() } else { 0 };
        let mut sums = vec![Sum::default(); members];
        let mut own_sum = Sum::default();
        self.population.iter_mut().for_each(|member| member.plans.clear());
        for problem in problems {
            let Some(search) = Search::new(problem) else { continue };
            let mut room = Room::new(search);
            let walks: Vec<Option<Outcome>> = self.population[..members]
                .iter()
                .map(|member| room.best(&member.mind).map(|(walk, _)| walk))
                .collect();
            let own = self.sample(&mut room);
            let all = walks.iter().flatten().chain(own.iter().map(|own| &own.best));
            let Some(best) = all.reduce(|a, b| if b.latency < a.latency { b } else { a }) else { continue };
            let best_ln = best.latency.ln();
            if let Some(own) = &own {
                own_sum.add(own.greedy_ln, best_ln);
                let gap = own.greedy_ln - best_ln;
                if self.uses(Part::Replay) && gap > 1e-3 {
                    self.agent.remember(best.decisions.clone(), gap);
                }
            }
            for (at, walk) in walks.into_iter().enumerate() {
                if let Some(walk) = walk {
                    let ln = walk.latency.ln();
                    sums[at].add(ln, best_ln);
                    self.population[at].plans.push((ln, walk.decisions));
                }
            }
            self.now.evaluations += room.search.evaluations;
        }
        if self.uses(Part::Agent) {
            if self.uses(Part::Replay) {
                self.agent.recall(&mut self.rng);
            }
            self.now.gradient = self.agent.climb();
        }
        (self.now.agent, self.now.agent_ms) = (own_sum.gap(), own_sum.ms());
        let all = sums.iter().fold(own_sum, |all, sum| all.and(sum));
        if self.uses(Part::Agent) && own_sum.count > 0.0 {
            self.standing = Some(renew(self.standing, own_sum.gap() - all.gap()));
        }
        if sums.iter().any(|sum| sum.count > 0.0) {
            let best = sums.iter().min_by(|a, b| a.gap().total_cmp(&b.gap())).copied().unwrap_or_default();
            let members = sums.iter().fold(Sum::default(), |all, sum| all.and(sum));
            (self.now.best, self.now.best_ms) = (best.gap(), best.ms());
            (self.now.mean, self.now.mean_ms) = (members.gap(), members.ms());
            // Some generations' problems are harder than others': only what differs between policies counts.
            self.evolve(&sums.iter().map(|sum| sum.gap() - all.gap()).collect::<Vec<f64>>());
        }
        self.now
    }

    /// Lets the agent plan and learn from its samples.
    fn sample(&mut self, room: &mut Room<'_>) -> Option<Own> {
        if !self.uses(Part::Agent) {
            return None;
        }
        let (greedy, team) = room.best(&self.agent.mind)?;
        let greedy_ln = greedy.latency.ln();
        let mut best = greedy;
        let mut plans = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let walk = room.walk(&self.agent.mind, &team, Some(&mut self.rng));
            plans.push((walk.latency.ln(), walk.decisions.clone()));
            if walk.latency < best.latency {
                best = walk;
            }
        }
        self.now.actor_loss = self.agent.judge(&plans);
        Some(Own { greedy_ln, best })
    }

    /// The agent as a policy.
    pub fn agent(&self) -> Policy {
        self.agent.mind.policy()
    }

    /// The best member as a policy.
    pub fn champion(&self) -> Policy {
        self.population[0].mind.policy()
    }
}

/// Latencies of one policy over the problems of a generation.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: f64,
    gap: f64,
    ln: f64,
}

impl Sum {
    fn add(&mut self, ln: f64, best_ln: f64) {
        *self = Self { count: self.count + 1.0, gap: self.gap + ln - best_ln, ln: self.ln + ln };
    }

    fn and(self, other: &Self) -> Self {
        Self { count: self.count + other.count, gap: self.gap + other.gap, ln: self.ln + other.ln }
    }

    fn gap(&self) -> f64 {
        if self.count > 0.0 { self.gap / self.count } else { 0.0 }
    }

    fn ms(&self) -> f64 {
        if self.count > 0.0 { (self.ln / self.count).exp() } else { 0.0 }
    }
}

/// What the agent's plans of one problem came to.
struct Own {
    greedy_ln: f64,
    best: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::named;
    use crate::plan::{BestSingle, Budget, Erl, Planner, Reach};

    fn networks() -> Vec<Network> {
        vec![named("upconv7").unwrap(), named("alexnet").unwrap()]
    }

    #[test]
    fn the_same_seed_gives_the_same_weights() {
        let train = |seed| {
            let mut trainer = Trainer::new(networks(), &[], seed);
            (0..3).for_each(|_| {
                trainer.generation();
            });
            trainer.portfolio(3, 4)
        };
        assert_eq!(train(1), train(1));
        assert_ne!(train(1), train(2));
    }

    #[test]
    fn every_part_can_be_switched_off() {
        use Part::*;
        for part in [Population, Agent, AgentEnters, EliteTeaches, TaughtCrossover, GentleMutation, Replay] {
            let mut trainer = Trainer::new(networks(), &[part], 1);
            let generation = (0..2).map(|_| trainer.generation()).last().unwrap();
            assert!(generation.evaluations > 0, "{part:?}");
            assert_eq!(generation.mean == 0.0, part == Population);
            assert_eq!(generation.gradient == 0.0, part == Agent);
            assert!(!trainer.portfolio(2, 2).members.is_empty());
        }
    }

    #[test]
    fn a_portfolio_is_never_slower_than_the_best_single_worker_and_reads_back() {
        let trainer = Trainer::new(networks(), &[], 3);
        let portfolio = trainer.portfolio(2, 2);
        assert_eq!(Portfolio::from_bytes(&portfolio.to_bytes()).unwrap(), portfolio);
        assert!(Portfolio::from_bytes(&[9; 40]).is_err());
        let network = named("mobilenetv2").unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..4 {
            let (devices, lab) = random_fleet(&mut rng, 4);
            let costs = costs(&network, &devices, lab);
            let problem = Problem { network: &network, costs: &costs, allowed: &[true; 4], memory: &[] };
            let plan = Erl { portfolio: portfolio.clone(), reach: Reach::Forward };
            let plan = plan.plan(&problem, Budget::default()).unwrap();
            plan.partition.check(&network, 4).unwrap();
            let single = BestSingle.plan(&problem, Budget::default()).unwrap();
            assert!(plan.timeline.finish_ms <= single.timeline.finish_ms);
        }
    }
}
