//! Evolutionary reinforcement learning of a planning policy.
//!
//! A [`Policy`] answers a problem it has never seen in about a tenth of a millisecond: it walks along the
//! units, says where to cut and bends the proportional rows. A population of policies evolves, an agent of
//! the same form follows the gradient of its own sampled plans, and each enters the other. What is deployed
//! is a [`Portfolio`] of several members: the best of their plans.
//!
//! Not here: learning from measured runs. Rewards come from the simulated schedule.

mod agent;
mod features;
mod net;
mod operators;
mod policy;
mod portfolio;
mod rollout;
mod table;
mod trainer;

pub use policy::{Policy, WEIGHTS};
pub use portfolio::{Erl, Portfolio, PortfolioError};
pub(crate) use rollout::Room;
pub use trainer::{Generation, Part, Trainer};
