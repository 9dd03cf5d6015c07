//! What a worker sends of its own accord: reports, rows, probes.

use collab_core::event::WorkerStatus;
use collab_core::id::WorkerId;
use collab_core::wire::{RowsHeader, StreamKind, Telemetry, WireError};
use quinn::{Connection, RecvStream};
use tokio::sync::mpsc::Sender;

use super::FromWorker;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::probe;
use crate::streams::{Farewell, StreamError, describe, read, read_body, read_kind};

/// Everything that listening needs.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) worker: WorkerId,
    pub(super) connection: Connection,
    pub(super) clock: Clock,
    pub(super) egress: Egress,
    pub(super) events: Sender<(WorkerId, FromWorker)>,
}

impl Listener {
    /// Listens until the connection ends, and tells why it did.
    pub(super) async fn listen(self) {
        let error = loop {
            tokio::select! {
                stream = self.connection.accept_uni() => match stream {
                    Ok(stream) => self.spawn(self.clone().hear(stream)),
                    Err(error) => break error,
                },
                streams = self.connection.accept_bi() => match streams {
                    Ok((send, mut receive)) => {
                        let me = self.clone();
                        self.spawn(async move {
                            match read_kind(&mut receive).await? {
                                StreamKind::Probe => {
                                    probe::answer(send, receive, me.clock, &me.egress).await
                                }
                                _ => Err(WireError::NotCollab.into()),
                            }
                        });
                    }
                    Err(error) => break error,
                },
            }
        };
        self.tell(FromWorker::Closed { reason: describe(&error) }).await;
    }

    fn spawn(&self, work: impl Future<Output = Result<(), StreamError>> + Send + 'static) {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            if let Err(StreamError::Wire(error)) = work.await {
                Farewell::Protocol.say(&connection, &error.to_string());
            }
        });
    }

    pub(super) async fn tell(&self, event: FromWorker) {
        // The lab may have stopped listening on its way out.
        let _ = self.events.send((self.worker, event)).await;
    }

    async fn hear(self, mut stream: RecvStream) -> Result<(), StreamError> {
        match read_kind(&mut stream).await? {
            StreamKind::Rows => {
                let header: RowsHeader = read(&mut stream).await?;
                let first_us = self.clock.now();
                let body = read_body(&mut stream, header.bytes).await?;
                let last_us = self.clock.now();
                self.tell(FromWorker::Rows { header, body, first_us, last_us }).await;
                Ok(())
            }
            StreamKind::Telemetry => loop {
                let report = self.translate(read(&mut stream).await?);
                self.tell(report).await;
            },
            _ => Err(WireError::NotCollab.into()),
        }
    }

    fn translate(&self, report: Telemetry) -> FromWorker {
        match report {
            Telemetry::Computed(report) => FromWorker::Computed(report),
            Telemetry::Sent(span) => FromWorker::Sent(span),
            Telemetry::Arrived(span) => FromWorker::Arrived(span),
            Telemetry::Failed { run, reason } => FromWorker::Failed { run, reason },
            Telemetry::PeerLost { peer, reason } => FromWorker::PeerLost { peer, reason },
            Telemetry::PeerJoined { peer } => FromWorker::PeerJoined(peer),
            Telemetry::Status(status) => FromWorker::Status(WorkerStatus {
                worker: self.worker,
                cpu_percent: status.cpu_percent,
                delayed_percent: status.delayed_percent,
                reference_ms: status.reference_ms,
                temperature_c: status.temperature_c,
                throttle_percent: status.throttle_percent,
                link: status.link,
                memory: status.memory,
                memory_peak: status.memory_peak,
                dropped: status.dropped,
                refused: status.refused,
            }),
        }
    }
}
