//! Workers learn of each other, and who cannot be linked with the others is found out.

use anyhow::bail;
use collab_core::id::{Fingerprint, Node, WorkerId};
use collab_worker::client::{AskError, WorkerLink};
use futures_util::future::join_all;

use crate::lab::severed::{Pair, fewest};

/// Fails if two workers have one key, as copies of one card have: they could not be told apart.
pub(super) fn check_keys(addresses: &[(String, Option<Fingerprint>)]) -> anyhow::Result<()> {
    for (index, (address, key)) in addresses.iter().enumerate() {
        let twin = addresses[..index].iter().find(|(_, other)| key.is_some() && other == key);
        if let Some((other, _)) = twin {
            bail!(
                "the workers at {other} and {address} have the same key: name each worker once; if these are two, \
                 delete the --state folder of one, start it, and pair with it again"
            );
        }
    }
    Ok(())
}

/// Tells workers of each other, and waits until they have links among them.
pub(super) async fn introduce(all: Vec<(WorkerId, WorkerLink)>) -> Vec<(WorkerId, Result<(), AskError>)> {
    let peers: Vec<_> = all.iter().map(|(_, link)| link.as_peer()).collect();
    let introducing = all.iter().map(|(worker, link)| {
        let others = peers.iter().filter(|peer| peer.worker != *worker).cloned().collect();
        async move { (*worker, link.introduce(others).await) }
    });
    join_all(introducing).await
}

/// Of workers that could not all be linked, has as few as possible count as refused: the others are linked with each other.
pub(super) async fn keep_most(
    introduced: Vec<(WorkerId, Result<(), AskError>)>,
    links: &[(WorkerId, WorkerLink)],
) -> Vec<(WorkerId, Result<(), AskError>)> {
    let is_refused = |result: &Result<(), AskError>| matches!(result, Err(AskError::Refused(_)));
    if !introduced.iter().any(|(_, result)| is_refused(result)) {
        return introduced;
    }
    let out = fewest(&unlinked(links).await);
    let keep = |(worker, result)| match is_refused(&result) && !out.contains(&worker) {
        true => (worker, Ok(())),
        false => (worker, result),
    };
    introduced.into_iter().map(keep).collect()
}

/// The pairs of workers that have no link.
async fn unlinked(links: &[(WorkerId, WorkerLink)]) -> Vec<Pair> {
    let pairs = links.iter().enumerate().flat_map(|(index, (worker, link))| {
        links[index + 1..].iter().map(move |(other, _)| (*worker, *other, link))
    });
    let asked = pairs.map(|(worker, other, link)| async move {
        // Without bytes it is a few round trips, and refused at once where there is no link.
        let answer = link.measure_to(Node::Worker(other), 0).await;
        matches!(answer, Err(AskError::Refused(_))).then_some((worker, other))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
