//! Tables, so that others can recompute the figures and fit models of their own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use collab_core::network::{Network, Term};

use super::Case;
use super::models::Seen;

/// Every prediction with what was measured.
pub struct Pairs(BufWriter<File>);

impl Pairs {
    /// Begins the table.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let mut table = Self(create(path)?);
        writeln!(table.0, "device,network,state,kind,model,what,predicted_ms,low_ms,high_ms,measured_ms")?;
        Ok(table)
    }

    /// Adds pairs.
    pub fn write(&mut self, device: &str, network: &str, cases: &[Case]) -> anyhow::Result<()> {
        for Case { state, kind, model, what, pair } in cases {
            let (network, what) = (plain(network), plain(what));
            let (low, high) = match pair.interval {
                Some((low, high)) => (low.to_string(), high.to_string()),
                None => Default::default(),
            };
            let (predicted, measured) = (pair.predicted, pair.measured);
            writeln!(
                self.0,
                "{device},{network},{state},{kind},{model},{what},{predicted},{low},{high},{measured}"
            )?;
        }
        Ok(self.0.flush()?)
    }
}

/// Every timed layer with its amount of each term of work.
pub struct Samples(BufWriter<File>);

impl Samples {
    /// Begins the table.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let mut table = Self(create(path)?);
        let terms = Term::ALL.map(|term| format!("{term:?}")).join(",");
        writeln!(table.0, "device,network,layer,op,rows,of_rows,ms,{terms}")?;
        Ok(table)
    }

    /// Adds layers.
    pub fn write<'a>(
        &mut self,
        device: &str,
        network: &Network,
        seen: impl IntoIterator<Item = &'a Seen>,
    ) -> anyhow::Result<()> {
        for &Seen { layer: index, rows, ms } in seen {
            let (layer, work) = (&network.layers[index], network.work(index));
            let amounts = Term::ALL.map(|term| {
                let of_term = work.iter().filter(|work| work.term == term);
                of_term.map(|work| work.amount(rows)).sum::<f64>().to_string()
            });
            let (name, op, all) = (plain(&layer.name), plain(&layer.op), layer.output.rows);
            let network = plain(&network.name);
            writeln!(self.0, "{device},{network},{name},{op},{rows},{all},{ms},{}", amounts.join(","))?;
        }
        Ok(self.0.flush()?)
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn plain(text: &str) -> String {
    text.replace([',', '"', '\n', '\r'], " ")
}
