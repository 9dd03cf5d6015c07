//! Sessions.

mod chunk;
mod cursor;
pub mod export;
mod fields;
mod format;
mod index;
mod open;
mod record;
mod session;
mod source;

pub use chunk::Damage;
pub use cursor::{Cursor, Stepped};
pub use format::{INDEX, KEYFRAME, MAJOR, schema};
pub use index::{Moment, MomentKind};
pub use open::{Completeness, OpenError, Problem};
pub use record::{RecordError, Recorded, Recorder};
pub use session::{Entry, ReadError, Session};
pub use source::ReadSeek;
