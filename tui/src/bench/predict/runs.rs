//! Whole runs and transfers: real workers, each in a process of its own, that run random partitions.

use collab_core::network::Network;
use collab_core::partition::Partition;
use tokio::runtime::Builder;

use super::measure::{self, Dice};
use super::score::Pair;
use super::{Case, LEARNED, LONGEST, PREDICTED, ROUNDS, WORKERS};
use crate::cli::BenchPredictArgs;
use crate::lab::{self, ModelChoice, Setup, Workers};

/// Runs random partitions on workers that emulate `device`.
pub fn cases(
    device: &str,
    model: &str,
    network: &Network,
    args: &BenchPredictArgs,
) -> anyhow::Result<Vec<Case>> {
    let workers = Workers::Demo(vec![device.to_owned(); WORKERS as usize], None);
    let setup = Setup { seed: args.seed, ..Setup::bench(ModelChoice::named(model), workers, "proportional") };
    let mut dice = Dice::new(args.seed);
    let random = |_| measure::random_partition(network, WORKERS, LONGEST, &mut dice);
    let partitions: Vec<Partition> = (0..args.partitions).map(random).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let runs = (ROUNDS, LEARNED, PREDICTED);
    let trials = runtime.block_on(lab::trials(setup, super::super::journal(), partitions, runs))?;
    runtime.shutdown_background();
    let mut cases = Vec::new();
    for trial in trials {
        let mut add = |kind: &'static str, (predicted, measured): (f64, f64)| {
            let pair = Pair { predicted, interval: None, measured };
            cases.push(Case {
                state: trial.state,
                kind,
                model: "collab",
                what: trial.partition.clone(),
                pair,
            });
        };
        add("run", trial.run);
        trial.transfers.iter().for_each(|transfer| add("transfer", *transfer));
    }
    Ok(cases)
}
