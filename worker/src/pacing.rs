//! When bytes leave over an emulated link: pure bookkeeping, without a clock.

use std::time::Duration;

use collab_core::event::LinkShape;

/// A link that sends one transfer after another at a rate, and delivers each byte a delay later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pacer {
    link: LinkShape,
    free_at: Duration,
}

/// A transfer's time on the line, since some epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its first byte enters the line.
    pub start: Duration,
    /// Its last byte has left the line.
    pub end: Duration,
    /// Added to both until it is there.
    pub delay: Duration,
}

/// A piece of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// One past its last byte within the transfer.
    pub end: u64,
    /// When its last byte is there; only then it is handed on.
    pub due: Duration,
}

impl Pacer {
    /// A piece takes about this long, so that the receiver sees a flow rather than one lump…
    const PIECE: Duration = Duration::from_micros(500);
    /// …but is at least this long, so that slow links do not drown in pieces…
    const SHORTEST: u64 = 4 << 10;
    /// …and at most this.
    const LONGEST: u64 = 64 << 10;

    /// A link that is free from the epoch on.
    pub fn new(link: LinkShape) -> Self {
        Self { link, free_at: Duration::ZERO }
    }

    /// Changes the link for what is admitted from now on.
    pub fn set_link(&mut self, link: LinkShape) {
        self.link = link;
    }

    /// What it emulates.
    pub fn link(&self) -> LinkShape {
        self.link
    }

    /// Whether bytes leave at once.
    pub fn is_free(&self, now: Duration) -> bool {
        self.link.rate_mbps.is_none() && self.link.delay_ms <= 0.0 && self.free_at <= now
    }

    /// Gives a transfer of `bytes` the line: when it is free, not before `now`.
    pub fn admit(&mut self, now: Duration, bytes: u64) -> Slot {
        let start = self.free_at.max(now);
        let takes = match self.link.rate_mbps {
            Some(rate) if rate > 0.0 => Duration::from_secs_f64(bytes as f64 * 8.0 / (rate * 1e6)),
            _ => Duration::ZERO,
        };
        self.free_at = start + takes;
        let delay = Duration::from_secs_f64(self.link.delay_ms.max(0.0) / 1e3);
        Slot { start, end: self.free_at, delay }
    }
}

impl Slot {
    /// The pieces in which `bytes` are handed on; the last one is due at the end plus the delay.
    pub fn pieces(self, bytes: u64) -> impl Iterator<Item = Piece> {
        let takes = self.end - self.start;
        let count = if takes.is_zero() {
            1
        } else {
            let wanted = bytes as f64 * Pacer::PIECE.as_secs_f64() / takes.as_secs_f64();
            let length = (wanted as u64).clamp(Pacer::SHORTEST, Pacer::LONGEST);
            bytes.div_ceil(length).max(1)
        };
        (1..=count).map(move |index| {
            let end = (u128::from(bytes) * u128::from(index) / u128::from(count)) as u64;
            let share = if bytes == 0 { 1.0 } else { end as f64 / bytes as f64 };
            Piece { end, due: self.start + takes.mul_f64(share) + self.delay }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(rate: f64, delay_ms: f64) -> LinkShape {
        LinkShape { rate_mbps: Some(rate), delay_ms }
    }

    #[test]
    fn the_last_byte_leaves_at_the_start_plus_bytes_by_rate_and_is_there_a_delay_later() {
        let mut pacer = Pacer::new(link(40.0, 3.0));
        let slot = pacer.admit(Duration::from_millis(10), 50_000);
        assert_eq!((slot.start, slot.end), (Duration::from_millis(10), Duration::from_millis(20)));
        let last = slot.pieces(50_000).last().unwrap();
        assert_eq!((last.end, last.due), (50_000, Duration::from_millis(23)));
    }

    #[test]
    fn the_delay_of_one_transfer_does_not_hold_up_the_next() {
        let mut pacer = Pacer::new(link(8.0, 100.0));
        let first = pacer.admit(Duration::ZERO, 1000);
        let second = pacer.admit(Duration::ZERO, 1000);
        assert_eq!(second.start, first.end);
        assert_eq!(second.end, Duration::from_millis(2));
        assert!(!Pacer::new(link(8.0, 0.0)).is_free(Duration::ZERO));
        assert!(Pacer::default().is_free(Duration::ZERO));
    }

    #[test]
    fn an_unpaced_link_hands_everything_on_at_once() {
        let slot = Pacer::default().admit(Duration::from_secs(1), 10 << 20);
        let pieces: Vec<Piece> = slot.pieces(10 << 20).collect();
        assert_eq!(pieces, [Piece { end: 10 << 20, due: Duration::from_secs(1) }]);
    }

    proptest! {
        #[test]
        fn a_busy_line_carries_exactly_its_rate_in_order(
            rate in 1.0f64..2000.0,
            transfers in proptest::collection::vec((0u64..2_000_000, 0u64..20_000), 1..20),
        ) {
            let mut pacer = Pacer::new(link(rate, 0.0));
            let mut now = Duration::ZERO;
            let mut free = Duration::ZERO;
            for (bytes, idle) in transfers {
                now += Duration::from_micros(idle);
                let slot = pacer.admit(now, bytes);
                prop_assert_eq!(slot.start, now.max(free));
                let ideal = bytes as f64 * 8.0 / (rate * 1e6);
                prop_assert!(((slot.end - slot.start).as_secs_f64() - ideal).abs() < 1e-8);
                let mut before = Piece { end: 0, due: slot.start };
                for piece in slot.pieces(bytes) {
                    prop_assert!(piece.end >= before.end && piece.due >= before.due);
                    prop_assert!(piece.end - before.end <= Pacer::LONGEST + 1);
                    before = piece;
                }
                prop_assert_eq!(before.end, bytes);
                prop_assert!(before.due.abs_diff(slot.end) < Duration::from_nanos(10));
                free = slot.end;
            }
        }
    }
}
