//! How a trainer's members do on one problem, and what of them is deployed.

use super::policy::Mind;
use super::portfolio::Portfolio;
use super::rollout::Room;
use super::trainer::{Part, Trainer};
use crate::event::{OperatorSuccess, Origin};
use crate::partition::Partition;
use crate::plan::Problem;
use crate::plan::search::Search;

/// A policy's plan for one problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Where the policy comes from.
    pub origin: Origin,
    /// Generations since it was made.
    pub age: u64,
    /// Its plan.
    pub partition: Partition,
    /// What the plan takes, ms.
    pub predicted_ms: f64,
}

/// Everybody's plans for one problem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standings {
    /// The members', the best first.
    pub members: Vec<Standing>,
    /// The agent's, unless it is switched off.
    pub agent: Option<Standing>,
    /// Partitions costed to find them.
    pub evaluations: u64,
}

impl Trainer {
    /// What the members and the agent plan for `problem`; nothing is learnt from it.
    pub fn standings(&self, problem: &Problem<'_>) -> Standings {
        let Some(search) = Search::new(problem) else { return Standings::default() };
        let mut room = Room::new(search);
        let mut plan = |mind: &Mind, origin, age| {
            let (walk, _) = room.best(mind)?;
            let (partition, predicted_ms) = (walk.draft.partition(), walk.latency);
            Some(Standing { origin, age, partition, predicted_ms })
        };
        let members = if self.uses(Part::Population) { &self.population[..] } else { &[] };
        let plans = members.iter().filter_map(|member| plan(&member.mind, member.origin, member.age));
        let mut members: Vec<Standing> = plans.collect();
        members.sort_by(|a, b| a.predicted_ms.total_cmp(&b.predicted_ms));
        let agent = self.uses(Part::Agent).then(|| plan(&self.agent.mind, Origin::Agent, 0)).flatten();
        Standings { members, agent, evaluations: room.search.evaluations }
    }

    /// What became of the children of each operator so far.
    pub fn success(&self) -> &[OperatorSuccess] {
        &self.success
    }

    /// The `size` best members so far and the agent, for planning the fleet they were trained on.
    pub fn deployed(&self, size: usize) -> Portfolio {
        let best = self.population.iter().filter(|member| member.standing.is_some()).take(size);
        let mut members: Vec<_> = best.map(|member| member.mind.policy()).collect();
        if self.uses(Part::Agent) {
            members.push(self.agent());
        }
        Portfolio { members }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::named;
    use crate::plan::erl::Contexts;
    use crate::plan::scenario::{LinkClass, costs, seed_like};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn training_on_a_fleet_counts_every_child_and_makes_its_members_better_for_it() {
        let network = named("upconv7").unwrap();
        let costs = costs(&network, &seed_like(4, LinkClass::HundredMbit), LinkClass::HundredMbit);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 4], memory: &[] };
        let mut trainer = Trainer::new(vec![network.clone()], &[], 5);
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let before = trainer.standings(&problem);
        assert_eq!(before.members.len(), 16);
        assert!(before.members.is_sorted_by(|a, b| a.predicted_ms <= b.predicted_ms));
        let mut generation = trainer.generation_on(&Contexts::draw(&problem, 3, &mut rng).problems());
        for _ in 0..12 {
            generation = trainer.generation_on(&Contexts::draw(&problem, 3, &mut rng).problems());
        }
        assert!(generation.actor_loss.is_finite() && generation.actor_loss != 0.0);
        let after = trainer.standings(&problem);
        let mean = |standings: &Standings| {
            standings.members.iter().map(|member| member.predicted_ms).sum::<f64>() / 16.0
        };
        assert!(mean(&after) < mean(&before), "{} {}", mean(&after), mean(&before));
        let made: u64 = trainer.success().iter().map(|success| success.made).sum();
        // Eleven children a generation; the last are not judged yet.
        assert_eq!(made, 12 * 11);
        assert!(trainer.success().iter().all(|success| success.kept <= success.made));
        assert_eq!(trainer.deployed(4).members.len(), 5);
    }
}
