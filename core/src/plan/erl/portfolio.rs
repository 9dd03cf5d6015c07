//! Several policies deployed together: the best of their plans.

use std::sync::OnceLock;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::policy::{Mind, Policy, WEIGHTS};
use super::rollout::{Outcome, Room};
use crate::partition::Partition;
use crate::plan::draft::Draft;
use crate::plan::search::{Budget, Search};
use crate::plan::{Plan, Planner, Problem};

/// Plans sampled from the best two policies.
const SAMPLES: usize = 12;
/// Steps of [`Instant`]'s descent.
const DESCENT: u64 = 500;

/// Policies that plan together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Portfolio {
    /// The members, the most useful first.
    pub members: Vec<Policy>,
}

/// Bytes that are no portfolio.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PortfolioError {
    /// Not the format of [`Portfolio::to_bytes`].
    #[error("these bytes are no portfolio of policies ({0}); train one again")]
    Format(String),
    /// Trained by a program with another network.
    #[error("policy {member} has {found} weights, this program expects {WEIGHTS}; train it again")]
    Weights {
        /// The member, from 0.
        member: usize,
        /// Weights found.
        found: usize,
    },
}

impl Portfolio {
    /// The portfolio that ships with the program.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Portfolio> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::from_bytes(include_bytes!("shipped.portfolio")).unwrap_or_default())
    }

    /// For a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// From a file's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PortfolioError> {
        let portfolio: Self =
            postcard::from_bytes(bytes).map_err(|error| PortfolioError::Format(error.to_string()))?;
        for (member, policy) in portfolio.members.iter().enumerate() {
            let found = policy.weights.len();
            if found != WEIGHTS || policy.weights.iter().any(|weight| !weight.is_finite()) {
                return Err(PortfolioError::Weights { member, found });
            }
        }
        Ok(portfolio)
    }

    /// Every member's plan for `problem`, the best first; empty if no worker is allowed.
    pub fn plans(&self, problem: &Problem<'_>) -> Vec<Partition> {
        let Some(search) = Search::new(problem) else { return Vec::new() };
        let mut room = Room::new(search);
        self.drafts(&mut room).iter().map(Draft::partition).collect()
    }

    /// Every member's plan and some plans sampled from the best two, the best first.
    pub(crate) fn drafts(&self, room: &mut Room<'_>) -> Vec<Draft> {
        let mut walks: Vec<(Outcome, Mind, Vec<usize>)> = Vec::with_capacity(self.members.len());
        for policy in &self.members {
            let mind = policy.mind();
            if let Some((walk, team)) = room.best(&mind) {
                walks.push((walk, mind, team));
            }
        }
        walks.sort_by(|a, b| a.0.latency.total_cmp(&b.0.latency));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut plans = Vec::with_capacity(walks.len() + SAMPLES);
        for sample in 0..SAMPLES {
            if let Some((_, mind, team)) = walks.get(sample % 2) {
                let walk = room.walk(mind, team, Some(&mut rng));
                plans.push((walk.latency, walk.draft));
            }
        }
        plans.extend(walks.into_iter().map(|(walk, _, _)| (walk.latency, walk.draft)));
        plans.sort_by(|a, b| a.0.total_cmp(&b.0));
        plans.into_iter().map(|(_, draft)| draft).collect()
    }
}

/// The portfolio's best plan after a few hundred steps of descent: what can be proposed at once.
#[derive(Clone, Debug)]
pub struct Instant {
    /// Who plans.
    pub portfolio: Portfolio,
}

impl Planner for Instant {
    fn name(&self) -> &'static str {
        "instant"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let mut room = Room::new(search);
        self.portfolio.drafts(&mut room);
        let mut search = room.search;
        if let Some(best) = search.best().map(|(_, draft)| draft.clone()) {
            search.anneal(
                &best,
                DESCENT.min(budget.evaluations),
                &mut ChaCha8Rng::seed_from_u64(budget.seed),
            );
        }
        search.answer()
    }
}

/// Plans by a portfolio, or by one device if that is faster; refines its best plans if asked to.
#[derive(Clone, Debug)]
pub struct Erl {
    /// Who plans.
    pub portfolio: Portfolio,
    /// Whether the budget is spent on annealing the best three of its plans and of the simple planners'.
    pub refine: bool,
}

impl Planner for Erl {
    fn name(&self) -> &'static str {
        if self.refine { "erl" } else { "policy" }
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        if self.refine {
            search.try_simple();
        } else {
            search.try_singles();
        }
        let mut room = Room::new(search);
        let drafts = self.portfolio.drafts(&mut room);
        let mut search = room.search;
        if self.refine {
            drafts.into_iter().for_each(|draft| {
                search.offer(draft);
            });
            search.refine(budget, &mut ChaCha8Rng::seed_from_u64(budget.seed));
        }
        search.answer()
    }
}
