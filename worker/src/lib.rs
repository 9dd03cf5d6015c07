//! A device: the link between nodes (both halves), serving a lab, throttling, host facts.
//!
//! - [`Server`] is the worker: it admits a lab, receives a network, prepares strips and executes schedules.
//! - [`client::Dialer`] and [`client::WorkerLink`] are the lab's half.
//! - [`program::run`] is the program `worker`, for anyone who wants to be one.

mod builder;
pub mod client;
mod clock;
mod compute;
mod egress;
pub mod emulation;
mod endpoint;
pub mod engine;
pub mod host;
pub mod keys;
mod memory;
pub mod pacing;
mod probe;
pub mod program;
mod rehearsal;
mod serve;
mod store;
mod streams;

pub use clock::Clock;
pub use compute::{Round, TimedStrip, calibrate, time_strips};
pub use egress::Egress;
pub use endpoint::EndpointError;
pub use probe::LinkSample;
pub use serve::{Server, ServerConfig};
