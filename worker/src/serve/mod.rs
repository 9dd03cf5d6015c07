//! The serving half: admits a lab and the peers it vouches for, and does what they ask.

mod admission;
mod control;
mod inbound;
mod node;
mod peers;
mod reports;
mod status;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use collab_core::event::{Emulation, LinkShape};
use collab_core::id::Fingerprint;

use crate::endpoint::{self, EndpointError};
use crate::engine::Engine;
use crate::keys::{AuthorizedKeys, Identity, PairingCode};
use crate::streams::Farewell;

#[cfg(test)]
pub(crate) use admission::MOST_STRANGERS;
use node::Node;

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// For people.
    pub name: String,
    /// Bytes of memory it allows itself.
    pub memory_limit: Option<u64>,
    /// The slower device that it emulates.
    pub emulation: Option<Emulation>,
    /// The link that it emulates, if not the device's.
    pub link: Option<LinkShape>,
    /// The labs that may lead it.
    pub authorized: PathBuf,
    /// Where networks are kept.
    pub networks: PathBuf,
}

/// A worker that listens.
pub struct Server {
    node: Arc<Node>,
    /// What the operator of the device should know, as sentences.
    pub warnings: Vec<String>,
}

impl Server {
    /// Binds the address and starts the threads. Needs a tokio runtime around it.
    pub fn start(
        mut config: ServerConfig,
        identity: &Identity,
        engine: Arc<dyn Engine>,
    ) -> Result<Self, EndpointError> {
        let authorized = AuthorizedKeys::at(config.authorized.clone());
        authorized.read()?;
        if let (Some(emulation), Some(link)) = (&mut config.emulation, config.link) {
            emulation.link = link;
        }
        let (endpoint, warning) = endpoint::open(config.listen, identity, true)?;
        let any: IpAddr = match config.listen {
            SocketAddr::V4(_) => Ipv6Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv4Addr::UNSPECIFIED.into(),
        };
        // A device may have addresses of one kind only.
        let other_kind = endpoint::open(SocketAddr::new(any, 0), identity, false).ok();
        let endpoints = (endpoint, other_kind.map(|(endpoint, _)| endpoint));
        let node = Node::start(config, identity.fingerprint(), endpoints, authorized, engine);
        Ok(Self { node, warnings: warning.into_iter().collect() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.node.endpoint.local_addr()
    }

    /// Of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.node.fingerprint
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.node.config.name
    }

    /// Lets one lab that knows this code add its key to the authorised ones, within five minutes.
    pub fn open_pairing(&self, code: PairingCode) {
        self.node.pairing.open(code, std::time::Instant::now());
    }

    /// Serves until `stop` completes, then says farewell to everyone.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let status = tokio::spawn(status::report(self.node.clone()));
        tokio::select! {
            () = stop => {}
            () = admission::accept_all(&self.node) => {}
        }
        status.abort();
        self.node.leave("the worker was stopped");
        for endpoint in [Some(&self.node.endpoint), self.node.other_kind.as_ref()].into_iter().flatten() {
            endpoint.close(Farewell::Done.code(), b"the worker was stopped");
        }
        // Idle once every farewell is out; a peer that is gone already would keep it waiting.
        let out = self.node.endpoint.wait_idle();
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), out).await;
    }
}
