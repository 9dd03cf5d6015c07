//! A node's own clock: µs since a moment it chose.

use std::time::Instant;

/// Counts from its epoch; copies count from the same one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock that shows 0 at `epoch`.
    pub fn since(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// A clock that shows 0 now.
    pub fn start() -> Self {
        Self::since(Instant::now())
    }

    /// µs since the epoch.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// What it showed at `moment`, µs; 0 before the epoch.
    pub fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }
}
