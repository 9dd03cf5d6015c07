//! What is told of a worker: who it is, what it runs on, how it is.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, WorkerId};

/// A worker as it introduced itself; as long as it never did, with its address's host for a name, and nothing of its device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its place in the fleet.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its engine and what that chose for the device.
    #[serde(default)]
    pub engine: String,
    /// Its device.
    pub host: Host,
    /// What it emulates, if it does.
    pub emulation: Option<Emulation>,
    /// Bytes of memory it allows itself; `None` is no limit.
    pub memory_limit: Option<u64>,
}

/// A worker's device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The processor's name.
    pub cpu: String,
    /// Its architecture and widest vector extension used: `x86_64 avx512`.
    pub isa: String,
    /// Processors.
    pub cores: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Operating system.
    pub os: String,
    /// What chooses its frequency, if that is known: `performance`, `ondemand`, …
    #[serde(default)]
    pub governor: String,
}

/// A slower device than the real one; always shown as emulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emulation {
    /// The preset's name, or `×4`.
    pub name: String,
    /// Compute time is the real CPU time times this.
    pub slowdown: f64,
    /// The link it sends over.
    pub link: LinkShape,
}

/// What paces a node's sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkShape {
    /// Mbit/s; `None` does not pace.
    pub rate_mbps: Option<f64>,
    /// Added one-way delay, ms.
    pub delay_ms: f64,
}

impl LinkShape {
    /// Rates that can be paced, Mbit/s.
    pub const RATES_MBPS: RangeInclusive<f64> = 0.001..=1e6;
    /// Delays that can be added, ms.
    pub const DELAYS_MS: RangeInclusive<f64> = 0.0..=10_000.0;
}

/// A worker's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Which.
    pub worker: WorkerId,
    /// Of one core, over the last second; emulated workers count stretched time as busy.
    pub cpu_percent: f64,
    /// Over the last seconds, how much longer computing took because other programs had the processor, %.
    #[serde(default)]
    pub delayed_percent: f64,
    /// What its reference strip took when it was last idle, ms, throttled as it is; `None` if it was not idle since
    /// the report before.
    #[serde(default)]
    pub reference_ms: Option<f64>,
    /// Of the hottest sensor, if there is one.
    pub temperature_c: Option<f64>,
    /// CPU share it runs at, 1…100.
    pub throttle_percent: f64,
    /// What paces its sending now.
    pub link: LinkShape,
    /// Resident bytes.
    pub memory: u64,
    /// The most bytes that it had resident at once since it started; 0 where that cannot be told.
    #[serde(default)]
    pub memory_peak: u64,
    /// Telemetry messages it dropped since it started.
    pub dropped: u64,
    /// Connections it refused since it started.
    pub refused: u64,
}
