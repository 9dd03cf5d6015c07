//! What stands in front of a tensor's rows, and of the bytes that measure a link.

use serde::{Deserialize, Serialize};

use super::{MAX_PROBE, MAX_ROWS, Message, check_rows};
use crate::id::{PartitionId, RunId};
use crate::network::Cut;
use crate::rows::Rows;

/// How values are written; always `outer × rows × inner`, as in [`Cut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// 32-bit floats, little end first.
    F32,
    /// 8-bit pixels that the worker normalises with the network's [`crate::network::Pixels`].
    U8,
}

impl Encoding {
    /// Bytes of one value.
    pub fn bytes(self) -> u64 {
        match self {
            Encoding::F32 => 4,
            Encoding::U8 => 1,
        }
    }

    /// Bytes of `rows` rows of a tensor.
    pub fn bytes_of(self, cut: Cut, rows: Rows) -> u64 {
        cut.row_values().saturating_mul(u64::from(rows.len())).saturating_mul(self.bytes())
    }
}

/// What stands in front of a tensor's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsHeader {
    /// The run they belong to.
    pub run: RunId,
    /// The partition by which it runs.
    pub partition: PartitionId,
    /// The block whose input they are; the number of blocks for the network's output.
    pub block: u32,
    /// Which rows.
    pub rows: Rows,
    /// How they are written.
    pub encoding: Encoding,
    /// Bytes that follow.
    pub bytes: u64,
}

impl Message for RowsHeader {
    const NAME: &'static str = "header of rows";

    fn check(&self) -> Result<(), String> {
        check_rows(self.rows)?;
        if self.rows.is_empty() || self.bytes == 0 {
            return Err("there are no rows".to_owned());
        }
        if self.bytes > MAX_ROWS {
            return Err(format!("{} bytes are more than the {MAX_ROWS} allowed", self.bytes));
        }
        Ok(())
    }
}

/// What stands in front of the bytes that measure a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Bytes that follow.
    pub bytes: u64,
}

impl Message for Probe {
    const NAME: &'static str = "probe";

    fn check(&self) -> Result<(), String> {
        if self.bytes > MAX_PROBE {
            return Err(format!("{} bytes are more than the {MAX_PROBE} allowed", self.bytes));
        }
        Ok(())
    }
}

/// The answer to a probe, on its receiver's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeEcho {
    /// When its header was read, µs.
    pub received_us: u64,
    /// When its last byte was read and this answer was written, µs.
    pub answered_us: u64,
    /// What the receiver's emulated link adds to rows and not to this answer, µs.
    pub delay_us: u64,
}

impl Message for ProbeEcho {
    const NAME: &'static str = "answer to a probe";

    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
