//! Measuring a link: round trip and clock offset from four timestamps, rate from a burst of bytes.

use std::time::Duration;

use bytes::Bytes;
use collab_core::wire::{Probe, ProbeEcho};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::egress::{Egress, SentAt, Target};
use crate::streams::{self, StreamError, priority};

/// How many round trips are made to find the shortest.
const ROUNDS: usize = 5;
const ROUND_TIMEOUT: Duration = Duration::from_secs(2);
const BURST_TIMEOUT: Duration = Duration::from_secs(20);

/// What was found about a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkSample {
    /// The shortest round trip, µs, with what emulated links add at both ends.
    pub rtt_us: u64,
    /// The other node's clock minus this one's, µs; wrong by at most half the unevenness of the two ways.
    pub offset_us: i64,
    /// Mbit/s; `None` if no bytes were sent, or too few to tell.
    pub rate_mbps: Option<f64>,
}

/// One exchange of four timestamps, µs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// Asked, on this clock.
    pub(crate) asked: u64,
    /// Received, on the other clock.
    pub(crate) received: u64,
    /// Answered, on the other clock.
    pub(crate) answered: u64,
    /// The answer received, on this clock.
    pub(crate) back: u64,
}

impl Exchange {
    /// Time spent on the way, µs.
    pub(crate) fn rtt(self) -> u64 {
        self.back.saturating_sub(self.asked).saturating_sub(self.answered.saturating_sub(self.received))
    }

    /// The other clock minus this one, µs.
    pub(crate) fn offset(self) -> i64 {
        let there = i128::from(self.received) + i128::from(self.answered);
        let here = i128::from(self.asked) + i128::from(self.back);
        ((there - here) / 2) as i64
    }
}

/// Answers a probe whose stream kind was read.
pub(crate) async fn answer(
    mut send: SendStream,
    mut receive: RecvStream,
    clock: Clock,
    egress: &Egress,
) -> Result<(), StreamError> {
    let probe: Probe = streams::read(&mut receive).await?;
    let received_us = clock.now();
    let mut left = probe.bytes;
    while left > 0 {
        let ended = |what: &str| StreamError::Ended(format!("the probe {what}"));
        let chunk = receive.read_chunk(usize::MAX, true).await.map_err(|error| ended(&error.to_string()))?;
        let length = chunk.ok_or_else(|| ended("ended early"))?.bytes.len() as u64;
        left = left.checked_sub(length).ok_or_else(|| ended("is longer than announced"))?;
    }
    let answered_us = clock.now();
    let delay_us = egress.delay_us();
    streams::write(&mut send, &ProbeEcho { received_us, answered_us, delay_us }).await?;
    // The other side may have stopped reading after the answer.
    let _ = send.finish();
    Ok(())
}

/// Measures the link behind a connection. `bytes` go over the emulated line, the round trips do not.
pub(crate) async fn measure(
    connection: &Connection,
    egress: &Egress,
    clock: Clock,
    bytes: u64,
) -> Result<LinkSample, String> {
    let late = |_| "the other side does not answer probes".to_owned();
    let mut best: Option<(Exchange, u64)> = None;
    for _ in 0..ROUNDS {
        let round = timeout(ROUND_TIMEOUT, round_trip(connection, clock)).await.map_err(late)?;
        let (exchange, delay) = round.map_err(|error| error.to_string())?;
        if best.is_none_or(|(best, _)| exchange.rtt() < best.rtt()) {
            best = Some((exchange, delay));
        }
    }
    let (exchange, there) = best.ok_or("no round trip was made")?;
    let rate_mbps = match bytes {
        0 => None,
        bytes => {
            let back = Duration::from_micros(exchange.rtt() + egress.delay_us());
            timeout(BURST_TIMEOUT, burst(connection, egress, bytes, back)).await.map_err(late)??
        }
    };
    let rtt_us = exchange.rtt() + there + egress.delay_us();
    Ok(LinkSample { rtt_us, offset_us: exchange.offset(), rate_mbps })
}

async fn round_trip(connection: &Connection, clock: Clock) -> Result<(Exchange, u64), StreamError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    let head = streams::probe_head(Probe { bytes: 0 })?;
    let asked = clock.now();
    send.write_chunk(head.into()).await?;
    let _ = send.finish();
    let echo: ProbeEcho = streams::read(&mut receive).await?;
    let back = clock.now();
    let ProbeEcho { received_us: received, answered_us: answered, delay_us } = echo;
    Ok((Exchange { asked, received, answered, back }, delay_us))
}

/// Sends bytes over the line and takes the time until the answer; `way` of it was not spent on the bytes.
async fn burst(
    connection: &Connection,
    egress: &Egress,
    bytes: u64,
    way: Duration,
) -> Result<Option<f64>, String> {
    let (send, mut receive) = connection.open_bi().await.map_err(|error| streams::describe(&error))?;
    // Fails only if the stream is closed, which the first write says better.
    let _ = send.set_priority(priority::PROBE);
    let head = streams::probe_head(Probe { bytes }).map_err(|error| error.to_string())?;
    let body = Bytes::from(vec![0u8; bytes as usize]);
    let (done, sent) = oneshot::channel();
    let tell = move |outcome: Result<SentAt, String>| {
        // Nobody waits any more if the measurement was given up.
        let _ = done.send(outcome);
    };
    egress.send(Target::Open(send), head, body, Box::new(tell));
    let sent = sent.await.map_err(|_| "the probe was given up")??;
    let _: ProbeEcho = streams::read(&mut receive).await.map_err(|error| error.to_string())?;
    let took = sent.start.elapsed().saturating_sub(way);
    // Fewer bytes than fit into one packet say nothing about the rate.
    let tells = bytes >= 1200 && !took.is_zero();
    Ok(tells.then(|| bytes as f64 * 8.0 / (took.as_secs_f64() * 1e6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_timestamps_give_round_trip_and_offset() {
        // The other clock is 5000 µs ahead; 300 µs each way; 100 µs to answer.
        let exchange = Exchange { asked: 1000, received: 6300, answered: 6400, back: 1700 };
        assert_eq!((exchange.rtt(), exchange.offset()), (600, 5000));
        let behind = Exchange { asked: 9000, received: 300, answered: 300, back: 9600 };
        assert_eq!((behind.rtt(), behind.offset()), (600, -9000));
    }
}
