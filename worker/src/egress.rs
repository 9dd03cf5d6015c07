//! Everything large that a node sends: one line for the whole device, paced where a link is emulated.
//!
//! The line is a thread of its own that sleeps, because the I/O runtime's timers are too coarse. Control
//! and telemetry do not pass through here: they are small.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use collab_core::event::LinkShape;
use quinn::{Connection, SendStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::pacing::{Pacer, Piece, Slot};
use crate::streams::StreamError;

/// Where a transfer goes.
pub(crate) enum Target {
    /// A new one-way stream of this connection, with this priority.
    Uni(Connection, i32),
    /// A stream that is open already.
    Open(SendStream),
}

/// When a transfer was on the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentAt {
    /// Its first byte entered the line.
    pub(crate) start: Instant,
    /// Its last byte left it: was taken by the transport, without an emulated delay.
    pub(crate) end: Instant,
}

/// What is told once a transfer has left, or why it has not.
pub(crate) type Done = Box<dyn FnOnce(Result<SentAt, String>) + Send>;

/// A device's line. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct Egress {
    line: Arc<Mutex<Pacer>>,
    jobs: Sender<Job>,
    epoch: Instant,
    runtime: Handle,
}

struct Job {
    slot: Slot,
    body: Bytes,
    pieces: UnboundedSender<Bytes>,
}

/// A piece that waits for its time.
struct Due {
    at: Duration,
    bytes: Bytes,
    to: UnboundedSender<Bytes>,
}

impl Egress {
    /// Starts the line. Streams are written on the tokio runtime that this is called in.
    pub fn start(link: LinkShape) -> Self {
        let (jobs, inbox) = channel();
        let epoch = Instant::now();
        thread::spawn(move || run_line(&inbox, epoch));
        Self { line: Arc::new(Mutex::new(Pacer::new(link))), jobs, epoch, runtime: Handle::current() }
    }

    /// Paces what is sent from now on.
    pub fn set_link(&self, link: LinkShape) {
        self.line.lock().expect("no holder panics").set_link(link);
    }

    /// What an emulated link adds to every transfer, µs.
    pub(crate) fn delay_us(&self) -> u64 {
        (self.link().delay_ms * 1e3) as u64
    }

    /// What paces it now.
    pub fn link(&self) -> LinkShape {
        self.line.lock().expect("no holder panics").link()
    }

    /// Puts a transfer on the line; returns at once.
    pub(crate) fn send(&self, target: Target, head: Vec<u8>, body: Bytes, done: Done) {
        let bytes = (head.len() + body.len()) as u64;
        let mut line = self.line.lock().expect("no holder panics");
        let now = self.epoch.elapsed();
        if line.is_free(now) {
            drop(line);
            self.runtime.spawn(write_whole(target, head, body, done));
            return;
        }
        let slot = line.admit(now, bytes);
        let (pieces, ready) = unbounded_channel();
        // Sent under the lock, so that the line sees jobs in the order of their slots.
        let sent = self.jobs.send(Job { slot, body, pieces });
        drop(line);
        match sent {
            Ok(()) => {
                let delay = slot.delay;
                let start = self.epoch + slot.start;
                self.runtime.spawn(write_pieces(target, head, ready, start, delay, done));
            }
            Err(_) => done(Err("the sending thread has ended".to_owned())),
        }
    }
}

/// Hands pieces on when they are due, until the last [`Egress`] is gone.
fn run_line(inbox: &Receiver<Job>, epoch: Instant) {
    let mut waiting: VecDeque<Due> = VecDeque::new();
    loop {
        let job = match waiting.front() {
            None => match inbox.recv() {
                Ok(job) => Some(job),
                Err(_) => return,
            },
            Some(due) => match inbox.recv_timeout(due.at.saturating_sub(epoch.elapsed())) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(due.at.saturating_sub(epoch.elapsed()));
                    None
                }
            },
        };
        if let Some(job) = job {
            let mut start = 0;
            for Piece { end, due } in job.slot.pieces(job.body.len() as u64) {
                let bytes = job.body.slice(start as usize..end as usize);
                waiting.push_back(Due { at: due, bytes, to: job.pieces.clone() });
                start = end;
            }
        }
        let now = epoch.elapsed();
        // Not searched for: a link that is made quicker meanwhile has later pieces due before earlier ones.
        let ripe = waiting.iter().take_while(|due| due.at <= now).count();
        for due in waiting.drain(..ripe) {
            // The stream may have failed; what waits for it is then of no use to anyone.
            let _ = due.to.send(due.bytes);
        }
    }
}

async fn open(target: Target) -> Result<SendStream, StreamError> {
    match target {
        Target::Open(stream) => Ok(stream),
        Target::Uni(connection, priority) => {
            let stream = connection.open_uni().await?;
            // Fails only if the stream is closed, which the first write says better.
            let _ = stream.set_priority(priority);
            Ok(stream)
        }
    }
}

async fn write_whole(target: Target, head: Vec<u8>, body: Bytes, done: Done) {
    let start = Instant::now();
    let written = async {
        let mut stream = open(target).await?;
        stream.write_all_chunks(&mut [head.into(), body]).await?;
        finish(stream);
        Ok::<(), StreamError>(())
    };
    let outcome = written.await.map_err(|error| error.to_string());
    done(outcome.map(|()| SentAt { start, end: Instant::now() }));
}

async fn write_pieces(
    target: Target,
    head: Vec<u8>,
    mut ready: UnboundedReceiver<Bytes>,
    start: Instant,
    delay: Duration,
    done: Done,
) {
    let written = async {
        // The head travels with the first piece: a receiver must not see a transfer before it is due.
        let first = ready.recv().await;
        let mut stream = open(target).await?;
        stream.write_all_chunks(&mut [head.into(), first.unwrap_or_default()]).await?;
        while let Some(piece) = ready.recv().await {
            stream.write_chunk(piece).await?;
        }
        finish(stream);
        Ok::<(), StreamError>(())
    };
    let outcome = written.await.map_err(|error| error.to_string());
    let end = Instant::now().checked_sub(delay).map_or(start, |end| end.max(start));
    done(outcome.map(|()| SentAt { start, end }));
}

fn finish(mut stream: SendStream) {
    // Fails only if the other side stopped reading, and then nobody waits for the end.
    let _ = stream.finish();
}
