//! Finding a worker, checking who it is, and being admitted.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use collab_core::event::LinkShape;
use collab_core::id::{Fingerprint, WorkerId};
use collab_core::wire::{Answered, Asked, LabHello, Preface, Reply, Request, StreamKind, WireError};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};

use super::{ConnectError, FromWorker, WorkerLink};
use crate::clock::Clock;
use crate::egress::Egress;
use crate::endpoint;
use crate::keys::{Identity, PairingCode, Side, fingerprint_of};
use crate::streams::{self, Farewell, StreamError, describe, priority, read_preface, write_preface};

/// How long to try to reach a worker; one that has just been started may not listen yet.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a lab that is connected waits for each of the worker's first answers.
const HELLO: Duration = Duration::from_secs(5);
/// How long a worker may be led by a lab that has gone: longer than it takes to notice.
const SUCCESSION: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(200);
/// How many messages wait for the lab before its links are slowed down.
const EVENTS: usize = 4096;

/// A worker that admits this lab, to be noted in [`crate::keys::KnownWorkers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paired {
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its name.
    pub name: String,
}

/// Makes the worker at `address` (`host:port`) known. With the code that it printed it is made to admit this
/// lab, and proves that it is the one that printed it; without, it must admit this lab already. Needs a tokio
/// runtime around it.
pub async fn pair(identity: &Identity, address: &str, code: Option<&str>) -> Result<Paired, ConnectError> {
    let (dialer, _inbox) = Dialer::new(identity.clone(), Instant::now())?;
    let pin = match code {
        Some(code) => Some(dialer.show_code(address, code).await?),
        None => None,
    };
    let link = dialer.hail(WorkerId(0), address, pin).await?;
    let paired = Paired { fingerprint: link.fingerprint(), name: link.hello().name.clone() };
    dialer.close().await;
    Ok(paired)
}

/// A lab's socket, key and line; dials workers. Needs a tokio runtime around it.
pub struct Dialer {
    identity: Identity,
    ipv4: Endpoint,
    ipv6: Mutex<Option<Endpoint>>,
    clock: Clock,
    egress: Egress,
    events: Sender<(WorkerId, FromWorker)>,
    /// What the lab's operator should know, as sentences.
    pub warnings: Vec<String>,
}

/// Somebody at an address, known by the key they hold and nothing else yet.
struct Met {
    connection: Connection,
    address: SocketAddr,
    fingerprint: Fingerprint,
    send: SendStream,
    receive: RecvStream,
}

