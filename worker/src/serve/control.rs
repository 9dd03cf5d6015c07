//! What a lab asks, and the answers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use collab_core::id;
use collab_core::wire::{Answered, Asked, Preface, Reply, Request};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc::channel;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::node::Node;
use super::peers;
use crate::builder::Job;
use crate::compute::Work;
use crate::streams::{self, Farewell, StreamError, priority, read_preface, write_preface};
use crate::{probe, rehearsal};

/// How many requests a lab may have open; further ones wait in the stream.
const OPEN_REQUESTS: usize = 64;
/// How long a lab of another version may take to read ours.
const PARTING: Duration = Duration::from_secs(1);

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Exchanges prefaces; if the versions differ, the other side is given time to read ours.
pub(super) async fn greet(
    connection: &Connection,
    send: &mut SendStream,
    receive: &mut RecvStream,
) -> Result<(), StreamError> {
    write_preface(send).await?;
    let theirs = read_preface(receive).await?;
    if let Err(error) = Preface::ours().check(theirs) {
        // Whether it closes the connection or not, it gets the sentence too.
        let _ = timeout(PARTING, connection.closed()).await;
        Farewell::Version.say(connection, &error.to_string());
        return Err(error.into());
    }
    Ok(())
}

/// Answers requests until the stream ends.
pub(super) async fn serve(
    node: &Arc<Node>,
    connection: &Connection,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), StreamError> {
    // Fails only if the stream is closed, which the first write says better.
    let _ = send.set_priority(priority::CONTROL);
    greet(connection, &mut send, &mut receive).await?;
    let (answers, mut ready) = channel::<Answered>(OPEN_REQUESTS);
    tokio::spawn(async move {
        while let Some(answer) = ready.recv().await {
            if streams::write(&mut send, &answer).await.is_err() {
                return;
            }
        }
    });
    loop {
        let Asked { sequence, request } = streams::read(&mut receive).await?;
        let Ok(place) = answers.clone().reserve_owned().await else { return Ok(()) };
        // Begun here, in the order of the requests; only the waiting is left to the task.
        let answer = begin(node, request);
        tokio::spawn(async move {
            place.send(Answered { sequence, reply: answer.await });
        });
    }
}

fn now(reply: Reply) -> Answer {
    Box::pin(std::future::ready(reply))
}

fn refused(reason: impl Into<String>) -> Reply {
    Reply::Refused { reason: reason.into() }
}

fn built(answer: oneshot::Receiver<Reply>) -> Answer {
    Box::pin(async { answer.await.unwrap_or_else(|_| refused("the worker is stopping")) })
}

fn begin(node: &Arc<Node>, request: Request) -> Answer {
    match request {
        Request::Hello(_) => now(Reply::Welcome(node.hello())),
        Request::Pair { .. } => now(refused("this lab's key is admitted already")),
        Request::Offer(offer) => built(node.builder.give(Job::Offer(offer))),
        Request::Chunk { offset, data } => built(node.builder.give(Job::Chunk { offset, data })),
        Request::Load => built(node.builder.give(Job::Load)),
        Request::Introduce { me, peers } => {
            let node = node.clone();
            Box::pin(async move {
                match peers::introduce(node, me, peers).await {
                    Ok(()) => Reply::Done,
                    Err(reason) => refused(reason),
                }
            })
        }
        Request::Prepare { partition, plan } => match node.peers.fleet() {
            Some(fleet) => built(node.builder.give(Job::Prepare { partition, plan, fleet })),
            None => now(refused("the workers were not introduced")),
        },
        Request::Rehearse { partition, block, is_last } => {
            let known = node.registry.lock().expect("no holder panics").get(&partition).cloned();
            let Some(prepared) = known else {
                return now(refused(format!("partition {partition} is not prepared")));
            };
            let compute = node.compute.clone();
            let rehearsing =
                spawn_blocking(move || rehearsal::block(&compute, &prepared, block as usize, is_last));
            Box::pin(async move {
                match rehearsing.await {
                    Ok(times) => Reply::Rehearsed { times },
                    Err(_) => refused("the worker is stopping"),
                }
            })
        }
        Request::Drop { partition } => built(node.builder.give(Job::Drop(partition))),
        Request::Cancel { run } => {
            node.compute.give(Work::Cancel(run));
            now(Reply::Done)
        }
        Request::Throttle { percent } => {
            node.compute.throttle.set(percent);
            now(Reply::Done)
        }
        Request::Link(link) => {
            node.egress.set_link(link);
            now(Reply::Done)
        }
        Request::Ping => {
            let received_us = node.clock.now();
            let delay_us = node.egress.delay_us();
            now(Reply::Pong { received_us, answered_us: node.clock.now(), delay_us })
        }
        Request::Probe { to, bytes } => measure(node.clone(), to, bytes),
        Request::Calibrate { budget_ms } => {
            let (answer, calibrated) = oneshot::channel();
            let budget = Duration::from_millis(u64::from(budget_ms));
            node.compute.give(Work::Calibrate { engine: node.engine.clone(), budget, answer });
            built(calibrated)
        }
        Request::Status => now(Reply::Status(node.status())),
    }
}

fn measure(node: Arc<Node>, to: id::Node, bytes: u64) -> Answer {
    Box::pin(async move {
        let connection = node.routes.lock().expect("no holder panics").get(&to).cloned();
        let Some(connection) = connection else {
            return refused(format!("there is no link to {to}"));
        };
        match probe::measure(&connection, &node.egress, node.clock, bytes).await {
            Ok(probe::LinkSample { rtt_us, offset_us, rate_mbps }) => {
                Reply::Probed { rtt_us, offset_us, rate_mbps }
            }
            Err(reason) => refused(reason),
        }
    })
}
