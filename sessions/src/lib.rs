//! Sessions: everything a lab recorded, in a file that any MCAP tool opens.
//!
//! Owns the file format: [`Recorder`] writes it, [`Session`] and [`Cursor`] read it, [`mod@export`] turns it
//! into tables, a trace or JSON lines. Knows no clock, no screen and no link. It is the only crate that knows
//! MCAP.
//!
//! # The file
//!
//! [MCAP](https://mcap.dev/spec), profile `collab/1`, the number being the format's major version. Every
//! message is JSON, has a JSON Schema in the file, and is one of three kinds:
//!
//! | topic | messages |
//! |---|---|
//! | `session`, `workers`, `partitions`, `runs`, `layers`, `spans`, `commands`, `log`, `training` | events, one a message: `at` (µs since the session's start), `event` (what happened), and the fields of that event |
//! | `keyframe` | everything true of the lab just before the next event: what the events so far fold to |
//! | `index` | the last message of a finished file: where keyframes and moments are |
//!
//! A message's log time is 1000 × the session's time in µs: the latest `at` so far, so that log times never
//! go back even if a report was stamped a little early. Its sequence number is the number of events before it.
//! Times count from the session's start; `started_unix_ms` in the first event says when that was.
//!
//! Messages are in chunks compressed with zstd, with a CRC each; there are no message indexes. A chunk is what
//! was flushed at once: after each command, after each event that changes the session, the fleet or the
//! partition, and otherwise after a second. A chunk goes to the operating system in one piece, so what was
//! flushed survives the end of the process, and a cut at any byte costs at most the chunk it falls into.
//!
//! Some chunks begin with a keyframe: the first one; one after 4096 events; and one when 5 s have passed and
//! the events since weigh as much as the keyframe, so that keyframes at most double a file. To see the lab at
//! some time, read the last keyframe at or before it and fold the events after it, in the order of the file.
//!
//! A file that was not finished has no summary and no index. [`Session::open`] then reads chunk after chunk up
//! to the first that is not whole, and says so. Events of kinds that a program does not know are kept: they
//! change nothing in its fold and are exported as they are. A keyframe it does not understand, or of a lab that cannot
//! have been, is replaced by folding from an earlier one.
//!
//! ```text
//! magic · header · chunk (schemas, channels, keyframe, events) · chunk (events) · … ·
//! chunk (keyframe, events) · … · chunk (index) · data end · summary (schemas, channels, statistics, chunk
//! indexes) · footer · magic
//! ```
//!
//! With the `mcap` command line tool: `mcap info FILE`, `mcap cat FILE --topics runs --json`,
//! `mcap recover FILE -o WHOLE`.

mod chunk;
mod cursor;
pub mod export;
mod fields;
mod format;
mod index;
mod keyframe;
mod open;
mod record;
mod session;
mod source;

pub use chunk::Damage;
pub use cursor::{Cursor, Stepped};
pub use format::{INDEX, KEYFRAME, MAJOR, schema};
pub use index::{Moment, MomentKind};
pub use keyframe::read_keyframe;
pub use open::{Completeness, OpenError, Problem};
pub use record::{RecordError, Recorded, Recorder};
pub use session::{Entry, ReadError, Session};
pub use source::ReadSeek;
