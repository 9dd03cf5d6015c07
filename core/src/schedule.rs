//! What each node receives, computes and sends in one run, in order.
//!
//! [`Schedule::new`] is pure. A worker executes exactly this; the simulator costs exactly this. So a
//! predicted timeline and a measured one have the same bars.
//!
//! Execution rule, for worker and simulator alike: a worker takes the blocks in order. Within a block it
//! computes the first [`Part`] in the list whose input rows are all there, until none is left. A transfer
//! leaves as soon as all its rows are computed, and sending overlaps with computing.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::{Node, WorkerId};
use crate::network::Network;
use crate::partition::Partition;
use crate::rows::Rows;

/// One run on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The rows of the network's input that the lab sends, in this order.
    pub input: Vec<Transfer>,
    /// The blocks.
    pub stages: Vec<Stage>,
}

/// One block on every worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// First unit and one past the last.
    pub units: (u32, u32),
    /// What each worker does, by its place in the fleet.
    pub strips: Vec<StripPlan>,
}

/// One block on one worker; all empty if it owns no rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripPlan {
    /// Rows of the block's output that it computes.
    pub rows: Rows,
    /// Rows of the block's input that it needs for that.
    pub need: Rows,
    /// Of those, the ones it computed itself in the block before.
    pub kept: Rows,
    /// The others, by who sends them.
    pub receives: Vec<Transfer>,
    /// The pieces in which `rows` are computed, in order of preference.
    pub parts: Vec<Part>,
    /// Rows of the output that others need, in the order in which they are sent.
    pub sends: Vec<Transfer>,
}

/// Rows that go from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The other end.
    pub peer: Node,
    /// Rows of the tensor at the block's start (received) or end (sent).
    pub rows: Rows,
}

/// A piece of a strip, computed at one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Output rows.
    pub rows: Rows,
    /// Input rows.
    pub need: Rows,
}

/// A strip is cut into parts only while that recomputes at most this share of its work…
const MOST_EXTRA_WORK: f64 = 0.03;
/// …and every part has at least this many values in a row direction to use each weight for.
const LEAST_PIXELS: u32 = 64;

impl Schedule {
    /// The schedule of `partition`, which must fit `network` ([`Partition::check`]).
    pub fn new(network: &Network, partition: &Partition) -> Self {
        let workers = partition.workers();
        let mut stages: Vec<Stage> = Vec::with_capacity(partition.blocks.len());
        let mut input = Vec::new();
        for (index, block) in partition.blocks.iter().enumerate() {
            let span = block.span();
            let mut strips = Vec::with_capacity(workers);
            for worker in 0..workers {
                let rows = block.rows(worker);
                if rows.is_empty() {
                    strips.push(StripPlan::default());
                    continue;
                }
                let need = network.input_rows(&span, rows);
                let mut strip = StripPlan { rows, need, ..StripPlan::default() };
                match stages.last_mut() {
                    None => {
                        strip.receives.push(Transfer { peer: Node::Lab, rows: need });
                        let peer = Node::Worker(WorkerId::at(worker));
                        input.push(Transfer { peer, rows: need });
                    }
                    Some(before) => collect(before, worker, &mut strip),
                }
                strips.push(strip);
            }
            if index + 1 == partition.blocks.len() {
                for strip in strips.iter_mut().filter(|strip| !strip.rows.is_empty()) {
                    strip.sends.push(Transfer { peer: Node::Lab, rows: strip.rows });
                }
            }
            stages.push(Stage { units: block.units, strips });
        }
        for stage in &mut stages {
            let span = stage.units.0 as usize..stage.units.1 as usize;
            for strip in stage.strips.iter_mut().filter(|strip| !strip.rows.is_empty()) {
                strip.parts = divide(network, &span, strip);
            }
        }
        Self { input, stages }
    }

    /// The rows of the network's output that the lab gathers, by worker.
    pub fn output(&self) -> impl Iterator<Item = Transfer> + '_ {
        let last = self.stages.last();
        let strips = last.into_iter().flat_map(|stage| stage.strips.iter().enumerate());
        strips
            .filter(|(_, strip)| !strip.rows.is_empty())
            .map(|(worker, strip)| Transfer { peer: Node::Worker(WorkerId::at(worker)), rows: strip.rows })
    }

    /// The workers that `worker` exchanges rows with.
    pub fn peers(&self, worker: usize) -> Vec<WorkerId> {
        let strips = self.stages.iter().map(|stage| &stage.strips[worker]);
        let transfers = strips.flat_map(|strip| strip.receives.iter().chain(&strip.sends));
        let mut peers: Vec<WorkerId> = transfers
            .filter_map(|transfer| match transfer.peer {
                Node::Worker(peer) => Some(peer),
                Node::Lab => None,
            })
            .collect();
        peers.sort();
        peers.dedup();
        peers
    }
}

/// Finds who computed the input rows of `strip` in the block before, and tells them to send.
fn collect(before: &mut Stage, worker: usize, strip: &mut StripPlan) {
    for (owner, source) in before.strips.iter_mut().enumerate() {
        let rows = source.rows.intersect(strip.need);
        if rows.is_empty() {
            continue;
        }
        if owner == worker {
            strip.kept = rows;
        } else {
            let peer = |worker| Node::Worker(WorkerId::at(worker));
            strip.receives.push(Transfer { peer: peer(owner), rows });
            source.sends.push(Transfer { peer: peer(worker), rows });
        }
    }
}

