//! The way back of a lost worker: a task of its own dials it until it answers and holds the network again.
//!
//! Nothing the operator does starts it anew or hurries it.

use std::sync::Arc;
use std::time::Duration;

use collab_core::event::{Level, LinkShape, What};
use collab_core::id::{Fingerprint, WorkerId};
use collab_worker::client::{Dialer, Pong, WorkerLink};
use tokio::time::sleep;

use super::joining::{Handed, best_ping, greet, hand_over};
use crate::journal::Journal;

const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Everything that dialling a worker again needs.
pub struct Redial {
    pub(super) dialer: Arc<Dialer>,
    pub(super) worker: WorkerId,
    pub(super) address: String,
    pub(super) pin: Fingerprint,
    pub(super) shape: Option<LinkShape>,
    pub(super) network: Handed,
}

impl Redial {
    /// Dials, more and more rarely, until the worker holds the network; gives its link and its clock. A new
    /// reason why it does not is noted once.
    pub async fn until_back(self, journal: &Journal) -> (WorkerLink, Pong) {
        let mut pause = SHORTEST_PAUSE;
        let mut noted = String::new();
        loop {
            sleep(pause).await;
            match self.attempt(journal).await {
                Ok(back) => return back,
                Err(error) => {
                    let reason = format!("{error:#}");
                    if reason != noted {
                        journal.note(Level::Warning, format!("{} is not back yet: {reason}", self.worker));
                        noted = reason;
                    }
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, journal: &Journal) -> anyhow::Result<(WorkerLink, Pong)> {
        let Self { dialer, worker, address, pin, shape, network } = self;
        let (link, info) = greet(dialer, *worker, address, *pin, *shape).await?;
        journal.record(What::WorkerJoined(info));
        let held = async {
            hand_over(&link, network.clone(), journal).await?;
            best_ping(&link).await.ok_or_else(|| anyhow::anyhow!("it does not answer"))
        };
        match held.await {
            Ok(clock) => Ok((link, clock)),
            Err(error) => {
                journal.record(What::WorkerLost { worker: *worker, reason: error.to_string() });
                Err(error)
            }
        }
    }
}
