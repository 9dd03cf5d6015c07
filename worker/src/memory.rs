//! Whether a worker's share of a partition fits into the memory that it allows itself.

use std::ops::Range;

use collab_core::network::Network;
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;

use crate::engine::Memory;

/// Bytes of code, buffers and allocator slack of a worker that does nothing.
const PROCESS: u64 = 24 << 20;

/// The strips of a worker's share, as the engine is asked to prepare them.
pub(crate) fn strips(schedule: &Schedule, worker: usize) -> Vec<(Range<usize>, Rows)> {
    let stages = schedule.stages.iter();
    let parts =
        stages.flat_map(|stage| stage.strips[worker].parts.iter().map(|part| (stage.units, part.rows)));
    parts.map(|((first, end), rows)| (first as usize..end as usize, rows)).collect()
}

/// The largest sum of what a block keeps beside its running strip, bytes: its input until its last part has
/// run, and its output until all of it is sent.
pub(crate) fn kept(network: &Network, schedule: &Schedule, worker: usize) -> u64 {
    let kept = |stage: &collab_core::schedule::Stage| {
        let strip = &stage.strips[worker];
        let input = network.cut(stage.units.0 as usize).bytes(strip.need.len());
        input + network.cut(stage.units.1 as usize).bytes(strip.rows.len())
    };
    schedule.stages.iter().map(kept).max().unwrap_or(0)
}

/// All that a share takes, bytes; an error with a sentence if that is more than `limit`.
pub(crate) fn check(strips: &Memory, kept: u64, limit: Option<u64>) -> Result<u64, String> {
    let total = PROCESS + strips.total() + kept;
    match limit {
        Some(limit) if total > limit => Err(format!(
            "it needs about {} ({} of weights, {} of weights laid out for the kernels, {} of maps), the worker \
             allows itself {}: give it fewer rows or layers, or start it with more --memory",
            mib(total),
            mib(strips.loaded),
            mib(strips.packed),
            mib(strips.maps + kept),
            mib(limit)
        )),
        _ => Ok(total),
    }
}

/// Bytes as whole mebibytes, rounded up.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::chain;
    use collab_core::partition::Partition;

    use super::*;

    #[test]
    fn fewer_rows_keep_less_and_no_rows_keep_nothing() {
        let network = chain(64, 4);
        let share = |text: &str, worker: usize| {
            let partition = Partition::parse(text, &network, 2).unwrap();
            let schedule = Schedule::new(&network, &partition);
            (strips(&schedule, worker).len(), kept(&network, &schedule, worker))
        };
        let (whole, half) = (share("0-3:A", 0), share("0-3:=", 0));
        assert!(half.1 < whole.1);
        assert_eq!(whole.0, 1);
        assert_eq!(share("0-3:A", 1), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_figures() {
        let strips = Memory { loaded: 500 << 20, packed: 76 << 20, maps: 0 };
        assert_eq!(check(&strips, 0, None), Ok(600 << 20));
        assert_eq!(check(&strips, 0, Some(600 << 20)), Ok(600 << 20));
        let reason = check(&strips, 1, Some(600 << 20)).unwrap_err();
        assert!(reason.contains("601 MiB") && reason.contains("600 MiB"), "{reason}");
    }
}
