//! Who is there: workers that answer the lab, learn of each other, and can be linked with the others.

use anyhow::{Context as _, bail};
use collab_core::event::{Host, WorkerInfo};
use collab_core::id::{Fingerprint, Node, WorkerId};
use collab_worker::client::{AskError, ConnectError, WorkerLink};
use futures_util::future::join_all;

use crate::lab::severed::{Pair, fewest};

/// Where each worker is, and its key. Fails if one is not known, or if two have one key, as copies of one card have: they
/// could not be told apart.
pub(super) fn check_keys(
    addresses: &[(String, Option<Fingerprint>)],
) -> anyhow::Result<Vec<(String, Fingerprint)>> {
    let mut known: Vec<(String, Fingerprint)> = Vec::new();
    for (address, key) in addresses {
        let key = key.with_context(|| {
            format!("the key of the worker at {address} is not known: run collab-tui pair {address}")
        })?;
        if let Some((other, _)) = known.iter().find(|(_, other)| *other == key) {
            bail!(
                "the workers at {other} and {address} have the same key: name each worker once; if these are two, \
                 delete the --state folder of one, start it, and pair with it again"
            );
        }
        known.push((address.clone(), key));
    }
    Ok(known)
}

/// Of workers that were greeted, those that did not answer but may later, each with a sentence why. Fails if nobody answered,
/// or if somebody will not be there later either.
pub(super) fn part_silent<T>(greeted: Vec<anyhow::Result<T>>) -> anyhow::Result<Vec<Result<T, String>>> {
    let may_pass = |error: &anyhow::Error| {
        let error = error.downcast_ref::<ConnectError>();
        error.is_some_and(ConnectError::may_pass)
    };
    let is_alone = greeted.len() == 1;
    let mut parted = Vec::new();
    for greeted in greeted {
        match greeted {
            Err(error) if is_alone || !may_pass(&error) => return Err(error),
            Err(error) => parted.push(Err(error.root_cause().to_string())),
            Ok(met) => parted.push(Ok(met)),
        }
    }
    if parted.iter().all(Result::is_err) {
        let reasons: Vec<String> = parted.into_iter().filter_map(Result::err).collect();
        bail!("no worker can be used: {}", reasons.join("; "));
    }
    Ok(parted)
}

/// A worker that never answered, as the lab was told of it.
pub(super) fn unmet(worker: WorkerId, (address, fingerprint): &(String, Fingerprint)) -> WorkerInfo {
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    WorkerInfo {
        worker,
        name: host.to_owned(),
        address: address.clone(),
        fingerprint: *fingerprint,
        engine: String::new(),
        host: Host::default(),
        emulation: None,
        memory_limit: None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(port: u16) -> anyhow::Error {
        let nobody = ConnectError::NobodyListens(([127, 0, 0, 1], port).into());
        anyhow::Error::from(nobody).context("cannot use a worker")
    }

    #[test]
    fn who_does_not_answer_may_do_so_later_but_not_if_nobody_does() {
        let parted = part_silent(vec![Ok(1), Err(silent(2)), Ok(3)]).unwrap();
        assert_eq!((&parted[0], &parted[2]), (&Ok(1), &Ok(3)));
        assert!(parted[1].as_ref().unwrap_err().starts_with("nobody listens at 127.0.0.1:2"));
        let nobody = part_silent::<()>(vec![Err(silent(2)), Err(silent(3))]).unwrap_err().to_string();
        assert!(nobody.contains("127.0.0.1:2") && nobody.contains("127.0.0.1:3"), "{nobody}");
        let alone = part_silent::<()>(vec![Err(silent(2))]).unwrap_err();
        assert_eq!(alone.to_string(), "cannot use a worker");
    }

    #[test]
    fn who_answers_that_it_will_have_none_of_this_ends_the_lab() {
        let address = ([127, 0, 0, 1], 2).into();
        let version = ConnectError::Version { address, ours: 2, theirs: 1 };
        let refused = ConnectError::Refused { address, reason: "it does not know your key".to_owned() };
        for error in [version, refused] {
            let said = error.to_string();
            let ended = part_silent(vec![Ok(1), Err(silent(3)), Err(error.into())]).unwrap_err();
            assert_eq!(ended.to_string(), said);
        }
        assert!(part_silent(vec![Ok(1), Err(anyhow::anyhow!("a socket"))]).is_err());
    }
}
