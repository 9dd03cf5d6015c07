//! Who may connect: labs whose key is authorised, peers that the leading lab vouches for, and a lab that
//! shows the pairing code. Everyone else is refused with a sentence, and counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use collab_core::id::{self, Fingerprint};
use collab_core::wire::{Answered, Asked, Reply, Request, StreamKind, WireError};
use quinn::{Connection, Incoming};
use tokio::time::{sleep, timeout};

use super::node::Node;
use super::{control, inbound, peers};
use crate::keys::fingerprint_of;
use crate::streams::{self, Farewell, StreamError, read_kind};

/// How long a stranger may take to show a key, and then to show the pairing code or to be vouched for by the lab.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The most connections that are not admitted yet.
pub(crate) const MOST_STRANGERS: usize = 64;

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept_all(node: &Arc<Node>) {
    let strangers = Arc::new(tokio::sync::Semaphore::new(MOST_STRANGERS));
    while let Some(incoming) = node.endpoint.accept().await {
        let Ok(place) = strangers.clone().try_acquire_owned() else {
            node.refused.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
            continue;
        };
        let node = node.clone();
        tokio::spawn(async move {
            if let Some((connection, guest)) = admit(&node, incoming).await {
                drop(place);
                host(&node, connection, guest).await;
            }
        });
    }
}

enum Guest {
    Lab,
    Peer(id::WorkerId),
}

async fn admit(node: &Arc<Node>, incoming: Incoming) -> Option<(Connection, Guest)> {
    // A handshake that fails has nothing to be told. One that never ends would keep its place: as long as something
    // is said, the connection is not given up for silence.
    let connection = timeout(PATIENCE, incoming.accept().ok()?).await.ok()?.ok()?;
    let refuse = |why: Farewell, sentence: &str| {
        node.refused.fetch_add(1, Ordering::Relaxed);
        why.say(&connection, sentence);
    };
    let Some(key) = fingerprint_of(&connection) else {
        refuse(Farewell::Refused, "no key was shown");
        return None;
    };
    let authorized = match node.authorized.read() {
        Ok(keys) => keys.contains(&key),
        Err(error) => {
            refuse(Farewell::Refused, &format!("the worker cannot read its authorised keys: {error}"));
            return None;
        }
    };
    if authorized {
        return match node.follow(key, &connection) {
            Ok(()) => Some((connection, Guest::Lab)),
            Err(sentence) => {
                refuse(Farewell::Busy, &sentence);
                None
            }
        };
    }
    match meet(node, &connection, key).await {
        Ok(peer) => Some((connection, Guest::Peer(peer))),
        Err(Some(sentence)) => {
            refuse(Farewell::Refused, &sentence);
            None
        }
        Err(None) => None,
    }
}

/// Serves an admitted connection until it ends.
async fn host(node: &Arc<Node>, connection: Connection, guest: Guest) {
    match guest {
        Guest::Lab => {
            inbound::serve(node, id::Node::Lab, &connection).await;
            node.unfollow(&connection);
        }
        Guest::Peer(peer) => peers::link(node, peer, connection).await,
    }
}

/// Finds out what someone with an unknown key wants. An error is what it is refused with, if anything.
async fn meet(
    node: &Node,
    connection: &Connection,
    key: Fingerprint,
) -> Result<id::WorkerId, Option<String>> {
    let unknown = || {
        Some(format!(
            "this worker does not know your key {key}: add it to {} on the worker, or start the worker with \
             --pair and use the code it prints",
            node.authorized.path().file_name().unwrap_or_default().display()
        ))
    };
    let vouched = async {
        loop {
            let changed = node.peers.changed.notified();
            match node.peers.find(key) {
                Some(peer) => return peer,
                None => changed.await,
            }
        }
    };
    tokio::select! {
        biased;
        // The lab introduces both ends of a link at about the same time, so one may be early.
        peer = vouched => Ok(peer),
        paired = pair(node, connection, key) => match paired {
            Ok(true) | Err(StreamError::Wire(WireError::Version { .. })) => Err(None),
            Ok(false) | Err(_) => Err(unknown()),
        },
        () = sleep(PATIENCE) => Err(unknown()),
    }
}

/// Lets a lab pair; `false` if that is not what it asks for.
async fn pair(node: &Node, connection: &Connection, key: Fingerprint) -> Result<bool, StreamError> {
    let (mut send, mut receive) = connection.accept_bi().await?;
    if read_kind(&mut receive).await? != StreamKind::Control {
        return Ok(false);
    }
    control::greet(connection, &mut send, &mut receive).await?;
    let Asked { sequence, request } = streams::read(&mut receive).await?;
    let Request::Pair { proof } = request else { return Ok(false) };
    let reply = match node.pairing.attempt(&proof, key, node.fingerprint, Instant::now()) {
        Ok(proof) => match node.authorized.add(key, "paired") {
            Ok(()) => Reply::Paired { proof },
            Err(error) => Reply::Refused { reason: error.to_string() },
        },
        Err(reason) => {
            node.refused.fetch_add(1, Ordering::Relaxed);
            Reply::Refused { reason: reason.to_owned() }
        }
    };
    streams::write(&mut send, &Answered { sequence, reply }).await?;
    // The lab closes the connection once it has read the answer.
    let _ = timeout(Duration::from_secs(1), connection.closed()).await;
    Ok(true)
}
