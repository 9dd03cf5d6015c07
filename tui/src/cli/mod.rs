//! The command line: what users type, and nothing of what it does.

mod bench;
mod engine;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use collab_core::event::LinkShape;
use collab_core::time::Micros;
use collab_models::catalogue::Scale;

pub use self::bench::{Bench, BenchAdaptArgs, BenchArgs, BenchPlanArgs, BenchPredictArgs, BenchRunArgs};
use self::values::{
    Shape, parse_device, parse_duration, parse_moment, parse_output, parse_planner, parse_planner_or_all,
    parse_scale, parse_shape, parse_speed,
};
use crate::lab::{ModelChoice, Workers};

pub use self::engine::{BenchEngineArgs, ContestantArgs, EngineName};

/// An interactive lab for collaborative DNN inference on unlike devices.
///
/// Without a subcommand it starts the demo: three emulated Raspberry Pis as real worker processes on
/// loopback enlarge a photo together.
#[derive(Debug, Parser)]
#[command(name = "collab-tui", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; the demo if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The demo's options.
    #[command(flatten)]
    pub demo: DemoArgs,
}

/// Everything the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run emulated devices as worker processes on this machine.
    Demo(DemoArgs),
    /// Lead workers that run elsewhere.
    Live(LiveArgs),
    /// Show a recorded session.
    Replay(ReplayArgs),
    /// Show a session that is still being recorded, as it grows.
    Watch(WatchArgs),
    /// Write a recorded session as tables or traces.
    Export(ExportArgs),
    /// Print a network's units, cuts, work, and what can be split.
    Inspect(InspectArgs),
    /// Plan a partition for devices that need not exist.
    Plan(PlanArgs),
    /// Measure.
    Bench(BenchArgs),
    /// Trust a worker: note its fingerprint, and let it note the lab's.
    Pair(PairArgs),
    /// Run a worker in this process, as the program `worker` does.
    #[command(disable_help_flag = true)]
    Worker {
        /// As for `worker`; see `worker --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What an ONNX file does not say about itself.
#[derive(Clone, Debug, Default, Args)]
pub struct FileArgs {
    /// The input's shape where the file leaves it open, such as 1x3x640x640.
    #[arg(long, value_parser = parse_shape)]
    pub shape: Option<Shape>,
    /// How pictures become input values: `bytes` 0…255, `unit` 0…1, `signed` −1…1, `imagenet` mean and variance.
    /// Default: imagenet before 1000 classes, unit before anything else.
    #[arg(long, value_name = "SCALE", value_parser = parse_scale)]
    pub pixels: Option<Scale>,
}

impl FileArgs {
    /// The network called `name`, read like this.
    pub fn choice(&self, name: &str) -> ModelChoice {
        let shape = self.shape.as_ref().map(|shape| shape.0.clone());
        ModelChoice { name: name.to_owned(), shape, scale: self.pixels }
    }
}

/// What every command that runs a network takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// A network of the catalogue, or an ONNX file.
    #[arg(long, default_value = "upconv7", value_name = "NAME|FILE.onnx")]
    pub model: String,
    /// What its file leaves open.
    #[command(flatten)]
    pub file: FileArgs,
    /// A picture, a folder of pictures, or `noise`. Default: the network's own photo.
    #[arg(long, value_name = "FILE|DIR|noise")]
    pub input: Option<String>,
    /// How partitions are found: erl, dp, beam, proportional and others; `plan --planner all` compares them.
    #[arg(long, default_value = "erl", value_parser = parse_planner)]
    pub planner: String,
    /// A partition by hand, such as `0-3:43,43,42/4-6:A`; overrides --planner.
    #[arg(long)]
    pub partition: Option<String>,
    /// Apply proposals without asking.
    #[arg(long)]
    pub auto: bool,
    /// Do not learn on spare time while the lab runs.
    #[arg(long)]
    pub no_train: bool,
    /// Seed of everything random.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Stop this long after every worker was measured alone, such as 30s or 2m.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub for_time: Option<Duration>,
    /// Write the last output: a picture (.png), or little-endian floats (.f32).
    #[arg(long, value_name = "FILE", value_parser = parse_output)]
    pub output: Option<PathBuf>,
    /// Where the session is recorded. Default: a new file in the data folder.
    #[arg(long, value_name = "FILE", conflicts_with = "no_record")]
    pub record: Option<PathBuf>,
    /// Do not record.
    #[arg(long)]
    pub no_record: bool,
    /// No screen: lines and a summary. Implied when stdout is no terminal.
    #[arg(long)]
    pub headless: bool,
    /// JSON lines instead of text; implies --headless.
    #[arg(long)]
    pub json: bool,
}

/// Devices that are emulated.
#[derive(Clone, Debug, Args)]
pub struct FleetArgs {
    /// Presets (pi5, pi4, pi3, zero2) or slowdowns, one for each device: `pi5,pi4` or `2,4,10`.
    #[arg(long, default_value = "pi5,pi4,pi3", value_delimiter = ',', value_parser = parse_device)]
    pub devices: Vec<String>,
    /// The link every device sends over, instead of its preset's.
    #[arg(long)]
    pub link: Option<LinkPreset>,
}

