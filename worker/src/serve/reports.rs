//! Reports on their way to the lab: a bounded queue; what does not fit is dropped and counted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use collab_core::wire::{self, StreamKind, Telemetry};
use quinn::Connection;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use crate::streams::{StreamError, priority};

/// How many reports wait at most: about a second of a lively run.
const LENGTH: usize = 2048;

#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue: Mutex<Option<Sender<Telemetry>>>,
    dropped: AtomicU64,
}

impl Reports {
    /// Sends what is reported from now on to this lab.
    pub(crate) fn open(&self, lab: Connection) {
        let (sender, receiver) = channel(LENGTH);
        *self.queue.lock().expect("no holder panics") = Some(sender);
        tokio::spawn(async move {
            // Ends with the connection, which is noticed elsewhere.
            let _ = write(lab, receiver).await;
        });
    }

    /// Nobody listens any more.
    pub(crate) fn close(&self) {
        *self.queue.lock().expect("no holder panics") = None;
    }

    pub(crate) fn push(&self, report: Telemetry) {
        let queue = self.queue.lock().expect("no holder panics");
        if let Some(Err(TrySendError::Full(_))) = queue.as_ref().map(|queue| queue.try_send(report)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn write(lab: Connection, mut queue: Receiver<Telemetry>) -> Result<(), StreamError> {
    let mut stream = lab.open_uni().await?;
    // Fails only if the stream is closed, which the first write says better.
    let _ = stream.set_priority(priority::TELEMETRY);
    stream.write_all(&[StreamKind::Telemetry.byte()]).await?;
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, 64).await > 0 {
        let mut bytes = Vec::new();
        for report in batch.drain(..) {
            // A report beyond the limits (a network of very many layers) is left out, not the link.
            bytes.extend(wire::encode(&report).unwrap_or_default());
        }
        stream.write_chunk(bytes.into()).await?;
    }
    Ok(())
}
