//! A worker is gone: what is lost with it, and how the others go on.

use collab_core::event::What;
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
        let shown = self.journal.stage().look();
        let affected = shown
            .lab
            .running()
            .is_some_and(|running| running.plan.uses(worker.index()) || running.planner == ALONE);
        let planned = (self.planned && affected).then(|| self.planning.plan(&shown.lab));
        drop(shown);
        if let Some(Some(proposal)) = planned {
            // The running partition cannot run any more, so this one is applied even when frozen.
            if let Some(current) = self.journal.stage().look().lab.current {
                self.schedules.remove(&current);
            }
            self.offer(proposal, true, None);
        }
    }
}
