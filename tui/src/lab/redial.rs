//! The way back of a lost worker: a task of its own dials it until it answers and holds the network again.
//!
//! Nothing the operator does starts it anew or hurries it. A worker that refuses the network again and again in the same
//! words is dialled no more: every attempt would be a line of the log, for ever.

use std::sync::Arc;
use std::time::Duration;

use collab_core::event::{Level, LinkShape, What};
use collab_core::id::{Fingerprint, WorkerId};
use collab_worker::client::{AskError, Dialer, Pong, WorkerLink};
use tokio::time::sleep;

use super::joining::{Handed, best_ping, greet, hand_over};
use crate::journal::Journal;

/// Before a worker that was lost is dialled for the first time.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Refusals in the same words that are taken for the last one.
const REFUSALS: u32 = 3;

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
    /// Dials after a pause and then more and more rarely, until the worker holds the network; gives its link and its clock,
    /// `None` once it has refused for good. A new reason why it does not is noted once.
    pub async fn until_back(self, journal: &Journal, mut pause: Duration) -> Option<(WorkerLink, Pong)> {
        let mut failures = Failures::default();
        loop {
            sleep(pause).await;
            let error = match self.attempt(journal).await {
                Ok(back) => return Some(back),
                Err(error) => error,
            };
            let is_refused = matches!(error.downcast_ref::<AskError>(), Some(AskError::Refused(_)));
            match failures.take(format!("{error:#}"), is_refused) {
                Next::Note(reason) => {
                    journal.note(Level::Warning, format!("{} is not back yet: {reason}", self.worker));
                }
                Next::Dial => {}
                Next::GiveUp(reason) => {
                    let text = format!("{} is not dialled any more: {reason}", self.worker);
                    journal.note(Level::Warning, text);
                    return None;
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
                let asked = error.downcast_ref::<AskError>();
                let reason = asked.map_or_else(|| error.to_string(), AskError::why_lost);
                journal.record(What::WorkerLost { worker: *worker, reason });
                Err(error)
            }
        }
    }
}

/// Why late attempts failed.
#[derive(Default)]
struct Failures {
    reason: String,
    /// How often in a row.
    times: u32,
}

/// What follows from a failure.
#[derive(Debug, PartialEq)]
enum Next {
    /// It is a new one, which is told.
    Note(String),
    /// It was told.
    Dial,
    /// It will not be otherwise.
    GiveUp(String),
}

impl Failures {
    fn take(&mut self, reason: String, is_refused: bool) -> Next {
        self.times = if self.reason == reason { self.times + 1 } else { 1 };
        self.reason.clone_from(&reason);
        match self.times {
            REFUSALS.. if is_refused => Next::GiveUp(reason),
            1 => Next::Note(reason),
            _ => Next::Dial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_dialled_for_ever_but_not_one_that_keeps_refusing() {
        let mut failures = Failures::default();
        let mut told = |reason: &str, is_refused| failures.take(reason.to_owned(), is_refused);
        assert_eq!(told("nobody listens", false), Next::Note("nobody listens".to_owned()));
        assert!((0..100).all(|_| told("nobody listens", false) == Next::Dial));
        assert_eq!(told("busy", true), Next::Note("busy".to_owned()));
        assert_eq!(told("too large", true), Next::Note("too large".to_owned()));
        assert_eq!(told("too large", true), Next::Dial);
        assert_eq!(told("too large", true), Next::GiveUp("too large".to_owned()));
    }
}
