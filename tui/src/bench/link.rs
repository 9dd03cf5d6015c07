//! `collab-tui bench link`: the QUIC link between nodes on loopback, round trips and rate.

use tokio::runtime::Builder;

use crate::headless::print;
use crate::lab::{self, LinkSpeed};

/// Measures and prints a line for each directed link.
pub fn run(json: bool) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    for speed in runtime.block_on(lab::link_speeds(super::journal()))? {
        print(&if json { serde_json::to_string(&speed)? } else { sentence(&speed) });
    }
    Ok(())
}

fn sentence(speed: &LinkSpeed) -> String {
    let rate = speed.rate_mbps.map_or("–".to_owned(), |rate| format!("{rate:.0} Mbit/s"));
    format!("{} to {}: round trip {:.3} ms, {rate}", speed.from, speed.to, speed.rtt_ms)
}
