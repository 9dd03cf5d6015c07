//! How the worker is: looked at once a second and reported.

use std::sync::Arc;
use std::time::Duration;

use collab_core::wire::{StatusReport, Telemetry};
use tokio::time::{MissedTickBehavior, interval};

use super::node::Node;
use crate::compute::Spent;
use crate::host::{self, CpuShare};

/// Between two reports.
const EVERY: Duration = Duration::from_secs(1);
/// How much of the delays of the seconds before counts beside the last second's.
const MEMORY: f64 = 0.75;

/// Looks at the worker once a second and reports, for ever.
pub(super) async fn report(node: Arc<Node>) {
    let mut share = CpuShare::start();
    let mut before = node.compute.spent();
    let mut late = Late::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (seconds, used_percent) = share.read();
        let now = node.compute.spent();
        let spent = now.since(before);
        before = now;
        // An emulated device is busy while it is stretched, whatever its process used.
        let is_emulated = node.config.emulation.is_some();
        let computing_percent = (100.0 * spent.busy.as_secs_f64() / seconds.max(1e-6)).min(100.0);
        *node.measured.lock().expect("no holder panics") = StatusReport {
            cpu_percent: if is_emulated { computing_percent } else { used_percent },
            delayed_percent: late.percent(spent),
            reference_ms: node.compute.reference_ms(),
            temperature_c: host::temperature(),
            memory: host::resident_memory(),
            memory_peak: host::peak_memory().unwrap_or(0),
            ..StatusReport::default()
        };
        node.reports.push(Telemetry::Status(node.status()));
    }
}

/// What late seconds spent, in seconds, the older the less: one second holds too few runs to tell a moment's delay from a
/// busy machine.
#[derive(Debug, Default)]
struct Late {
    busy: f64,
    delayed: f64,
}

impl Late {
    /// How much longer computing took because other programs had the processor, %, with what the last second `spent`.
    fn percent(&mut self, spent: Spent) -> f64 {
        self.busy = self.busy * MEMORY + spent.busy.as_secs_f64();
        self.delayed = self.delayed * MEMORY + spent.delayed.as_secs_f64();
        100.0 * self.delayed / (self.busy - self.delayed).max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_count_less_the_longer_ago_they_were() {
        let spent = |busy: u64, delayed: u64| Spent {
            busy: Duration::from_millis(busy),
            delayed: Duration::from_millis(delayed),
        };
        let mut late = Late::default();
        assert_eq!(late.percent(Spent::default()), 0.0);
        assert!((late.percent(spent(600, 100)) - 20.0).abs() < 1e-9);
        let after = late.percent(spent(500, 0));
        assert!(after > 0.0 && after < 10.0, "{after}");
        let long_after = (0..60).map(|_| late.percent(spent(500, 0))).last().unwrap();
        assert!(long_after < 0.01, "{long_after}");
    }
}
