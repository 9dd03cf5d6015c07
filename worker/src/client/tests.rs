//! Labs and workers that speak otherwise than they should; from within, because no honest node can.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use collab_core::id::{Fingerprint, WorkerId};
use collab_core::wire::{Preface, StreamKind, VERSION};
use quinn::{ClientConfig, Connection, ConnectionError};
use tokio::net::UdpSocket;

use super::{ConnectError, Dialer};
use crate::endpoint;
use crate::keys::{AuthorizedKeys, Identity, keyless_client_config};
use crate::serve::{MOST_STRANGERS, Server, ServerConfig};
use crate::streams::{describe, read_kind, read_preface};

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A worker that admits `lab`, on this test's runtime.
fn worker(lab: Fingerprint) -> (SocketAddr, Fingerprint, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let authorized = folder.path().join("authorized");
    AuthorizedKeys::at(authorized.clone()).add(lab, "").unwrap();
    let config = ServerConfig {
        listen: loopback(),
        name: "A".to_owned(),
        memory_limit: None,
        emulation: None,
        link: None,
        authorized,
        networks: folder.path().join("networks"),
    };
    let server =
        Server::start(config, &Identity::generate().unwrap(), Arc::new(crate::engine::Tract::default()));
    let server = server.unwrap();
    let (address, fingerprint) = (server.address().unwrap(), server.fingerprint());
    tokio::spawn(server.run(std::future::pending()));
    (address, fingerprint, folder)
}

async fn connect(identity: &Identity, address: SocketAddr) -> (quinn::Endpoint, Connection) {
    let (endpoint, _) = endpoint::open(loopback(), identity, false).unwrap();
    let connection = endpoint.connect(address, "collab").unwrap().await.unwrap();
    (endpoint, connection)
}

#[tokio::test]
async fn a_worker_of_another_version_is_refused_and_both_versions_are_named() {
    let identity = Identity::generate().unwrap();
    let (endpoint, _) = endpoint::open(loopback(), &identity, true).unwrap();
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (mut send, mut receive) = connection.accept_bi().await.unwrap();
        assert_eq!(read_kind(&mut receive).await.unwrap(), StreamKind::Control);
        assert_eq!(read_preface(&mut receive).await.unwrap(), Preface::ours());
        send.write_all(&Preface { version: 900 }.encode()).await.unwrap();
        connection.closed().await;
    });
    let (dialer, _inbox) = Dialer::new(Identity::generate().unwrap(), Instant::now()).unwrap();
    let refused = dialer.connect(WorkerId(0), &address.to_string(), identity.fingerprint()).await;
    assert!(
        matches!(refused, Err(ConnectError::Version { ours: VERSION, theirs: 900, .. })),
        "{:?}",
        refused.err()
    );
}

#[tokio::test]
async fn a_lab_of_another_version_is_told_both_versions() {
    let identity = Identity::generate().unwrap();
    let (address, _, _folder) = worker(identity.fingerprint());
    let (_endpoint, connection) = connect(&identity, address).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&[StreamKind::Control.byte()]).await.unwrap();
    send.write_all(&Preface { version: 900 }.encode()).await.unwrap();
    assert_eq!(read_preface(&mut receive).await.unwrap(), Preface::ours());
    let sentence = describe(&connection.closed().await);
    assert!(
        sentence.contains("version 900") && sentence.contains(&format!("version {VERSION}")),
        "{sentence}"
    );
}

#[tokio::test]
async fn somebody_who_talks_nonsense_is_sent_away_and_the_worker_goes_on() {
    let identity = Identity::generate().unwrap();
    let (address, fingerprint, _folder) = worker(identity.fingerprint());
    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"r\xff\xff\xff\xff", b"r\x03\0\0\0abc", b"t", b"p\0\0\0\0"]
    {
        let (_endpoint, connection) = connect(&identity, address).await;
        let mut send = connection.open_uni().await.unwrap();
        send.write_all(nonsense).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(nonsense).await.unwrap();
        let sentence = describe(&connection.closed().await);
        assert!(!sentence.contains("nothing was heard"), "{nonsense:?}: {sentence}");
    }
    let (dialer, _inbox) = Dialer::new(identity, Instant::now()).unwrap();
    let link = dialer.connect(WorkerId(0), &address.to_string(), fingerprint).await.unwrap();
    assert!(link.ping().await.is_ok());
}

