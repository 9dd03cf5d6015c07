//! Why a worker cannot be connected to, or does not do what it is asked.

use std::net::SocketAddr;
use std::time::Duration;

use collab_core::id::Fingerprint;
use thiserror::Error;

use crate::endpoint::EndpointError;

/// Why there is no connection to a worker.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address is no address.
    #[error("'{address}' is no address ({problem}): write HOST:PORT")]
    Address {
        /// As given.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// Nobody knows the host's name, which some devices tell themselves as long as they are on.
    #[error("'{address}' cannot be found ({problem}): check the name, and that the device is on")]
    Unknown {
        /// As given.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// No program has this port.
    #[error("nobody listens at {0}: start the worker there with worker --listen {0}")]
    NobodyListens(SocketAddr),
    /// Nothing came back.
    #[error(
        "{address} did not answer within {} s: check the address, the network, and that no firewall keeps UDP away",
        waited.as_secs()
    )]
    TimedOut {
        /// Where.
        address: SocketAddr,
        /// How long.
        waited: Duration,
    },
    /// The worker has another key than the one noted for it.
    #[error(
        "the worker at {address} has the key {found}, but {expected} is noted for it: if it was set up anew, \
         pair with it again; if not, somebody may be in between"
    )]
    WrongFingerprint {
        /// Where.
        address: SocketAddr,
        /// The key noted.
        expected: Fingerprint,
        /// The key it showed.
        found: Fingerprint,
    },
    /// The worker does not admit this lab's key.
    #[error("the worker at {address} refused the connection: {reason}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// The worker's sentence.
        reason: String,
    },
    /// The worker is led by another lab.
    #[error("the worker at {address} refused the connection: {reason}")]
    Led {
        /// Where.
        address: SocketAddr,
        /// The worker's sentence.
        reason: String,
    },
    /// The versions differ.
    #[error(
        "the worker at {address} speaks version {theirs} of the protocol, this lab version {ours}: update the older one"
    )]
    Version {
        /// Where.
        address: SocketAddr,
        /// This lab's.
        ours: u16,
        /// The worker's.
        theirs: u16,
    },
    /// Something else answered, or the connection broke.
    #[error("the connection to {address} failed: {reason}")]
    Failed {
        /// Where.
        address: SocketAddr,
        /// A sentence.
        reason: String,
    },
    /// The pairing code is not of the right form.
    #[error("'{0}' is no pairing code: it has twelve letters and digits, as in ABCD-EFGH-JKLM")]
    Code(String),
    /// This side's socket or key.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl ConnectError {
    /// Whether the worker may be there a while later although nobody does anything about it here: it is silent, or led by
    /// another lab.
    pub fn may_pass(&self) -> bool {
        match self {
            ConnectError::Unknown { .. }
            | ConnectError::NobodyListens(_)
            | ConnectError::TimedOut { .. }
            | ConnectError::Led { .. }
            | ConnectError::Failed { .. } => true,
            ConnectError::Address { .. }
            | ConnectError::WrongFingerprint { .. }
            | ConnectError::Refused { .. }
            | ConnectError::Version { .. }
            | ConnectError::Code(_)
            | ConnectError::Endpoint(_) => false,
        }
    }
}

/// Why a worker did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// It says why.
    #[error("{0}")]
    Refused(String),
    /// The connection ended before the answer came.
    #[error("the connection to the worker ended: {0}")]
    Closed(String),
    /// No answer in time.
    #[error("the worker did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The request is beyond the limits of the protocol, or the answer belongs to another request.
    #[error("{0}")]
    Protocol(String),
}

impl AskError {
    /// For whoever tells that the worker is lost: of a link that ended the same words, whether something was asked over it or
    /// not.
    pub fn why_lost(&self) -> String {
        match self {
            AskError::Closed(reason) => reason.clone(),
            error => error.to_string(),
        }
    }
}
