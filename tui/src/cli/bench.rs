//! `collab-tui bench …`: what can be measured and with which options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{LinkPreset, parse_device};

/// `collab-tui bench`.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub what: Bench,
}

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// Collaborative runs against the best single device, interleaved.
    Run(BenchRunArgs),
    /// The QUIC link between two nodes on loopback: round trips and rate.
    Link {
        /// A JSON line for each size.
        #[arg(long)]
        json: bool,
    },
    /// Seeking and folding a recorded session.
    Replay {
        /// A session.
        file: PathBuf,
        /// A JSON line.
        #[arg(long)]
        json: bool,
    },
}

/// `collab-tui bench run`.
#[derive(Clone, Debug, Args)]
pub struct BenchRunArgs {
    /// A network of the catalogue, or an ONNX file.
    #[arg(long, default_value = "upconv7")]
    pub model: String,
    /// Presets or slowdowns, one for each device.
    #[arg(long, default_value = "4,4,4", value_delimiter = ',', value_parser = parse_device)]
    pub devices: Vec<String>,
    /// The link every device sends over.
    #[arg(long)]
    pub link: Option<LinkPreset>,
    /// A partition by hand; the proportional planner's if left out.
    #[arg(long)]
    pub partition: Option<String>,
    /// Runs of each kind.
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// A JSON line.
    #[arg(long)]
    pub json: bool,
}
