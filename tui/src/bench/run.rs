//! `collab-tui bench run`: collaborative runs against the best single device, in turn.

use tokio::runtime::Builder;

use crate::cli::{BenchRunArgs, LinkPreset};
use crate::headless::print;
use crate::lab::{self, Setup, Versus, Workers};

/// Measures and prints.
pub fn run(args: &BenchRunArgs) -> anyhow::Result<()> {
    let workers = Workers::Demo(args.devices.clone(), args.link.map(LinkPreset::shape));
    let setup = Setup {
        partition: args.partition.clone(),
        ..Setup::bench(args.file.choice(&args.model), workers, &args.planner)
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let versus = runtime.block_on(lab::versus(setup, super::journal(), args.rounds.get()))?;
    runtime.shutdown_background();
    print(&if args.json { serde_json::to_string(&versus)? } else { sentence(&versus) })?;
    Ok(())
}

fn sentence(versus: &Versus) -> String {
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.1}"));
    format!(
        "{} on {} workers, {} runs each in turn: best single {:.1} ms, together {:.1} ms, ×{:.2}\n\
         bound ×{:.2}, reached {:.2} of it; predicted {} ms before it ran, {} ms before each run; {}\n{}",
        versus.network,
        versus.workers,
        versus.rounds,
        versus.single_ms,
        versus.together_ms,
        versus.speedup,
        versus.bound,
        versus.of_bound,
        ms(versus.predicted_ms),
        ms(versus.late_predicted_ms),
        versus.verdict,
        versus.partition
    )
}
