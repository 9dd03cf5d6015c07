//! Partitions: the one that runs, the one offered, and those that may be gone back to.

use super::Lab;
use crate::event::Proposal;
use crate::id::PartitionId;

/// Partitions that may be gone back to.
const UNDO_DEPTH: usize = 32;

impl Lab {
    /// The partition that runs.
    pub fn running(&self) -> Option<&Proposal> {
        self.partitions.get(&self.current?)
    }

    /// The partition that is offered; one that only measures workers is nobody's to accept.
    pub fn offered(&self) -> Option<&Proposal> {
        self.partitions.get(&self.proposal?).filter(|proposal| !proposal.measures())
    }

    /// Whether a planned partition runs, or did before one that measures a worker which came back.
    pub fn is_planned(&self) -> bool {
        self.running().is_some_and(|running| !running.measures()) || !self.past.is_empty()
    }

    /// The part of the split work that `worker` does in the running partition, 0…1.
    pub fn share(&self, worker: usize) -> Option<f64> {
        let (network, running) = (self.network.as_ref()?, self.running()?);
        running.plan.shares(network).get(worker).copied()
    }

    /// A proposal for other workers than there are, or for another network, can only be of a damaged session.
    pub(super) fn propose(&mut self, proposal: &Proposal) {
        if !self.is_for_this(proposal) {
            return;
        }
        self.partitions.insert(proposal.partition, proposal.clone());
        self.proposal = Some(proposal.partition);
        self.forget_old_partitions();
        self.look_ahead(self.prediction().map(|said| said.ms));
    }

    pub(super) fn switch(&mut self, partition: PartitionId) {
        if let Some(before) = self.current.replace(partition)
            && before != partition
        {
            // Nobody goes back to what only measured.
            let only_measured = self.partitions.get(&before).is_some_and(Proposal::measures);
            if self.past.last() == Some(&partition) {
                self.past.pop();
            } else if !only_measured {
                self.past.push(before);
            }
            let surplus = self.past.len().saturating_sub(UNDO_DEPTH);
            self.past.drain(..surplus);
        }
        if self.proposal == Some(partition) {
            self.proposal = None;
        }
        self.layers.clear();
        self.accuracy.forget_late();
        self.conditions_changed();
        self.forget_old_partitions();
    }

    fn forget_old_partitions(&mut self) {
        let keep = |id: &PartitionId| {
            Some(*id) == self.current
                || Some(*id) == self.proposal
                || self.past.contains(id)
                || self.timeline_of.is_some_and(|(_, of)| of == *id)
        };
        self.partitions.retain(|id, _| keep(id));
    }
}
