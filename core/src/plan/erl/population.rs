//! How the population becomes the next one, and what agent and population give each other.

use rand::RngExt;

use super::operators::{cross, mutate, mutate_gently, teach};
use super::policy::{Decision, Mind};
use super::trainer::{Part, Trainer};
use crate::event::Origin;

/// Members that stay as they are.
const ELITES: usize = 5;
/// Generations between two exchanges of agent and population.
const EXCHANGE: u64 = 2;
/// The agent takes over the best member when that is better by this much of ln latency.
const MARGIN: f64 = 0.01;
/// Strength of mutations.
const STRENGTH: f64 = 0.05;
/// Share of the new generation in a member's standing.
const FRESH: f64 = 0.2;

/// A policy of the population.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) mind: Mind,
    pub(super) standing: Option<f64>,
    /// Decisions of the last generation by problem, with ln latency.
    pub(super) plans: Vec<(f64, Vec<Decision>)>,
    pub(super) origin: Origin,
    /// Generations since it was made.
    pub(super) age: u64,
}

impl Trainer {
    /// Renews standings by the `gaps` of this generation, keeps the elite and replaces the others by children.
    pub(super) fn evolve(&mut self, gaps: &[f64]) {
        for (member, &gap) in self.population.iter_mut().zip(gaps) {
            member.standing = Some(renew(member.standing, gap));
        }
        self.population.sort_by(|a, b| standing(a).total_cmp(&standing(b)));
        self.now.agents_kept +=
            self.population[..ELITES].iter().filter(|member| member.origin == Origin::Agent).count() as u64;
        for (place, member) in self.population.iter_mut().enumerate() {
            member.age += 1;
            if member.age == 1
                && let Some(success) = self.success.iter_mut().find(|known| known.operator == member.origin)
            {
                success.made += 1;
                success.kept += u64::from(place < ELITES);
            }
        }
        self.now.taught = false;
        let parents = self.population.clone();
        for at in ELITES..self.population.len() {
            let child = self.child(&parents);
            self.population[at] = child;
        }
        if self.uses(Part::Agent) && self.now.number.is_multiple_of(EXCHANGE) {
            let best = standing(&self.population[0]);
            if self.uses(Part::EliteTeaches) && self.standing.is_some_and(|own| own > best + MARGIN) {
                self.agent.mind = self.population[0].mind.clone();
                self.standing = Some(best);
                self.now.taught = true;
            } else if self.uses(Part::AgentEnters)
                && let Some(last) = self.population.last_mut()
            {
                let mind = self.agent.mind.clone();
                *last = Member {
                    mind,
                    standing: self.standing,
                    plans: Vec::new(),
                    origin: Origin::Agent,
                    age: 0,
                };
            }
        }
    }

    /// A child of two parents chosen by tournament.
    fn child(&mut self, parents: &[Member]) -> Member {
        let rng = &mut self.rng;
        // Sorted, so that the least of three places is the best of three parents.
        let mut pick = || (0..3).map(|_| rng.random_range(0..parents.len())).min().unwrap_or(0);
        let (first, second) = (pick(), pick());
        let (first, second) = (&parents[first.min(second)], &parents[first.max(second)]);
        let mut mind = first.mind.clone();
        let mut origin = Origin::Mutate;
        if self.rng.random_bool(0.5) {
            origin = Origin::Cross;
            if self.uses(Part::TaughtCrossover) {
                let pairs = first.plans.iter().zip(&second.plans);
                let better = pairs.map(|(a, b)| if b.0 < a.0 { &b.1 } else { &a.1 });
                let lessons: Vec<&Decision> = better.flatten().collect();
                teach(&mut mind, &lessons, &mut self.rng);
            } else {
                mind = cross(&first.mind, &second.mind, &mut self.rng);
            }
        }
        if self.rng.random_bool(0.9) {
            let strength = STRENGTH * if self.rng.random_bool(0.1) { 4.0 } else { 1.0 };
            if self.uses(Part::GentleMutation) {
                let seen: Vec<Decision> =
                    first.plans.iter().take(2).flat_map(|plan| plan.1.clone()).collect();
                mutate_gently(&mut mind, &seen, strength, &mut self.rng);
            } else {
                mutate(&mut mind, strength, &mut self.rng);
            }
        }
        // As good as its parent until it has shown otherwise: one lucky generation makes no elite.
        Member { mind, standing: first.standing, plans: Vec::new(), origin, age: 0 }
    }
}

fn standing(member: &Member) -> f64 {
    member.standing.unwrap_or(f64::INFINITY)
}

/// A slow mean of gaps, so that one lucky generation makes no elite.
pub(super) fn renew(standing: Option<f64>, gap: f64) -> f64 {
    standing.map_or(gap, |old| old + FRESH * (gap - old))
}