impl Dialer {
    /// Opens a socket. The lab's timestamps count from `epoch`; what workers say comes out of the receiver.
    pub fn new(
        identity: Identity,
        epoch: Instant,
    ) -> Result<(Self, Receiver<(WorkerId, FromWorker)>), ConnectError> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let (ipv4, warning) = endpoint::open(any, &identity, false)?;
        let (events, inbox) = channel(EVENTS);
        let dialer = Self {
            identity,
            ipv4,
            ipv6: Mutex::new(None),
            clock: Clock::since(epoch),
            egress: Egress::start(LinkShape::default()),
            events,
            warnings: warning.into_iter().collect(),
        };
        Ok((dialer, inbox))
    }

    /// Of the lab's key: what workers must admit.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// The lab's line: everything it sends to workers passes here, paced by [`Egress::set_link`].
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// Connects to the worker at `address` (`host:port`), which must hold the key `pin`.
    pub async fn connect(
        &self,
        worker: WorkerId,
        address: &str,
        pin: Fingerprint,
    ) -> Result<WorkerLink, ConnectError> {
        let begun = Instant::now();
        loop {
            match self.hail(worker, address, Some(pin)).await {
                Err(ConnectError::Led { .. }) if begun.elapsed() < SUCCESSION => sleep(RETRY).await,
                outcome => return outcome,
            }
        }
    }

    async fn hail(
        &self,
        worker: WorkerId,
        address: &str,
        pin: Option<Fingerprint>,
    ) -> Result<WorkerLink, ConnectError> {
        let met = self.meet(address, pin).await?;
        let lab = LabHello { name: crate::host::name(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let Met { connection, address, fingerprint, mut send, mut receive } = met;
        let hello = ask(&mut send, &mut receive, Request::Hello(lab));
        let hello = match timeout(HELLO, hello).await {
            Ok(Ok(Reply::Welcome(hello))) => hello,
            Ok(Ok(_)) => return Err(failed(address, "it did not introduce itself")),
            Ok(Err(error)) => return Err(explain(address, &connection, error)),
            Err(_) => return Err(ConnectError::TimedOut { address, waited: HELLO }),
        };
        let (clock, egress) = (self.clock, self.egress.clone());
        let events = self.events.clone();
        let at = super::link::Established { worker, address, fingerprint, hello, connection, clock, egress };
        Ok(WorkerLink::start(at, send, receive, events))
    }

    /// Has the worker at `address` admit this lab, by the code that it printed; gives its fingerprint.
    async fn show_code(&self, address: &str, code: &str) -> Result<Fingerprint, ConnectError> {
        let code = PairingCode::parse(code).ok_or_else(|| ConnectError::Code(code.to_owned()))?;
        let Met { connection, address, fingerprint, mut send, mut receive } =
            self.meet(address, None).await?;
        let own = self.fingerprint();
        let request = Request::Pair { proof: code.proof(Side::Lab, own, fingerprint) };
        let refused = |reason: String| ConnectError::Refused { address, reason };
        let reply = match timeout(HELLO, ask(&mut send, &mut receive, request)).await {
            Ok(reply) => reply.map_err(|error| explain(address, &connection, error))?,
            Err(_) => return Err(ConnectError::TimedOut { address, waited: HELLO }),
        };
        Farewell::Done.say(&connection, "paired");
        match reply {
            Reply::Paired { proof } if proof == code.proof(Side::Worker, own, fingerprint) => Ok(fingerprint),
            Reply::Paired { .. } => {
                Err(refused("it does not know the code itself: somebody may be in between".to_owned()))
            }
            Reply::Refused { reason } => Err(refused(reason)),
            _ => Err(failed(address, "it gave no answer to the code")),
        }
    }

    /// Says farewell to every worker.
    pub async fn close(&self) {
        let endpoints = [Some(self.ipv4.clone()), self.ipv6.lock().expect("no holder panics").clone()];
        for endpoint in endpoints.into_iter().flatten() {
            endpoint.close(Farewell::Done.code(), b"the lab has ended");
            // A worker that is gone already would keep it waiting.
            let _ = timeout(Duration::from_millis(300), endpoint.wait_idle()).await;
        }
    }

    /// Connects, checks the key and the version, opens the control stream.
    async fn meet(&self, address: &str, pin: Option<Fingerprint>) -> Result<Met, ConnectError> {
        let (address, connection) = self.reach(resolve(address).await?).await?;
        let Some(found) = fingerprint_of(&connection) else {
            return Err(failed(address, "it showed no key"));
        };
        if let Some(expected) = pin.filter(|expected| *expected != found) {
            Farewell::Done.say(&connection, "another key is noted for this worker");
            return Err(ConnectError::WrongFingerprint { address, expected, found });
        }
        match timeout(HELLO, greet(&connection)).await {
            Ok(Ok((send, receive))) => Ok(Met { connection, address, fingerprint: found, send, receive }),
            Ok(Err(error)) => Err(explain(address, &connection, error)),
            Err(_) => Err(ConnectError::TimedOut { address, waited: HELLO }),
        }
    }

    /// Tries one address after the other until somebody answers, or it takes too long. Where nobody does, the first
    /// address's error counts.
    pub(super) async fn reach(
        &self,
        addresses: Vec<SocketAddr>,
    ) -> Result<(SocketAddr, Connection), ConnectError> {
        let begun = Instant::now();
        let mut untried = VecDeque::from(addresses);
        let mut first_error = None;
        while let Some(address) = untried.pop_front() {
            match self.reach_at(address).await {
                Ok(connection) => return Ok((address, connection)),
                Err(ConnectError::TimedOut { .. }) if begun.elapsed() < PATIENCE => {
                    untried.push_back(address);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.expect("names that have no address are refused before"))
    }

    async fn reach_at(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let connecting = self.endpoint_for(address)?.connect(address, "collab");
        let connecting = connecting.map_err(|error| failed(address, &error.to_string()))?;
        match connecting.await {
            Ok(connection) => Ok(connection),
            Err(ConnectionError::TimedOut) if nobody_listens(address).await => {
                Err(ConnectError::NobodyListens(address))
            }
            Err(ConnectionError::TimedOut) => Err(ConnectError::TimedOut { address, waited: PATIENCE }),
            Err(error) => Err(unwelcome(address, &error)),
        }
    }

    fn endpoint_for(&self, address: SocketAddr) -> Result<Endpoint, ConnectError> {
        if address.is_ipv4() {
            return Ok(self.ipv4.clone());
        }
        let mut ipv6 = self.ipv6.lock().expect("no holder panics");
        if let Some(endpoint) = &*ipv6 {
            return Ok(endpoint.clone());
        }
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let (endpoint, _) = endpoint::open(any, &self.identity, false)?;
        *ipv6 = Some(endpoint.clone());
        Ok(endpoint)
    }
}

fn failed(address: SocketAddr, reason: &str) -> ConnectError {
    ConnectError::Failed { address, reason: reason.to_owned() }
}

/// What a broken stream means: the worker's own words, if it said any.
fn explain(address: SocketAddr, connection: &Connection, error: StreamError) -> ConnectError {
    let ours = Preface::ours().version;
    if let StreamError::Wire(WireError::Version { theirs, .. }) = error {
        Farewell::Version.say(connection, &error.to_string());
        return ConnectError::Version { address, ours, theirs };
    }
    match connection.close_reason() {
        Some(closed) => unwelcome(address, &closed),
        None => failed(address, &error.to_string()),
    }
}

/// What a connection's end means before it was of any use.
fn unwelcome(address: SocketAddr, error: &ConnectionError) -> ConnectError {
    match Farewell::heard(error) {
        Some((Farewell::Refused, reason)) => ConnectError::Refused { address, reason },
        Some((Farewell::Busy, reason)) => ConnectError::Led { address, reason },
        _ => failed(address, &describe(error)),
    }
}

/// Every address of a name, those of IPv4 first: a worker that listens at 0.0.0.0 has only these, and an IPv6 address
/// that is good on this link alone is of no use to other workers.
async fn resolve(address: &str) -> Result<Vec<SocketAddr>, ConnectError> {
    let unknown = |problem: String| ConnectError::Unknown { address: address.to_owned(), problem };
    let found = tokio::net::lookup_host(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => {
            ConnectError::Address { address: address.to_owned(), problem: error.to_string() }
        }
        _ => unknown(error.to_string()),
    })?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    if found.is_empty() { Err(unknown("it has no address".to_owned())) } else { Ok(found) }
}

/// Opens the control stream and exchanges prefaces.
async fn greet(connection: &Connection) -> Result<(SendStream, RecvStream), StreamError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    // Fails only if the stream is closed, which the first write says better.
    let _ = send.set_priority(priority::CONTROL);
    send.write_all(&[StreamKind::Control.byte()]).await?;
    write_preface(&mut send).await?;
    Preface::ours().check(read_preface(&mut receive).await?)?;
    Ok((send, receive))
}

/// Asks the first question, before anything else uses the stream.
async fn ask(
    send: &mut SendStream,
    receive: &mut RecvStream,
    request: Request,
) -> Result<Reply, StreamError> {
    streams::write(send, &Asked { sequence: 0, request }).await?;
    let Answered { reply, .. } = streams::read(receive).await?;
    Ok(reply)
}

/// Whether the host itself says that no program has this port; QUIC cannot tell that from silence.
async fn nobody_listens(address: SocketAddr) -> bool {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let knock = async {
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    let answer = timeout(Duration::from_millis(200), knock).await;
    matches!(answer, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}
