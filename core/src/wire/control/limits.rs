//! What may stand in a request or an answer: what comes from the other side is not believed before.

use super::{
    Answered, Asked, LinkShape, NetworkOptions, Partition, Reply, Request, StatusReport, TimedLayer,
};
use crate::id::WorkerId;
use crate::wire::telemetry::check_times;
use crate::wire::{
    MAX_BLOCKS, MAX_CALIBRATION_MS, MAX_CHUNK, MAX_NETWORK, MAX_PROBE, MAX_ROW, MAX_TEXT, MAX_TIMED, Message,
    check_count, check_number, check_text,
};

impl TimedLayer {
    fn check(&self) -> Result<(), String> {
        check_count("rows", self.rows as usize, MAX_ROW as usize)?;
        check_number("time", f64::from(self.ms), 0.0..=1e9)
    }
}

impl StatusReport {
    pub(in crate::wire) fn check(&self) -> Result<(), String> {
        check_number("CPU", self.cpu_percent, 0.0..=1e5)?;
        check_number("delay", self.delayed_percent, 0.0..=1e9)?;
        check_number("reference", self.reference_ms.unwrap_or(0.0), 0.0..=1e9)?;
        check_number("temperature", self.temperature_c.unwrap_or(0.0), -300.0..=1e4)?;
        check_number("throttle", self.throttle_percent, 1.0..=100.0)?;
        check_link(&self.link)
    }
}

fn check_link(link: &LinkShape) -> Result<(), String> {
    check_number("link rate", link.rate_mbps.unwrap_or(1.0), LinkShape::RATES_MBPS)?;
    check_number("link delay", link.delay_ms, LinkShape::DELAYS_MS)
}

/// Fails unless every block has rows in order for somebody.
pub(crate) fn check_partition(partition: &Partition) -> Result<(), String> {
    check_count("blocks", partition.blocks.len(), MAX_BLOCKS)?;
    for block in &partition.blocks {
        check_count("workers", block.bounds.len(), WorkerId::MAX + 1)?;
        if block.bounds.len() < 2 {
            return Err("a block without workers".to_owned());
        }
        if block.bounds.iter().any(|&bound| bound > MAX_ROW) || !block.bounds.is_sorted() {
            return Err("rows out of order".to_owned());
        }
    }
    Ok(())
}

fn check_options(options: &NetworkOptions) -> Result<(), String> {
    check_text("name", &options.name)?;
    if let Some(pixels) = &options.pixels {
        check_count("channels", pixels.mean.len().max(pixels.std.len()), MAX_TEXT)?;
        if pixels.std.iter().chain(&pixels.mean).any(|value| !value.is_finite()) {
            return Err("pixels are normalised by a number that is none".to_owned());
        }
    }
    let shape = options.input_shape.as_deref().unwrap_or_default();
    check_count("axes", shape.len(), 16)
}

impl Message for Asked {
    const NAME: &'static str = "request";

    fn check(&self) -> Result<(), String> {
        match &self.request {
            Request::Hello(hello) => {
                check_text("name", &hello.name)?;
                check_text("version", &hello.version)
            }
            Request::Offer(offer) => {
                check_options(&offer.options)?;
                if offer.bytes == 0 || offer.bytes > MAX_NETWORK {
                    return Err(format!("a network of {} bytes, allowed are 1…{MAX_NETWORK}", offer.bytes));
                }
                Ok(())
            }
            Request::Chunk { data, .. } => check_count("bytes", data.len(), MAX_CHUNK),
            Request::Introduce { me, peers } => {
                check_count("peers", peers.len(), WorkerId::MAX)?;
                peers.iter().try_for_each(|peer| check_text("address", &peer.address))?;
                let highest = peers.iter().map(|peer| peer.worker).chain([*me]).max();
                check_count("worker", highest.map_or(0, WorkerId::index), WorkerId::MAX - 1)
            }
            Request::Prepare { plan, .. } => check_partition(plan),
            Request::Throttle { percent } => check_number("throttle", *percent, 1.0..=100.0),
            Request::Link(link) => check_link(link),
            Request::Calibrate { budget_ms } if !(1..=MAX_CALIBRATION_MS).contains(budget_ms) => {
                Err(format!("a calibration of {budget_ms} ms, allowed are 1…{MAX_CALIBRATION_MS}"))
            }
            Request::Probe { bytes, .. } if *bytes > MAX_PROBE => {
                Err(format!("{bytes} bytes are more than the {MAX_PROBE} allowed"))
            }
            Request::Pair { .. }
            | Request::Load
            | Request::Rehearse { .. }
            | Request::Drop { .. }
            | Request::Cancel { .. }
            | Request::Ping
            | Request::Probe { .. }
            | Request::Calibrate { .. }
            | Request::Status => Ok(()),
        }
    }
}

impl Message for Answered {
    const NAME: &'static str = "answer";

    fn check(&self) -> Result<(), String> {
        match &self.reply {
            Reply::Welcome(hello) => {
                let host = &hello.host;
                let texts = [&hello.name, &hello.version, &hello.engine, &host.cpu, &host.isa, &host.os];
                texts.into_iter().chain([&host.governor]).try_for_each(|text| check_text("hello", text))?;
                let Some(emulation) = &hello.emulation else { return Ok(()) };
                check_text("emulation", &emulation.name)?;
                check_number("slowdown", emulation.slowdown, 1.0..=1e4)?;
                check_link(&emulation.link)
            }
            Reply::Loaded { cuts } => check_count("cuts", cuts.len(), MAX_BLOCKS + 1),
            Reply::Prepared { ms, .. } => check_number("time", *ms, 0.0..=1e9),
            Reply::Rehearsed { times } => check_times(times.as_slice()),
            Reply::Probed { rate_mbps, .. } => check_number("rate", rate_mbps.unwrap_or(1.0), 1e-6..=1e9),
            Reply::Status(status) => status.check(),
            Reply::Calibrated { layers, ms, .. } => {
                check_count("timed layers", layers.len(), MAX_TIMED)?;
                layers.iter().try_for_each(TimedLayer::check)?;
                check_number("time", *ms, 0.0..=1e9)
            }
            Reply::Refused { reason } => check_text("reason", reason),
            Reply::Paired { .. } | Reply::Holding { .. } | Reply::Done | Reply::Pong { .. } => Ok(()),
        }
    }
}
