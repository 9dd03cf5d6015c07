//! `collab-tui bench link`: the QUIC link between nodes on loopback, round trips and rate.

use collab_core::lab::LinkState;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::headless::print;
use crate::lab;

/// A link's speed.
#[derive(Clone, Debug, Serialize)]
struct LinkSpeed {
    /// Sender.
    from: String,
    /// Receiver.
    to: String,
    /// Round trip, ms.
    rtt_ms: f64,
    /// Mbit/s.
    rate_mbps: Option<f64>,
}

impl From<&LinkState> for LinkSpeed {
    fn from(link: &LinkState) -> Self {
        let (from, to) = (link.from.to_string(), link.to.to_string());
        Self { from, to, rtt_ms: link.rtt_ms, rate_mbps: link.rate_mbps }
    }
}

/// Measures and prints a line for each directed link.
pub fn run(json: bool) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    for link in runtime.block_on(lab::link_speeds(super::journal()))? {
        let speed = LinkSpeed::from(&link);
        print(&if json { serde_json::to_string(&speed)? } else { sentence(&speed) })?;
    }
    Ok(())
}

fn sentence(speed: &LinkSpeed) -> String {
    let rate = speed.rate_mbps.map_or("–".to_owned(), |rate| format!("{rate:.0} Mbit/s"));
    format!("{} to {}: round trip {:.3} ms, {rate}", speed.from, speed.to, speed.rtt_ms)
}
