//! Planners side by side for the fleet as it is, one asked at a time.

use std::time::Instant;

use collab_core::event::Opponent;
use collab_core::partition::Partition;
use collab_core::plan::{Budget, Problem, planner};

/// Who is asked, in this order.
const NAMES: [&str; 9] =
    ["best-single", "equal", "proportional", "greedy", "dp", "beam", "anneal", "erl", "auto"];

/// A planner's last answer.
#[derive(Clone, Debug)]
struct Answer {
    name: &'static str,
    partition: Partition,
    evaluations: u64,
    plan_ms: f64,
}

/// Everybody's last answers.
#[derive(Clone, Debug, Default)]
pub struct Opponents {
    answers: Vec<Answer>,
    next: usize,
}

impl Opponents {
    /// Asks the next planner.
    pub fn ask_one(&mut self, problem: &Problem<'_>, seed: u64) {
        let name = NAMES[self.next % NAMES.len()];
        self.next += 1;
        let begun = Instant::now();
        let plan =
            planner(name).and_then(|planner| planner.plan(problem, Budget { seed, ..Budget::default() }));
        let plan_ms = begun.elapsed().as_secs_f64() * 1e3;
        self.answers.retain(|answer| answer.name != name);
        if let Some(plan) = plan {
            let (partition, evaluations) = (plan.partition, plan.evaluations);
            self.answers.push(Answer { name, partition, evaluations, plan_ms });
        }
    }

    /// What everybody's answer takes now, the fastest first, and that of the fastest.
    pub fn standings(&self, problem: &Problem<'_>) -> (Vec<Opponent>, Option<(f64, Partition)>) {
        let possible = self.answers.iter().filter(|answer| is_possible(&answer.partition, problem));
        let mut costed: Vec<(f64, &Answer)> = possible
            .map(|answer| (problem.cost(answer.partition.clone()).timeline.finish_ms, answer))
            .collect();
        costed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = costed.first().map(|(ms, answer)| (*ms, answer.partition.clone()));
        let opponent = |(predicted_ms, answer): (f64, &Answer)| Opponent {
            planner: answer.name.to_owned(),
            predicted_ms,
            evaluations: answer.evaluations,
            plan_ms: answer.plan_ms,
        };
        (costed.into_iter().map(opponent).collect(), best)
    }
}

/// Whether only workers that may be given rows have any.
pub fn is_possible(partition: &Partition, problem: &Problem<'_>) -> bool {
    partition.check(problem.network, problem.workers()).is_ok()
        && (0..problem.workers()).all(|worker| problem.allowed[worker] || !partition.uses(worker))
}
