//! Requests on the control stream of a connection, and their answers, which may come in another order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use collab_core::wire::{self, Answered, Asked, Reply, Request};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::AskError;
use crate::streams::{self, Farewell, describe};

/// The lab's end of a control stream.
pub(super) struct Control {
    connection: Connection,
    requests: UnboundedSender<Vec<u8>>,
    next: AtomicU64,
    waiting: Waiting,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Reply>>>>;

impl Control {
    /// Sends requests and hands out answers until the connection ends, which it does at the first answer that cannot be
    /// read.
    pub(super) fn start(connection: Connection, mut send: SendStream, mut receive: RecvStream) -> Self {
        let (requests, mut queue) = unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            while let Some(frame) = queue.recv().await {
                if send.write_chunk(frame.into()).await.is_err() {
                    return;
                }
            }
        });
        let waiting = Waiting::default();
        let (answers, ended) = (waiting.clone(), connection.clone());
        tokio::spawn(async move {
            let error = loop {
                match streams::read::<Answered>(&mut receive).await {
                    Ok(Answered { sequence, reply }) => {
                        let asked = answers.lock().expect("no holder panics").remove(&sequence);
                        if let Some(asked) = asked {
                            // Whoever asked may have given up meanwhile.
                            let _ = asked.send(reply);
                        }
                    }
                    Err(error) => break error,
                }
            };
            Farewell::Protocol.say(&ended, &error.to_string());
            answers.lock().expect("no holder panics").clear();
        });
        Self { connection, requests, next: AtomicU64::new(1), waiting }
    }

    /// Sends a request and waits for the answer.
    pub(super) async fn ask(&self, request: Request, patience: Duration) -> Result<Reply, AskError> {
        let answer = self.post(request)?;
        self.wait(answer, patience).await
    }

    /// Sends a request; the answer comes later.
    pub(super) fn post(&self, request: Request) -> Result<oneshot::Receiver<Reply>, AskError> {
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = wire::encode(&Asked { sequence, request });
        let frame = frame.map_err(|error| AskError::Protocol(error.to_string()))?;
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().expect("no holder panics").insert(sequence, sender);
        // If the connection has ended, so will the wait for the answer.
        let _ = self.requests.send(frame);
        Ok(answer)
    }

    /// The answer to what was posted; a refusal is an error.
    pub(super) async fn wait(
        &self,
        answer: oneshot::Receiver<Reply>,
        patience: Duration,
    ) -> Result<Reply, AskError> {
        let ended = self.connection.closed();
        let reply = tokio::select! {
            reply = timeout(patience, answer) => reply.map_err(|_| AskError::TimedOut(patience))?.ok(),
            _ = ended => None,
        };
        match reply {
            Some(Reply::Refused { reason }) => Err(AskError::Refused(reason)),
            Some(reply) => Ok(reply),
            None => {
                let reason = self.connection.close_reason();
                let reason = reason.as_ref().map_or("no reason is known".to_owned(), describe);
                Err(AskError::Closed(reason))
            }
        }
    }
}