impl FleetArgs {
    /// These devices as worker processes.
    pub fn workers(&self) -> Workers {
        Workers::Demo(self.devices.clone(), self.link.map(LinkPreset::shape))
    }
}

/// `collab-tui demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// What runs.
    #[command(flatten)]
    pub run: RunArgs,
    /// On what.
    #[command(flatten)]
    pub fleet: FleetArgs,
}

/// An emulated link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LinkPreset {
    /// 940 Mbit/s.
    Gigabit,
    /// 94 Mbit/s.
    #[value(name = "100mbit")]
    Fast,
    /// 40 Mbit/s and 3 ms.
    Wifi,
}

impl LinkPreset {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            LinkPreset::Gigabit => "gigabit",
            LinkPreset::Fast => "100mbit",
            LinkPreset::Wifi => "wifi",
        }
    }

    /// What it paces.
    pub fn shape(self) -> LinkShape {
        let (rate_mbps, delay_ms) = match self {
            LinkPreset::Gigabit => (940.0, 0.0),
            LinkPreset::Fast => (94.0, 0.0),
            LinkPreset::Wifi => (40.0, 3.0),
        };
        LinkShape { rate_mbps: Some(rate_mbps), delay_ms }
    }
}

/// `collab-tui live`.
#[derive(Clone, Debug, Args)]
pub struct LiveArgs {
    /// What runs.
    #[command(flatten)]
    pub run: RunArgs,
    /// A worker's address; once for each worker.
    #[arg(long = "worker", value_name = "HOST:PORT", required = true)]
    pub workers: Vec<String>,
    /// Refuse everything that changes the lab.
    #[arg(long)]
    pub read_only: bool,
}

/// `collab-tui replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// A session.
    pub file: PathBuf,
    /// Start at this time, such as 4:47.
    #[arg(long, value_name = "M:SS", value_parser = parse_moment)]
    pub at: Option<Micros>,
    /// Session seconds per second, 0.125 to 64.
    #[arg(long, default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,
    /// No screen: print the state at --at, or at the end, as text.
    #[arg(long)]
    pub headless: bool,
    /// Print the state as JSON; implies --headless.
    #[arg(long)]
    pub json: bool,
}

/// `collab-tui watch`.
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// A session that another process records.
    pub file: PathBuf,
}

/// What a session is written as.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ExportForm {
    /// One CSV table for each kind of event, into this folder.
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// A trace for ui.perfetto.dev.
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,
    /// Every event as a line of JSON, to stdout.
    #[arg(long)]
    pub jsonl: bool,
}

/// `collab-tui export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// A session.
    pub file: PathBuf,
    /// As what.
    #[command(flatten)]
    pub form: ExportForm,
}

/// `collab-tui inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// A network of the catalogue, or an ONNX file.
    pub model: String,
    /// What its file leaves open.
    #[command(flatten)]
    pub file: FileArgs,
    /// Print the whole geometry as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write a generated network as an ONNX file.
    #[arg(long, value_name = "FILE.onnx")]
    pub write: Option<PathBuf>,
}

/// `collab-tui plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// A network of the catalogue, or an ONNX file.
    pub model: String,
    /// What its file leaves open.
    #[command(flatten)]
    pub file: FileArgs,
    /// On what.
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// A planner's name, or `all`.
    #[arg(long, default_value = "all", value_parser = parse_planner_or_all)]
    pub planner: String,
    /// Seed of everything random.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// One JSON line for each planner.
    #[arg(long)]
    pub json: bool,
}

/// `collab-tui pair`.
#[derive(Clone, Debug, Args)]
pub struct PairArgs {
    /// The worker's address.
    pub address: String,
    /// The code that `worker --pair` printed.
    #[arg(long)]
    pub code: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_form_of_export_is_asked_for_at_a_time() {
        let export =
            |rest: &[&str]| Cli::try_parse_from([&["collab-tui", "export", "a.mcap"], rest].concat()).is_ok();
        assert!(export(&["--csv", "tables"]) && export(&["--jsonl"]) && export(&["--perfetto", "trace"]));
        assert!(!export(&[]) && !export(&["--csv", "tables", "--jsonl"]));
    }

    #[test]
    fn a_speed_at_which_nothing_is_replayed_is_a_usage_error() {
        let replay = |speed| Cli::try_parse_from(["collab-tui", "replay", "a.mcap", "--speed", speed]);
        assert!(["0.125", "4", "64"].into_iter().all(|speed| replay(speed).is_ok()));
        assert!(["0", "-1", "65", "nan", "fast"].into_iter().all(|speed| replay(speed).is_err()));
    }

    #[test]
    fn a_device_that_is_none_is_a_usage_error() {
        assert!(Cli::try_parse_from(["collab-tui", "--devices", "pi5,pi9"]).is_err());
    }

    #[test]
    fn without_a_subcommand_the_demo_takes_its_options() {
        let cli = Cli::try_parse_from(["collab-tui", "--for", "5s", "--json", "--devices", "2,4"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.demo.fleet.devices, ["2", "4"]);
        assert_eq!(cli.demo.run.for_time, Some(Duration::from_secs(5)));
    }
}
