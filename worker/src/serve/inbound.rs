//! Streams that others open: rows, probes, and the lab's requests.

use std::sync::Arc;

use collab_core::event::SpanKind;
use collab_core::id;
use collab_core::wire::{RowsHeader, StreamKind, Telemetry, WireError, WorkerSpan};
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};

use super::control;
use super::node::Node;
use crate::compute::{Arrival, Work};
use crate::probe;
use crate::streams::{Farewell, StreamError, read, read_body, read_kind};

/// Serves every stream of a connection, and gives the reason for which it ended.
pub(super) async fn serve(node: &Arc<Node>, from: id::Node, connection: &Connection) -> ConnectionError {
    loop {
        tokio::select! {
            stream = connection.accept_uni() => match stream {
                Ok(stream) => {
                    let (node, connection) = (node.clone(), connection.clone());
                    tokio::spawn(async move {
                        note(&connection, receive(&node, from, stream).await);
                    });
                }
                Err(error) => return error,
            },
            streams = connection.accept_bi() => match streams {
                Ok((send, receive)) => {
                    let (node, connection) = (node.clone(), connection.clone());
                    tokio::spawn(async move {
                        note(&connection, answer(&node, from, &connection, send, receive).await);
                    });
                }
                Err(error) => return error,
            },
        }
    }
}

/// Somebody who sends what is not understood is sent away; a stream that ended says so elsewhere.
fn note(connection: &Connection, outcome: Result<(), StreamError>) {
    match outcome {
        // The other side has our version and closes the connection itself.
        Err(StreamError::Wire(WireError::Version { .. })) => {}
        Err(StreamError::Wire(error)) => Farewell::Protocol.say(connection, &error.to_string()),
        Ok(()) | Err(StreamError::Ended(_)) => {}
    }
}

async fn answer(
    node: &Arc<Node>,
    from: id::Node,
    connection: &Connection,
    send: SendStream,
    mut receive: RecvStream,
) -> Result<(), StreamError> {
    match (read_kind(&mut receive).await?, from) {
        (StreamKind::Probe, _) => probe::answer(send, receive, node.clock, &node.egress).await,
        (StreamKind::Control, id::Node::Lab) => control::serve(node, connection, send, receive).await,
        _ => Err(WireError::NotCollab.into()),
    }
}

/// Receives a tensor's rows and gives them to the computing thread.
async fn receive(node: &Arc<Node>, from: id::Node, mut stream: RecvStream) -> Result<(), StreamError> {
    if read_kind(&mut stream).await? != StreamKind::Rows {
        return Err(WireError::NotCollab.into());
    }
    let header: RowsHeader = read(&mut stream).await?;
    let start_us = node.clock.now();
    let partition = node.registry.lock().expect("no holder panics").get(&header.partition).cloned();
    let unknown = || format!("{from} sent rows for partition {}, which is not prepared", header.partition);
    let admitted = partition.ok_or_else(unknown).and_then(|partition| {
        partition.check(from, &header)?;
        Ok((partition, node.budget.take(header.bytes)?))
    });
    let (partition, held) = match admitted {
        Ok(admitted) => admitted,
        Err(reason) => {
            // Fails only if the stream has ended already.
            let _ = stream.stop(VarInt::from_u32(0));
            node.reports.push(Telemetry::Failed { run: header.run, reason });
            return Ok(());
        }
    };
    let body = read_body(&mut stream, header.bytes).await?;
    let at_us = node.clock.now();
    node.reports.push(Telemetry::Arrived(WorkerSpan {
        run: header.run,
        kind: SpanKind::Receive,
        block: header.block,
        peer: Some(from),
        rows: header.rows,
        start_us,
        end_us: at_us,
        bytes: header.bytes,
    }));
    let arrival = Arrival { from, header, body, partition, at_us, held };
    node.compute.give(Work::Rows(Box::new(arrival)));
    Ok(())
}
