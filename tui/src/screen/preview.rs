//! What a partition being typed should take, while it is being typed.

use collab_core::lab::Lab;
use collab_core::partition::{Partition, PartitionError};
use collab_core::plan::Problem;

use super::text;

/// For a command `edit …`: its predicted latency beside the running one's, or why it is none yet.
pub(super) fn of_edit(typed: &str, lab: &Lab) -> Option<Result<String, String>> {
    let plan = typed.trim_start().strip_prefix("edit ")?;
    let (network, costs) = (lab.network.as_ref()?, lab.costs()?);
    let partition = match Partition::parse(plan.trim(), network, lab.workers.len()) {
        Ok(partition) => partition,
        Err(PartitionError::Text { problem, .. }) => return Some(Err(problem)),
        Err(error) => return Some(Err(error.to_string())),
    };
    let (allowed, memory) = (lab.allowed(), lab.memory_limits());
    let problem = Problem { network, costs: &costs, allowed: &allowed, memory: &memory };
    let predicted = problem.cost(partition).timeline.finish_ms;
    let now = [("○", lab.prediction().map(|now| now.ms)), ("●", lab.measured_ms(0.5))];
    let now: Vec<String> =
        now.iter().filter_map(|(sign, ms)| Some(format!("{sign} {}", text::ms((*ms)?)))).collect();
    let now = if now.is_empty() { String::new() } else { format!(", now {} ms", now.join("  ")) };
    Some(Ok(format!("○ {} ms{now}", text::ms(predicted))))
}
