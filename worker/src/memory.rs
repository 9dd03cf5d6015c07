//! Whether a network, and a worker's share of a partition, fit into the memory that the worker allows itself.

/// Refuses what takes `needs` bytes if that is more than `limit`; `what` it is, and what can be done.
pub(crate) fn check(what: &str, needs: u64, limit: Option<u64>, advice: &str) -> Result<(), String> {
    match limit {
        Some(limit) if needs > limit => Err(format!(
            "{what} needs about {}, the worker allows itself {}: {advice}",
            mib(needs),
            mib(limit)
        )),
        _ => Ok(()),
    }
}

/// Bytes as whole mebibytes, rounded up.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_figures() {
        assert_eq!(check("it", 600 << 20, None, ""), Ok(()));
        assert_eq!(check("it", 600 << 20, Some(600 << 20), ""), Ok(()));
        let reason = check("it", (600 << 20) + 1, Some(600 << 20), "give it less").unwrap_err();
        assert_eq!(reason, "it needs about 601 MiB, the worker allows itself 600 MiB: give it less");
    }
}
