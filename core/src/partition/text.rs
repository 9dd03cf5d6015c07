//! The text form, for `--partition` and for the edit prompt: blocks separated by `/`, each `UNITS:ROWS`.
//!
//! Units are `first-last` or one number, counted from 0 as `inspect` prints them. Rows are one number for each
//! worker in order (`43,43,42`), shares (`50%,30%,20%`), `=` for equal rows, or a letter for a single owner:
//! `0-3:43,43,42/4-6:A`.

use std::fmt;
use std::ops::Range;

use super::{Block, Partition, PartitionError};
use crate::id::WorkerId;
use crate::network::Network;

impl Partition {
    /// Reads the text form.
    pub fn parse(text: &str, network: &Network, workers: usize) -> Result<Self, PartitionError> {
        let wrong = |problem: String| PartitionError::Text { text: text.to_owned(), problem };
        let mut blocks = Vec::new();
        for part in text.split('/') {
            let (units, rows) = part.split_once(':').ok_or_else(|| wrong(format!("'{part}' has no ':'")))?;
            let (first, last) = units.split_once('-').unwrap_or((units, units));
            let number = |text: &str| {
                text.trim().parse::<usize>().map_err(|_| wrong(format!("'{text}' is no unit number")))
            };
            let (first, last) = (number(first)?, number(last)?);
            if last < first || last >= network.units.len() {
                let count = network.units.len();
                return Err(wrong(format!("units {units} are not within 0-{}", count.saturating_sub(1))));
            }
            let height = network.cut(last + 1).rows;
            blocks.push(parse_rows(rows.trim(), first..last + 1, height, workers).map_err(wrong)?);
        }
        let partition = Self { blocks };
        partition.check(network, workers)?;
        Ok(partition)
    }
}

/// Reads the rows of one block.
fn parse_rows(text: &str, units: Range<usize>, height: u32, workers: usize) -> Result<Block, String> {
    if text == "=" {
        return Ok(Block::shared(units, height, &vec![1.0; workers]));
    }
    if let Some(owner) = WorkerId::parse(text) {
        if owner.index() >= workers {
            return Err(format!("there is no worker {owner}, the fleet has {workers}"));
        }
        return Ok(Block::single(units, height, owner, workers));
    }
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    if fields.len() != workers {
        return Err(format!("'{text}' gives rows for {} workers, the fleet has {workers}", fields.len()));
    }
    let shares: Option<Vec<f64>> = fields
        .iter()
        .map(|field| {
            field.strip_suffix('%')?.parse().ok().filter(|share: &f64| (0.0..=100.0).contains(share))
        })
        .collect();
    if let Some(shares) = shares {
        if shares.iter().sum::<f64>() <= 0.0 {
            return Err("the shares are all zero".to_owned());
        }
        return Ok(Block::shared(units, height, &shares));
    }
    let mut bounds = vec![0u32];
    for field in fields {
        let count: u32 = field.parse().map_err(|_| format!("'{field}' is no number of rows"))?;
        let sum = bounds[bounds.len() - 1].checked_add(count).ok_or("the rows add up to too many")?;
        bounds.push(sum);
    }
    Ok(Block { units: (units.start as u32, units.end as u32), bounds })
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, block) in self.blocks.iter().enumerate() {
            let (first, last) = (block.units.0, block.units.1.saturating_sub(1));
            let separator = if index == 0 { "" } else { "/" };
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            match block.single_owner() {
                Some(owner) => write!(f, ":{}", WorkerId::at(owner))?,
                None => {
                    for worker in 0..block.bounds.len() - 1 {
                        let mark = if worker == 0 { ':' } else { ',' };
                        write!(f, "{mark}{}", block.rows(worker).len())?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::network::samples::chain;

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_partition_that_reads_back_or_refused(
            text in prop_oneof![
                "[0-9A-D:/,%=-]{0,24}",
                "0-[0-5]:[0-9]{1,2},[0-9]{1,2},[0-9]{1,2}(/[1-5](-5)?:([A-D]|=|[0-9]{1,2}%,[0-9]{1,2}%,9%))?",
            ]
        ) {
            let network = chain(64, 6);
            match Partition::parse(&text, &network, 3) {
                Ok(read) => prop_assert_eq!(Partition::parse(&read.to_string(), &network, 3), Ok(read)),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn the_text_form_reads_back() {
        let network = chain(64, 6);
        for text in ["0-3:20,20,24/4-5:A", "0-5:C", "0:64,0,0/1-5:B"] {
            let partition = Partition::parse(text, &network, 3).unwrap();
            let canonical = partition.to_string();
            assert_eq!(Partition::parse(&canonical, &network, 3).unwrap(), partition, "{text}");
        }
        let equal = Partition::parse("0-5:=", &network, 3).unwrap();
        assert_eq!(equal.to_string(), "0-5:22,21,21");
        let shares = Partition::parse("0-5:50%,25%,25%", &network, 3).unwrap();
        assert_eq!(shares.to_string(), "0-5:32,16,16");
    }

    #[test]
    fn a_wrong_partition_is_refused_with_a_sentence() {
        let network = chain(64, 6);
        for (text, says) in [
            ("0-3:20,20,24", "ends before unit 4"),
            ("0-3:20,20,24/5:A", "expected unit 4"),
            ("0-5:20,20,20", "add up to 60"),
            ("0-5:20,44", "rows for 2 workers"),
            ("0-9:A", "not within 0-5"),
            ("0-5:D", "no worker D"),
            ("nonsense", "has no ':'"),
            ("0-5:0%,0%,0%", "all zero"),
            ("0-5:4294967295,1,1", "too many"),
        ] {
            let error = Partition::parse(text, &network, 3).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
