//! Rehearsals: all workers run a partition's blocks together before its first run.
//!
//! In a run the workers of a block begin it at about the same time, and those of one host cost each other time when they
//! compute. So none begins to rehearse before the last one has prepared, and each block is begun by all at once.

use std::time::{Duration, Instant};

use collab_core::event::BlockTimes;
use collab_core::id::{PartitionId, WorkerId};
use collab_core::partition::{Block, Partition};
use collab_worker::client::WorkerLink;
use futures_util::future::join_all;

/// Times that every block is run; the median of its layers' times is told.
pub(super) const ROUNDS: usize = 3;
/// No further block is begun after this long.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What each worker's blocks took, those left out for which there was no time; a worker's sentence if it does not answer.
pub(super) async fn rehearse(
    workers: &[(WorkerId, WorkerLink)],
    partition: PartitionId,
    plan: &Partition,
    rounds: usize,
) -> Result<Vec<(WorkerId, Vec<BlockTimes>)>, String> {
    let mut taken = vec![vec![Vec::new(); plan.blocks.len()]; workers.len()];
    let begun = Instant::now();
    for (round, block) in
        (0..rounds).flat_map(|round| (0..plan.blocks.len()).map(move |block| (round, block)))
    {
        if begun.elapsed() > PATIENCE {
            break;
        }
        let owners = workers.iter().zip(&mut taken);
        let owners = owners.filter(|((worker, _), _)| !plan.blocks[block].rows(worker.index()).is_empty());
        let rehearsing = owners.map(|((worker, link), taken)| async move {
            let owns = |block: &Block| !block.rows(worker.index()).is_empty();
            let is_last = round + 1 == rounds && !plan.blocks[block + 1..].iter().any(owns);
            let times = link.rehearse(partition, block as u32, is_last).await;
            taken[block].extend(times.map_err(|error| format!("{worker}: {error}"))?);
            Ok(())
        });
        join_all(rehearsing).await.into_iter().collect::<Result<Vec<()>, String>>()?;
    }
    let of_worker = |((worker, _), blocks): (&(WorkerId, _), Vec<Vec<BlockTimes>>)| {
        (*worker, blocks.iter().filter_map(|rounds| middle(rounds)).collect())
    };
    Ok(workers.iter().zip(taken).map(of_worker).collect())
}

/// What each layer of a block took in the middle one of these rounds.
fn middle(rounds: &[BlockTimes]) -> Option<BlockTimes> {
    let first = rounds.first()?;
    let layers = first.layers.iter().enumerate().map(|(at, &(layer, rows, _))| {
        let times = rounds.iter().filter_map(|round| Some(round.layers.get(at)?.2));
        let mut times: Vec<f32> = times.collect();
        times.sort_by(f32::total_cmp);
        (layer, rows, times[times.len() / 2])
    });
    Some(BlockTimes { block: first.block, layers: layers.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_rounds_each_layers_middle_time_counts() {
        let round =
            |first: f32, second: f32| BlockTimes { block: 2, layers: vec![(4, 10, first), (5, 8, second)] };
        let rounds = [round(1.0, 9.0), round(3.0, 2.0), round(2.0, 3.0)];
        assert_eq!(middle(&rounds), Some(round(2.0, 3.0)));
        assert_eq!(middle(&[]), None);
    }
}