#[tokio::test]
async fn somebody_without_a_key_never_gets_a_connection() {
    let identity = Identity::generate().unwrap();
    let (address, fingerprint, _folder) = worker(identity.fingerprint());
    let (endpoint, _) = endpoint::open(loopback(), &identity, false).unwrap();
    let keyless = ClientConfig::new(Arc::new(keyless_client_config()));
    // To the client a handshake of TLS 1.3 is done before the server has seen that there is no key.
    let ended = match endpoint.connect_with(keyless, address, "collab").unwrap().await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    assert!(matches!(ended, ConnectionError::ConnectionClosed(_)), "{ended:?}");
    let (dialer, _inbox) = Dialer::new(identity, Instant::now()).unwrap();
    let link = dialer.connect(WorkerId(0), &address.to_string(), fingerprint).await.unwrap();
    assert_eq!(link.status().await.unwrap().refused, 0, "nobody was there to be refused");
}

#[tokio::test]
async fn strangers_who_say_nothing_do_not_keep_their_places() {
    let lab = Identity::generate().unwrap();
    let (address, fingerprint, _folder) = worker(lab.fingerprint());
    let stranger = Identity::generate().unwrap();
    let mut silent = Vec::new();
    for _ in 0..MOST_STRANGERS {
        silent.push(connect(&stranger, address).await);
    }
    for (_endpoint, connection) in &silent {
        let sentence = describe(&connection.closed().await);
        assert!(sentence.contains("does not know your key"), "{sentence}");
    }
    let (dialer, _inbox) = Dialer::new(lab, Instant::now()).unwrap();
    let link = dialer.connect(WorkerId(0), &address.to_string(), fingerprint).await.unwrap();
    assert_eq!(link.status().await.unwrap().refused, MOST_STRANGERS as u64);
}

#[tokio::test]
async fn of_a_names_addresses_the_one_where_a_worker_answers_is_used() {
    let lab = Identity::generate().unwrap();
    let (address, _, _folder) = worker(lab.fingerprint());
    let (dialer, _inbox) = Dialer::new(lab, Instant::now()).unwrap();
    let silent = UdpSocket::bind(loopback()).await.unwrap();
    let unused = UdpSocket::bind(loopback()).await.unwrap().local_addr().unwrap();
    let found = dialer.reach(vec![unused, silent.local_addr().unwrap(), address]).await;
    assert_eq!(found.unwrap().0, address);
    let nobody = dialer.reach(vec![unused]).await;
    assert!(matches!(nobody, Err(ConnectError::NobodyListens(at)) if at == unused), "{:?}", nobody.err());
}

#[tokio::test]
async fn a_handshake_whose_first_datagram_is_lost_goes_on_before_it_is_given_up() {
    let lab = Identity::generate().unwrap();
    let (address, _, _folder) = worker(lab.fingerprint());
    let way = UdpSocket::bind(loopback()).await.unwrap();
    let way_address = way.local_addr().unwrap();
    tokio::spawn(async move {
        let beyond = UdpSocket::bind(loopback()).await.unwrap();
        let (mut there, mut back) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (_, from) = way.recv_from(&mut there).await.unwrap();
        loop {
            tokio::select! {
                Ok((length, _)) = way.recv_from(&mut there) => {
                    beyond.send_to(&there[..length], address).await.unwrap();
                }
                Ok((length, _)) = beyond.recv_from(&mut back) => {
                    way.send_to(&back[..length], from).await.unwrap();
                }
            }
        }
    });
    let (_endpoint, connection) = connect(&lab, way_address).await;
    assert!(connection.close_reason().is_none());
}

#[tokio::test]
async fn a_worker_that_never_answers_is_given_up() {
    let identity = Identity::generate().unwrap();
    let (endpoint, _) = endpoint::open(loopback(), &identity, true).unwrap();
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move { endpoint.accept().await.unwrap().await.unwrap().closed().await });
    let (dialer, _inbox) = Dialer::new(Identity::generate().unwrap(), Instant::now()).unwrap();
    let given_up = dialer.connect(WorkerId(0), &address.to_string(), identity.fingerprint()).await;
    assert!(matches!(given_up, Err(ConnectError::TimedOut { .. })), "{:?}", given_up.err());
}