/// Cuts a strip into what touches its neighbours and what does not, where that is nearly free.
///
/// Rows that a neighbour waits for come first, and so does nothing that itself waits while other rows can
/// be computed: the execution rule skips a part whose input is not there.
fn divide(network: &Network, span: &Range<usize>, strip: &StripPlan) -> Vec<Part> {
    let need = |rows: Rows| network.input_rows(span, rows);
    let whole = Part { rows: strip.rows, need: strip.need };
    let from_neighbours = strip.receives.iter().any(|transfer| transfer.peer != Node::Lab);
    let waits = |rows: Rows| from_neighbours && !strip.kept.contains(need(rows));
    let wanted = |row: u32| {
        strip.sends.iter().any(|send| send.peer != Node::Lab && send.rows.contains(Rows::new(row, row + 1)))
    };
    let on_edge = |row: u32| wanted(row) || waits(Rows::new(row, row + 1));
    let Rows { start, end } = strip.rows;
    let Some(inner_start) = (start..end).find(|&row| !on_edge(row)) else { return vec![whole] };
    let neighbours = strip.sends.iter().filter(|send| send.peer != Node::Lab);
    let later = neighbours.map(|send| send.rows.start).filter(|&row| row > inner_start);
    let wanted_from = later.fold(end, u32::min);
    // What a row needs begins and ends no earlier than what rows before it need: from the first that waits on, all do.
    // Few do, so they are looked for from the end, in steps that double as long as rows wait.
    let (mut inner_end, mut beyond, mut step) = (inner_start + 1, wanted_from, 1);
    while inner_end < beyond {
        let row = beyond.saturating_sub(step).max(inner_end);
        if waits(Rows::new(row, row + 1)) {
            (beyond, step) = (row, 2 * step);
        } else {
            (inner_end, step) = (row + 1, (step / 2).max(1));
        }
    }
    let middle = Rows::new(inner_start, inner_end);
    let parts = [Rows::new(start, inner_start), Rows::new(inner_end, end), middle];
    let parts = parts.into_iter().filter(|rows| !rows.is_empty());
    let least = least_rows(network.cut(span.end).inner);
    if middle == strip.rows || parts.clone().any(|rows| rows.len() < least) {
        return vec![whole];
    }
    let mut work = 0;
    let parts = parts.map(|rows| {
        let (need, macs) = network.input_and_macs(span, rows);
        work += macs;
        Part { rows, need }
    });
    let parts: Vec<Part> = parts.collect();
    let whole_work = network.strip_macs(span, strip.rows);
    if divides_freely(work as f64, whole_work as f64) { parts } else { vec![whole] }
}

/// How many rows of `inner` values have enough pixels to be computed on their own.
pub(crate) fn least_rows(inner: u32) -> u32 {
    LEAST_PIXELS.div_ceil(inner.max(1))
}

/// Whether parts that take `work` multiply-accumulates together may stand for a strip of `whole`.
pub(crate) fn divides_freely(work: f64, whole: f64) -> bool {
    work <= whole * (1.0 + MOST_EXTRA_WORK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::network::samples::chain;
    use crate::partition::Block;

    fn random_partition(size: u32, units: usize, cuts: &[usize], weights: &[Vec<f64>]) -> Partition {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| 1 + cut % units).chain([units]).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut start = 0;
        let mut blocks = Vec::new();
        for (index, end) in ends.into_iter().enumerate() {
            blocks.push(Block::shared(start..end, size, &weights[index % weights.len()]));
            start = end;
        }
        Partition { blocks }
    }

    proptest! {
        #[test]
        fn every_row_needed_comes_from_exactly_one_place_and_every_row_owned_is_computed_once(
            size in 8u32..80, units in 1usize..7,
            cuts in proptest::collection::vec(0usize..7, 0..5),
            weights in proptest::collection::vec(proptest::collection::vec(0.0f64..4.0, 3), 5),
        ) {
            prop_assume!(weights.iter().all(|weights| weights.iter().sum::<f64>() > 0.1));
            let network = chain(size, units as u32);
            let partition = random_partition(size, units, &cuts, &weights);
            partition.check(&network, 3).unwrap();
            let schedule = Schedule::new(&network, &partition);
            for (index, stage) in schedule.stages.iter().enumerate() {
                for (worker, strip) in stage.strips.iter().enumerate() {
                    let received: u32 = strip.receives.iter().map(|transfer| transfer.rows.len()).sum();
                    prop_assert_eq!(received + strip.kept.len(), strip.need.len());
                    let computed: u32 = strip.parts.iter().map(|part| part.rows.len()).sum();
                    prop_assert_eq!(computed, strip.rows.len());
                    for part in &strip.parts {
                        prop_assert!(strip.need.contains(part.need));
                        prop_assert!(strip.rows.contains(part.rows));
                    }
                    for transfer in &strip.receives {
                        let Node::Worker(owner) = transfer.peer else { continue };
                        let me = Transfer { peer: Node::Worker(WorkerId::at(worker)), rows: transfer.rows };
                        let sender = &schedule.stages[index - 1].strips[owner.index()];
                        prop_assert!(sender.sends.contains(&me));
                    }
                }
            }
            let gathered: u32 = schedule.output().map(|transfer| transfer.rows.len()).sum();
            prop_assert_eq!(gathered, size);
        }
    }

    #[test]
    fn rows_that_neighbours_wait_for_come_first() {
        let network = chain(96, 3);
        let partition = Partition::parse("0:=/1:=/2:=", &network, 3).unwrap();
        let schedule = Schedule::new(&network, &partition);
        let middle = &schedule.stages[1].strips[1];
        let rows: Vec<Rows> = middle.parts.iter().map(|part| part.rows).collect();
        assert_eq!(rows, [Rows::new(32, 33), Rows::new(63, 64), Rows::new(33, 63)]);
        assert_eq!(schedule.peers(1), [WorkerId(0), WorkerId(2)]);
    }
}
