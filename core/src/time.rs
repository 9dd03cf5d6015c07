//! Moments and durations. Core never reads a clock; programs hand times in.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Microseconds, since the session's start where it is a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// From seconds; negative values become 0.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs.max(0.0) * 1e6).round() as u64)
    }

    /// As people write it: `4:47`, `1:02:03.5`, or plain seconds; `None` if it is no time or longer than 30 years.
    pub fn parse(text: &str) -> Option<Self> {
        let mut secs = 0.0;
        let mut fields = text.split(':').peekable();
        while let Some(field) = fields.next() {
            let is_last = fields.peek().is_none();
            let value = if is_last { field.parse().ok()? } else { f64::from(field.parse::<u32>().ok()?) };
            let is_in_range = value >= 0.0 && (!is_last || !text.contains(':') || value < 60.0);
            if !is_in_range || !field.starts_with(|first: char| first.is_ascii_digit()) {
                return None;
            }
            secs = secs * 60.0 + value;
        }
        (secs < 1e9).then(|| Self::from_secs_f64(secs))
    }

    /// In seconds.
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// In milliseconds.
    pub fn millis(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

impl From<std::time::Duration> for Micros {
    fn from(duration: std::time::Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Add for Micros {
    type Output = Micros;
    fn add(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }
}

/// Saturates at 0.
impl Sub for Micros {
    type Output = Micros;
    fn sub(self, other: Micros) -> Micros {
        Micros(self.0.saturating_sub(other.0))
    }
}

/// As `m:ss`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0 / 1_000_000;
        f.pad(&format!("{}:{:02}", secs / 60, secs % 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(Micros::parse("4:47"), Some(Micros(287_000_000)));
        assert_eq!(Micros::parse("1:02:03.5"), Some(Micros(3_723_500_000)));
        assert_eq!(Micros::parse("90.5"), Some(Micros(90_500_000)));
        for wrong in
            ["", ":", "4:", ":47", "4:60", "4:-1", "4:+7", "a:b", "-1:00", "+4:10", "4:inf", "nan", "1e99"]
        {
            assert_eq!(Micros::parse(wrong), None, "{wrong}");
        }
    }
}
