//! Evolutionary reinforcement learning of a planning policy.
//!
//! A [`Policy`] answers a problem it has never seen in about a tenth of a millisecond: it walks along the
//! units, says where to cut and bends the proportional rows. A population of policies evolves, an agent of
//! the same form follows the gradient of its own sampled plans, and each enters the other. What is deployed
//! is a [`Portfolio`] of several members: the best of their plans.
//!
//! Rewards come from the simulated schedule; what it gets wrong is learnt from measured runs by
//! [`Correction`](super::Correction).

mod agent;
mod alone;
mod contexts;
mod features;
mod net;
mod operators;
mod policy;
mod population;
mod portfolio;
mod rollout;
mod selection;
mod standing;
mod table;
mod trainer;

pub use alone::AgentAlone;
pub use contexts::{Conditions, Contexts};
pub use policy::{Policy, WEIGHTS};
pub use portfolio::{Erl, Portfolio, PortfolioError, Reach};
pub(crate) use rollout::Room;
pub use standing::{Standing, Standings};
pub use trainer::{Generation, Part, Trainer};
