//! What a worker goes through before it can be given work: it is greeted, given the network, and its clock compared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use collab_core::event::{LinkShape, What, WorkerInfo};
use collab_core::id::{Fingerprint, WorkerId};
use collab_core::network::Cut;
use collab_core::wire::NetworkOffer;
use collab_worker::client::{AskError, Dialer, Pong, WorkerLink};

use crate::journal::Journal;

/// Clock exchanges of which the quickest counts.
const PINGS: usize = 5;
/// Between two notes of how much of the network a worker holds.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Connects to a worker and paces its link; it is given as it introduced itself.
pub(super) async fn greet(
    dialer: &Dialer,
    worker: WorkerId,
    address: &str,
    pin: Fingerprint,
    shape: Option<LinkShape>,
) -> anyhow::Result<(WorkerLink, WorkerInfo)> {
    let connected = dialer.connect(worker, address, pin).await;
    let connected = connected.with_context(|| format!("cannot use worker {worker} at {address}"))?;
    let mut info = connected.info();
    if let Some(shape) = shape {
        connected.set_link(shape).await.with_context(|| format!("worker {worker}"))?;
        if let Some(emulation) = &mut info.emulation {
            emulation.link = shape;
        }
    }
    Ok((connected, info))
}

/// The network as every worker is given it.
#[derive(Clone)]
pub(super) struct Handed {
    pub offer: NetworkOffer,
    pub bytes: Bytes,
    /// The tensors at its cuts, which a worker must make of it as well.
    pub cuts: Arc<[Cut]>,
}

/// Gives a worker the network and tells how far it is.
pub(super) async fn hand_over(link: &WorkerLink, network: Handed, journal: &Journal) -> Result<(), AskError> {
    let worker = link.worker();
    let mut noted = None::<Instant>;
    let progress = |done, total| {
        if noted.is_none_or(|noted| noted.elapsed() >= PROGRESS_EVERY) {
            noted = Some(Instant::now());
            journal.record(What::WorkerLoading { worker, done, total });
        }
    };
    let cuts = link.offer_network(network.offer, network.bytes, progress).await?;
    check_cuts(&network.cuts, &cuts)
}

/// A partition counts units, so both must cut the network at the same tensors. Who does not is refused for good: dialled
/// again, it would cut no otherwise.
fn check_cuts(ours: &[Cut], theirs: &[Cut]) -> Result<(), AskError> {
    if ours == theirs {
        return Ok(());
    }
    let reason =
        "it divides this network otherwise than the lab does: install the same version of collab on both";
    Err(AskError::Refused(reason.to_owned()))
}

/// The quickest of a few clock exchanges: its round trip hides the least.
pub(super) async fn best_ping(link: &WorkerLink) -> Option<Pong> {
    let mut best: Option<Pong> = None;
    for _ in 0..PINGS {
        let pong = link.ping().await.ok()?;
        if best.is_none_or(|best| pong.rtt_us < best.rtt_us) {
            best = Some(pong);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::chain;

    use super::*;

    #[test]
    fn a_worker_that_cuts_a_network_otherwise_is_refused_and_told_what_helps() {
        let cuts: Vec<Cut> = chain(64, 6).cuts().collect();
        assert!(check_cuts(&cuts, &cuts).is_ok());
        let mut moved = cuts.clone();
        moved[2].rows += 1;
        for theirs in [&cuts[1..], &moved, &[]] {
            let Err(AskError::Refused(reason)) = check_cuts(&cuts, theirs) else {
                panic!("{theirs:?} is not refused");
            };
            assert!(reason.contains("the same version of collab on both"), "{reason}");
        }
    }
}
