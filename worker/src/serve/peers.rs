//! The links to other workers: each pair has one, dialled by the lower index, kept up while a lab vouches
//! for both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use collab_core::id::{self, Fingerprint, WorkerId};
use collab_core::wire::{Peer, Telemetry};
use quinn::Connection;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::inbound;
use super::node::{Node, Routes};
use crate::builder::Fleet;
use crate::keys::fingerprint_of;
use crate::streams::{Farewell, describe};

/// How long an introduction waits for every link.
const INTRODUCTION: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Everyone the lab vouches for.
#[derive(Default)]
pub(crate) struct Peers {
    known: Mutex<Known>,
    /// Told whenever a link is there, or someone new is vouched for.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Known {
    me: Option<WorkerId>,
    peers: HashMap<WorkerId, Peer>,
    dialling: HashMap<WorkerId, AbortHandle>,
}

impl Known {
    /// No longer vouches for `peer`, and lets go of its link.
    fn forget(&mut self, peer: WorkerId, routes: &Routes, reason: &str) {
        self.peers.remove(&peer);
        if let Some(dialling) = self.dialling.remove(&peer) {
            dialling.abort();
        }
        let route = routes.lock().expect("no holder panics").remove(&id::Node::Worker(peer));
        if let Some(connection) = route {
            Farewell::Done.say(&connection, reason);
        }
    }
}

impl Peers {
    /// The place of whoever holds this key.
    pub(crate) fn find(&self, fingerprint: Fingerprint) -> Option<WorkerId> {
        let known = self.known.lock().expect("no holder panics");
        let found = known.peers.values().find(|peer| peer.fingerprint == fingerprint);
        found.map(|peer| peer.worker)
    }

    /// This worker's place among the others.
    pub(crate) fn fleet(&self) -> Option<Fleet> {
        let known = self.known.lock().expect("no holder panics");
        Some(Fleet { me: known.me?, peers: known.peers.keys().copied().collect() })
    }

    /// Nobody is vouched for any more.
    pub(crate) fn clear(&self, routes: &Routes, reason: &str) {
        let mut known = self.known.lock().expect("no holder panics");
        for peer in known.peers.keys().copied().collect::<Vec<_>>() {
            known.forget(peer, routes, reason);
        }
        known.me = None;
    }
}

/// Takes over what the lab says about the others, and waits until there is a link to each. Links to those
/// about whom it says the same as before stay as they are.
pub(super) async fn introduce(node: Arc<Node>, me: WorkerId, peers: Vec<Peer>) -> Result<(), String> {
    check(me, &peers, node.fingerprint)?;
    let wanted = peers.clone();
    {
        let mut known = node.peers.known.lock().expect("no holder panics");
        let is_moved = known.me != Some(me);
        let is_as_before = |known: &Peer| !is_moved && peers.contains(known);
        let changed = known.peers.values().filter(|known| !is_as_before(known)).map(|known| known.worker);
        for peer in changed.collect::<Vec<_>>() {
            known.forget(peer, &node.routes, "the lab introduced the workers anew");
        }
        known.me = Some(me);
        for peer in peers {
            if me < peer.worker && !known.dialling.contains_key(&peer.worker) {
                let dial = tokio::spawn(keep_dialling(node.clone(), peer.clone())).abort_handle();
                known.dialling.insert(peer.worker, dial);
            }
            known.peers.insert(peer.worker, peer);
        }
    }
    node.peers.changed.notify_waiters();
    let missing = || {
        let routes = node.routes.lock().expect("no holder panics");
        wanted.iter().find(|peer| !routes.contains_key(&id::Node::Worker(peer.worker)))
    };
    let linked = async {
        loop {
            let changed = node.peers.changed.notified();
            match missing() {
                Some(_) => changed.await,
                None => return,
            }
        }
    };
    let late = timeout(INTRODUCTION, linked).await.is_err();
    match missing().filter(|_| late) {
        Some(peer) => Err(format!(
            "{me} and {} at {} cannot reach each other: check that this is its address for all of them, not a \
             local one, and that no firewall between them keeps UDP away",
            peer.worker, peer.address
        )),
        None => Ok(()),
    }
}

fn check(me: WorkerId, peers: &[Peer], own: Fingerprint) -> Result<(), String> {
    let everyone = peers.iter().map(|peer| (peer.worker, peer.fingerprint));
    let everyone: Vec<_> = everyone.chain([(me, own)]).collect();
    for (index, (worker, fingerprint)) in everyone.iter().enumerate() {
        let mut before = everyone[..index].iter();
        if let Some((other, _)) = before.find(|(other, key)| other == worker || key == fingerprint) {
            return Err(format!(
                "workers {other} and {worker} have the same place or the same key: give each its own --state folder"
            ));
        }
    }
    Ok(())
}

/// Dials a peer whenever there is no link, more and more rarely.
async fn keep_dialling(node: Arc<Node>, peer: Peer) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        if let Ok(connection) = dial(&node, &peer).await {
            pause = SHORTEST_PAUSE;
            link(&node, peer.worker, connection).await;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn dial(node: &Node, peer: &Peer) -> Result<Connection, String> {
    let mut addresses = tokio::net::lookup_host(&peer.address).await.map_err(|error| error.to_string())?;
    let address = addresses.next().ok_or("the name has no address")?;
    let listens_there = node.config.listen.is_ipv6() == address.is_ipv6();
    let endpoint = node.other_kind.as_ref().filter(|_| !listens_there).unwrap_or(&node.endpoint);
    let connecting = endpoint.connect(address, "collab").map_err(|error| error.to_string())?;
    let connection = connecting.await.map_err(|error| describe(&error))?;
    let found = fingerprint_of(&connection);
    if found != Some(peer.fingerprint) {
        let sentence = "another key was vouched for at this address";
        Farewell::Refused.say(&connection, sentence);
        return Err(sentence.to_owned());
    }
    Ok(connection)
}

/// Uses a connection to a peer until it ends.
pub(super) async fn link(node: &Arc<Node>, peer: WorkerId, connection: Connection) {
    let key = id::Node::Worker(peer);
    let before = node.routes.lock().expect("no holder panics").insert(key, connection.clone());
    if let Some(before) = before {
        Farewell::Replaced.say(&before, "the peer connected anew");
    }
    node.peers.changed.notify_waiters();
    node.reports.push(Telemetry::PeerJoined { peer });
    let error = inbound::serve(node, key, &connection).await;
    let mut routes = node.routes.lock().expect("no holder panics");
    if routes.get(&key).is_some_and(|current| current.stable_id() == connection.stable_id()) {
        routes.remove(&key);
        drop(routes);
        node.reports.push(Telemetry::PeerLost { peer, reason: describe(&error) });
    }
}
