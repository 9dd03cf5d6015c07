//! `collab-tui bench …`: what can be measured and with which options.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::engine::{BenchEngineArgs, ContestantArgs};
use super::values::{parse_device, parse_planner, parse_some};
use super::{FileArgs, FleetArgs, LinkPreset};

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
    /// Our engine, tract as it comes, and onnxruntime, interleaved: times, layers, memory.
    Engine(BenchEngineArgs),
    /// One engine, told by `bench engine` when to run.
    #[command(hide = true)]
    Contestant(ContestantArgs),
    /// How well predictions of layers, blocks, transfers and runs hold.
    Predict(BenchPredictArgs),
    /// Every planner on made-up fleets, against the best known plan or the optimum.
    Plan(BenchPlanArgs),
    /// Planning while devices and links change at random: switches, regret, time to the first proposal.
    Adapt(BenchAdaptArgs),
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
    /// What its file leaves open.
    #[command(flatten)]
    pub file: FileArgs,
    /// Presets or slowdowns, one for each device.
    #[arg(long, default_value = "4,4,4", value_delimiter = ',', value_parser = parse_device)]
    pub devices: Vec<String>,
    /// The link every device sends over.
    #[arg(long)]
    pub link: Option<LinkPreset>,
    /// Who plans.
    #[arg(long, default_value = "proportional", value_parser = parse_planner)]
    pub planner: String,
    /// A partition by hand; overrides --planner.
    #[arg(long)]
    pub partition: Option<String>,
    /// Runs of each kind.
    #[arg(long, default_value = "9")]
    pub rounds: NonZeroUsize,
    /// A JSON line.
    #[arg(long)]
    pub json: bool,
}

/// `collab-tui bench predict`.
#[derive(Clone, Debug, Args)]
pub struct BenchPredictArgs {
    /// Networks of the catalogue, or ONNX files.
    #[arg(
        long = "model",
        default_value = "upconv7,efficientnet_lite0,tiny_face_detector",
        num_args = 1..,
        value_delimiter = ',',
        value_name = "NAME|FILE"
    )]
    pub models: Vec<String>,
    /// Presets or slowdowns of emulated devices, and `host` for this machine as it is.
    #[arg(long, default_value = "host,pi4", value_delimiter = ',', value_parser = parse_device_or_host)]
    pub devices: Vec<String>,
    /// Of weights and of what is drawn at random.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Strips of random partitions of each network, at least.
    #[arg(long, default_value_t = 40)]
    pub strips: usize,
    /// Random partitions of each network that run live.
    #[arg(long, default_value_t = 1)]
    pub partitions: usize,
    /// Write every prediction with what was measured.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write every timed layer with its work by term, those of the calibration first.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// JSON lines instead of a table.
    #[arg(long)]
    pub json: bool,
}

fn parse_device_or_host(text: &str) -> Result<String, String> {
    if text == "host" { Ok(text.to_owned()) } else { parse_device(text) }
}

/// `collab-tui bench plan`.
#[derive(Clone, Debug, Args)]
pub struct BenchPlanArgs {
    /// Two networks and few fleets: about a minute.
    #[arg(long)]
    pub quick: bool,
    /// Which networks: geometries that are planned for without weights (vgg16, yolo16, upconv7, alexnet, resnet50,
    /// mobilenetv2, efficientnet-lite0; all if left out), others of the catalogue, or ONNX files.
    #[arg(long = "network", num_args = 1.., value_delimiter = ',', value_name = "NAME|FILE")]
    pub networks: Option<Vec<String>>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// A JSON line for each scenario and planner.
    #[arg(long)]
    pub json: bool,
}

/// `collab-tui bench adapt`.
#[derive(Clone, Debug, Args)]
pub struct BenchAdaptArgs {
    /// A network of the catalogue, or an ONNX file.
    #[arg(long, default_value = "upconv7")]
    pub model: String,
    /// What its file leaves open.
    #[command(flatten)]
    pub file: FileArgs,
    /// On what.
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// How long.
    #[arg(long, default_value_t = 5.0, value_parser = parse_some)]
    pub minutes: f64,
    /// Seconds between two changes.
    #[arg(long, default_value_t = 10.0, value_parser = parse_some)]
    pub every: f64,
    /// Of the changes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Do not learn meanwhile.
    #[arg(long)]
    pub no_train: bool,
    /// A JSON line for each change, and one for all.
    #[arg(long)]
    pub json: bool,
}
