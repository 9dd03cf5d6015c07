//! What each part of the learning contributes: trained without it, at equal evaluations, on fleets not seen.

use collab_core::network::Network;
use collab_core::plan::erl::{Part, Trainer};
use collab_core::plan::scenario::{Row, Scenario, compare, gap, random_fleet};
use collab_core::plan::{Budget, Erl, Planner, Problem, Reach};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Members deployed.
const MEMBERS: usize = 6;
/// Problems on which they are chosen.
const CHOSEN_ON: usize = 12;
/// Fleets not seen.
const FLEETS: usize = 6;

/// Rows for the whole method and for the method without each of its parts, trained from nothing.
pub fn rows(
    network: &Network,
    evaluations: u64,
    reference: u64,
    seed: u64,
    mut clock: impl FnMut() -> f64,
) -> Vec<Row> {
    use Part::*;
    let parts = [Population, Agent, AgentEnters, EliteTeaches, TaughtCrossover, GentleMutation, Replay];
    let fleets = unseen(seed);
    let known: Vec<Option<Row>> = fleets
        .iter()
        .map(|fleet| {
            let budget = Budget { seed, ..Budget::default() };
            compare(fleet, network, &["auto"], budget, reference, &mut clock).into_iter().next()
        })
        .collect();
    let mut rows = Vec::new();
    for off in [None].into_iter().chain(parts.map(Some)) {
        let off: Vec<Part> = off.into_iter().collect();
        let mut trainer = Trainer::new(vec![network.clone()], &off, seed);
        while trainer.generation().evaluations < evaluations {}
        let policy = Erl { portfolio: trainer.portfolio(MEMBERS, CHOSEN_ON), reach: Reach::Forward };
        let name = off.first().map_or("trained".to_owned(), |part| format!("trained without {part:?}"));
        for (fleet, known) in fleets.iter().zip(&known) {
            let costs = fleet.costs(network);
            let problem = Problem { network, costs: &costs, allowed: &fleet.allowed, memory: &[] };
            let begun = clock();
            let plan = policy.plan(&problem, Budget { evaluations: 0, seed, ..Budget::default() });
            let (Some(plan), Some(known)) = (plan, known) else { continue };
            let predicted_ms = plan.timeline.finish_ms;
            let reference_ms = known.reference_ms.min(predicted_ms);
            rows.push(Row {
                planner: name.clone(),
                predicted_ms,
                reference_ms,
                gap: gap(predicted_ms, reference_ms),
                evaluations: plan.evaluations,
                plan_ms: clock() - begun,
                ..known.clone()
            });
        }
    }
    rows
}

/// Fleets that no trainer of this bench draws: another seed.
fn unseen(seed: u64) -> Vec<Scenario> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(2000));
    let fleet = |index: usize| {
        let count = rng.random_range(2..=8);
        let (devices, lab) = random_fleet(&mut rng, count);
        Scenario::new(format!("unseen-{index}"), devices, lab)
    };
    (0..FLEETS).map(fleet).collect()
}
