//! What a trainer reports of itself, and an offered partition beside the running one.

use serde::{Deserialize, Serialize};

use crate::id::PartitionId;

/// How training goes, about twice a second. Times are predicted for the fleet as it is, in ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Generations since training began.
    pub generation: u64,
    /// The best member's plan.
    pub best_ms: f64,
    /// The members' plans on average.
    pub mean_ms: f64,
    /// The plan of the gradient-trained agent alone.
    pub agent_ms: Option<f64>,
    /// The agent's loss: how much likelier it makes plans that are slower than its own average.
    pub actor_loss: Option<f64>,
    /// The critic's loss: the mean squared error of ln latency over measured partitions that it had not seen.
    pub critic_loss: Option<f64>,
    /// Partitions costed since training began.
    pub evaluations: u64,
    /// Partitions costed a second since the last report, pauses included.
    pub evaluations_per_s: f64,
    /// What became of the children of each operator.
    pub operators: Vec<OperatorSuccess>,
    /// The members, the best first; at most [`Trained::MEMBERS`].
    pub population: Vec<Candidate>,
    /// The running partition's prediction.
    pub running_ms: Option<f64>,
    /// The fastest plan that anyone found for the fleet as it is.
    pub best_known_ms: Option<f64>,
    /// Planners side by side, the fastest first.
    pub planners: Vec<Opponent>,
}

impl Trained {
    /// Members reported at most.
    pub const MEMBERS: usize = 24;
}

/// Where a member of the population comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was there when training began.
    #[default]
    Start,
    /// Mutated from one parent.
    Mutate,
    /// Crossed from two parents.
    Cross,
    /// The gradient-trained agent.
    Agent,
}

impl Origin {
    /// Everyone that makes members.
    pub const OPERATORS: [Origin; 3] = [Origin::Mutate, Origin::Cross, Origin::Agent];

    /// As screens write it.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Start => "start",
            Origin::Mutate => "mutate",
            Origin::Cross => "cross",
            Origin::Agent => "agent",
        }
    }
}

/// Of one operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSuccess {
    /// Which.
    pub operator: Origin,
    /// Members it made.
    pub made: u64,
    /// Of these, those that were among the elite after their first generation.
    pub kept: u64,
}

/// A member of the population and its plan for the fleet as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it comes from.
    pub origin: Origin,
    /// Its plan, in its text form, shortened.
    pub plan: String,
    /// What the plan takes, ms.
    pub predicted_ms: f64,
    /// Generations since it was made.
    pub age: u64,
}

/// A planner and its plan for the fleet as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opponent {
    /// Its name.
    pub planner: String,
    /// What its plan takes, ms.
    pub predicted_ms: f64,
    /// Partitions costed.
    pub evaluations: u64,
    /// What planning took, ms.
    pub plan_ms: f64,
}

/// Why an offered partition should be faster or slower than the running one, both predicted for the fleet as it
/// is, in ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The offered partition.
    pub partition: PartitionId,
    /// The running one.
    pub running: PartitionId,
    /// What the running one takes: measured since conditions changed, else predicted and corrected.
    pub now_ms: f64,
    /// Whether `now_ms` was measured.
    pub now_measured: bool,
    /// What the offered one should take, corrected as measured runs ask for.
    pub new_ms: f64,
    /// Measured over predicted latency that `new_ms` is corrected by.
    pub correction: f64,
    /// Computing of each worker, new less now; recomputed rows included.
    pub compute_ms: Vec<f64>,
    /// Transfers along the critical path, new less now.
    pub transfer_ms: f64,
    /// Recomputed rows of all workers, new less now.
    pub halo_ms: f64,
    /// Waiting of all workers, new less now.
    pub wait_ms: f64,
    /// From the moment the lab learnt of the change until the first proposal was there, ms.
    pub after_ms: Option<f64>,
    /// What changed, in words; empty if nothing did.
    pub because: String,
}
