//! A worker's clock beside the lab's.

use std::time::Instant;

use collab_worker::client::Pong;

/// By how much two clocks may drift apart, µs a second.
const DRIFT: f64 = 50.0;

/// What is known of a worker's clock; nothing before it was first compared.
#[derive(Default)]
pub(super) struct Clock(Option<Compared>);

/// A comparison with the lab's.
struct Compared {
    /// The worker's minus the lab's, µs.
    offset_us: i64,
    /// By how much that may be wrong, µs.
    doubt_us: f64,
    /// When.
    at: Instant,
}

impl Clock {
    /// The worker's minus the lab's, µs; 0 before it is known.
    pub(super) fn offset_us(&self) -> i64 {
        self.0.as_ref().map_or(0, |known| known.offset_us)
    }

    /// Takes a comparison into account. One under load may be worse than an earlier one, until clocks may have drifted
    /// apart since.
    pub(super) fn compare(&mut self, pong: Pong, at: Instant) {
        let doubt_us = pong.rtt_us as f64 / 2.0;
        let known_us = self
            .0
            .as_ref()
            .map(|known| known.doubt_us + DRIFT * at.saturating_duration_since(known.at).as_secs_f64());
        if known_us.is_none_or(|known_us| doubt_us <= known_us) {
            self.0 = Some(Compared { offset_us: pong.offset_us, doubt_us, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_comparison_under_load_counts_only_once_clocks_may_have_drifted_as_far_apart() {
        let begun = Instant::now();
        let mut clock = Clock::default();
        let mut compare = |secs: u64, rtt_us: u64, offset_us: i64| {
            clock.compare(Pong { rtt_us, offset_us }, begun + Duration::from_secs(secs));
            clock.offset_us()
        };
        assert_eq!(compare(0, 200, 5_000), 5_000);
        assert_eq!(compare(2, 600, 9_000), 5_000, "by 300 µs it may be wrong, the one before by 200");
        assert_eq!(compare(4, 600, 9_000), 9_000, "by as much it may have drifted");
        assert_eq!(compare(5, 100, 5_100), 5_100);
    }
}
