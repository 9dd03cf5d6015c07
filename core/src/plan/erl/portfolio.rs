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
use crate::plan::refine::{MENDING, REFINING};
use crate::plan::search::{Budget, Search};
use crate::plan::{Plan, Planner, Problem};

/// Which walks of a portfolio are tried.
#[derive(Clone, Copy)]
struct Walks {
    /// So many members plan.
    members: usize,
    /// The first of them for so many teams of its ranking.
    tried: usize,
    /// The others for so many, those that served the first best.
    teams: usize,
    /// So many plans are sampled from the best two walks.
    samples: usize,
}

/// All that may be worth something.
const ALL: Walks = Walks { members: usize::MAX, tried: usize::MAX, teams: 2, samples: 8 };
/// Where plans are changed afterwards: what other members, other teams and sampled plans find is worth less than the changes
/// that can be tried in the time they take.
const FEW: Walks = Walks { members: 1, tried: 2, teams: 2, samples: 0 };
/// Strips costed by the changes that a policy tries, as [`Search::strips`] counts them: this bounds the time, together with
/// [`CHANGES`].
const STRIPS: usize = 188_000;
/// What is made before the first change takes about as long as so many changes for each worker.
const MADE: usize = 15;
/// Fewest and most changes.
const CHANGES: (usize, usize) = (300, 3000);

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
        self.all_drafts(&mut room).iter().map(Draft::partition).collect()
    }

    /// Every member's plans and some sampled ones, the best first.
    pub(crate) fn all_drafts(&self, room: &mut Room<'_>) -> Vec<Draft> {
        self.drafts(room, ALL)
    }

    /// The plans that come of `walks`, the best first.
    fn drafts(&self, room: &mut Room<'_>, walks: Walks) -> Vec<Draft> {
        let Walks { members, tried, teams, samples } = walks;
        let Some((first, others)) = self.members.split_first() else { return Vec::new() };
        let first = first.mind();
        let mut tried = room.all(&first, tried);
        tried.truncate(teams);
        let teams: Vec<Vec<usize>> = tried.iter().map(|(_, team)| team.clone()).collect();
        let mut walks: Vec<(Outcome, Mind, Vec<usize>)> = Vec::new();
        walks.extend(tried.into_iter().map(|(walk, team)| (walk, first.clone(), team)));
        for mind in others.iter().take(members.saturating_sub(1)).map(Policy::mind) {
            for team in &teams {
                walks.push((room.walk(&mind, team, None), mind.clone(), team.clone()));
            }
        }
        walks.sort_by(|a, b| a.0.latency.total_cmp(&b.0.latency));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut plans = Vec::with_capacity(walks.len() + samples);
        for sample in 0..samples {
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

/// How far plans of a portfolio are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The policies' plans as they come, among them some that are sampled.
    Forward,
    /// The best two mended by some hundred small changes: what can be proposed at once.
    Mended,
    /// The whole budget spent on annealing the best of them and of the simple planners'.
    Refined,
}

/// Plans by a portfolio, or by one device if that is faster.
#[derive(Clone, Debug)]
pub struct Erl {
    /// Who plans.
    pub portfolio: Portfolio,
    /// How far.
    pub reach: Reach,
}

impl Erl {
    /// With the portfolio that ships with the program.
    pub fn shipped(reach: Reach) -> Self {
        Self { portfolio: Portfolio::shipped().clone(), reach }
    }
}

impl Planner for Erl {
    fn name(&self) -> &'static str {
        match self.reach {
            Reach::Forward => "forward",
            Reach::Mended => "policy",
            Reach::Refined => "erl",
        }
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        let threads = if self.reach == Reach::Refined { budget.threads } else { 1 };
        let mut helpers = search.helpers(threads);
        match self.reach {
            Reach::Refined => {
                search.try_simple();
                search.try_stages(&mut helpers);
            }
            Reach::Mended => {
                search.try_rules();
            }
            Reach::Forward => {
                search.try_singles();
                search.try_hand_overs();
            }
        }
        let mut room = Room::new(search);
        let walks = if self.reach == Reach::Mended { FEW } else { ALL };
        let drafts = self.portfolio.drafts(&mut room, walks);
        let mut search = room.search;
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        drafts.into_iter().for_each(|draft| {
            search.offer(draft);
        });
        match self.reach {
            Reach::Forward => {}
            Reach::Mended => {
                let made = MADE * search.problem.workers();
                let changes = (STRIPS / search.strips()).saturating_sub(made);
                search.refine(&MENDING, changes.clamp(CHANGES.0, CHANGES.1) as u64, &mut rng, &mut []);
            }
            Reach::Refined => {
                let left = search.bounded(budget.evaluations).saturating_sub(search.evaluations);
                search.refine(&REFINING, left, &mut rng, &mut helpers);
            }
        }
        search.answer()
    }
}
