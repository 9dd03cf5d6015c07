//! The lab's half of a link: dialling workers, asking them, hearing from them.

mod control;
mod dial;
mod error;
mod link;
mod listen;
#[cfg(test)]
mod tests;

use collab_core::event::WorkerStatus;
use collab_core::id::{RunId, WorkerId};
use collab_core::wire::{RowsHeader, RunReport, WorkerSpan};

pub use dial::{Dialer, Paired, pair};
pub use error::{AskError, ConnectError};
pub use link::{Calibrated, Pong, PreparedOn, WorkerLink};

/// What comes from a worker without being asked, in one stream for all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// Rows of the network's output (or of whatever a schedule has it send to the lab).
    Rows {
        /// Which.
        header: RowsHeader,
        /// The values, as the header says.
        body: Vec<u8>,
        /// When the first byte came, µs of the lab's clock.
        first_us: u64,
        /// When the last byte came, µs of the lab's clock.
        last_us: u64,
    },
    /// What it computed and waited for in a run; µs of its own clock.
    Computed(RunReport),
    /// Rows that it sent; µs of its own clock.
    Sent(WorkerSpan),
    /// Rows that reached it; µs of its own clock.
    Arrived(WorkerSpan),
    /// Rows that the lab itself sent to it; µs of the lab's clock.
    LabSent(WorkerSpan),
    /// It gave a run up, or the lab could not send it rows.
    Failed {
        /// Which run.
        run: RunId,
        /// A sentence.
        reason: String,
    },
    /// Its link to another worker is there.
    PeerJoined(WorkerId),
    /// Its link to another worker was lost; it dials again.
    PeerLost {
        /// Which.
        peer: WorkerId,
        /// A sentence.
        reason: String,
    },
    /// Its state, once a second.
    Status(WorkerStatus),
    /// The connection ended; nothing more comes from this link.
    Closed {
        /// A sentence.
        reason: String,
    },
}
