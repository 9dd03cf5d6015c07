//! What is true of a lab, whatever runs it: networks, partitions, schedules, predictions, events.
//!
//! No clock, socket, file, terminal or inference engine is in here; time, randomness and bytes are arguments, and so
//! is how many threads may help a search, whose answer does not depend on them.

pub mod command;
pub mod event;
pub mod id;
pub mod lab;
pub mod network;
pub mod partition;
pub mod plan;
pub mod predict;
pub mod rows;
pub mod schedule;
pub mod simulate;
pub mod time;
pub mod wire;
