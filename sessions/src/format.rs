//! The names and numbers that make an MCAP file a session. The layout itself is told in the crate's head.

use collab_core::event::Channel;

/// The format's major version: a reader of one does not read another.
pub const MAJOR: u32 = 1;
/// The profile in the MCAP header is this, then [`MAJOR`].
pub(crate) const PROFILE: &str = "collab/";
/// Topic of the messages that hold the whole lab.
pub const KEYFRAME: &str = "keyframe";
/// Topic of the one message that says where the keyframes and the moments are.
pub const INDEX: &str = "index";

/// Event time between two keyframes, µs.
pub(crate) const KEYFRAME_EVERY: u64 = 5_000_000;
/// Events between two keyframes at most.
pub(crate) const KEYFRAME_EVENTS: u64 = 4096;
/// Event time that may pass before what was written is flushed, µs.
pub(crate) const FLUSH_EVERY: u64 = 1_000_000;
/// Bytes of JSON that may wait before they are flushed.
pub(crate) const FLUSH_BYTES: usize = 4 << 20;
/// The longest message, and half the longest chunk.
pub(crate) const MESSAGE_LIMIT: usize = 32 << 20;
/// The longest record a reader loads, compressed or not.
pub(crate) const RECORD_LIMIT: usize = 2 * MESSAGE_LIMIT + (1 << 20);

/// The JSON Schema of a channel's messages.
pub fn schema(channel: Channel) -> &'static str {
    match channel {
        Channel::Session => include_str!("../schemas/session.json"),
        Channel::Workers => include_str!("../schemas/workers.json"),
        Channel::Partitions => include_str!("../schemas/partitions.json"),
        Channel::Runs => include_str!("../schemas/runs.json"),
        Channel::Layers => include_str!("../schemas/layers.json"),
        Channel::Spans => include_str!("../schemas/spans.json"),
        Channel::Commands => include_str!("../schemas/commands.json"),
        Channel::Log => include_str!("../schemas/log.json"),
        Channel::Training => include_str!("../schemas/training.json"),
    }
}

/// The JSON Schema of keyframes.
pub(crate) const KEYFRAME_SCHEMA: &str = include_str!("../schemas/keyframe.json");
/// The JSON Schema of the index.
pub(crate) const INDEX_SCHEMA: &str = include_str!("../schemas/index.json");
