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
    let measured = lab.measured_ms(0.5);
    let now = measured.map_or_else(String::new, |ms| format!(", now ● {} ms", text::ms(ms)));
    Some(Ok(format!("○ {} ms{now}", text::ms(predicted))))
}
