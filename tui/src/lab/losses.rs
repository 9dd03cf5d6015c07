//! A worker is gone: what is lost with it, and how the others go on.

use collab_core::event::{Proposal, What};
use collab_core::id::WorkerId;

use super::controller::{ALONE, Controller, Ending};

impl Controller {
    /// A worker is gone: its run is lost, the others go on.
    pub(super) fn lose_worker(&mut self, worker: WorkerId, reason: String) {
        if !self.fleet.lose(worker) {
            return;
        }
        self.journal.record(What::WorkerLost { worker, reason: reason.clone() });
        self.lose_run(format!("worker {worker} is lost: {reason}"));
        self.next = None;
        if self.fleet.ready().is_empty() {
            self.end(Ending::NobodyLeft);
            return;
        }
        let affected = {
            let shown = self.journal.stage().look();
            let uses = |running: &Proposal| running.plan.uses(worker.index()) || running.planner == ALONE;
            shown.lab.current.filter(|_| shown.lab.running().is_some_and(uses))
        };
        if self.planned
            && let Some(current) = affected
        {
            // It cannot run any more; what planning finds first replaces it, even when frozen.
            self.schedules.remove(&current);
        }
        self.conditions_changed();
    }
}
