//! Whether a lab that was read can be one: keyframes come from anybody, and are folded on.

use super::Lab;
use crate::event::{PredictedLayer, Proposal, is_predicted, is_whole};
use crate::id::{PartitionId, WorkerId};

impl Lab {
    /// Whether its workers, partitions and what was learnt of them are of one network and one fleet. A lab that is folded
    /// from possible events is; one that is not is to be taken as damaged.
    pub fn is_possible(&self) -> bool {
        let in_order = self.workers.iter().enumerate().all(|(at, it)| it.info.worker.index() == at);
        let is_one = match &self.network {
            Some(network) => {
                is_whole(network)
                    && self.learnt.len() == self.workers.len()
                    && self.learnt.iter().all(|memory| memory.is_of(network))
                    && self.layers.iter().all(|layer| (layer.layer as usize) < network.layers.len())
            }
            None => self.learnt.is_empty() && self.layers.is_empty(),
        };
        let is_known = |id: PartitionId, known: &Proposal| {
            id == known.partition && is_predicted(known) && self.is_for_this(known)
        };
        let partitions_fit = self.partitions.iter().all(|(id, proposal)| is_known(*id, proposal));
        in_order && self.workers.len() <= WorkerId::MAX && is_one && partitions_fit
    }

    /// Whether a proposal is for this network and so many workers.
    pub(super) fn is_for_this(&self, proposal: &Proposal) -> bool {
        self.network.as_deref().is_some_and(|network| {
            let is_layer = |predicted: &PredictedLayer| (predicted.layer as usize) < network.layers.len();
            proposal.plan.check(network, self.workers.len()).is_ok() && proposal.layers.iter().all(is_layer)
        })
    }
}
