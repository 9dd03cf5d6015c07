//! `collab-tui bench engine`: its options, and what it starts.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `collab-tui bench engine`.
#[derive(Clone, Debug, Args)]
pub struct BenchEngineArgs {
    /// Networks of the catalogue, or ONNX files; all of the catalogue if left out.
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "NAME|FILE")]
    pub model: Vec<String>,
    /// Threads of our engine and of onnxruntime. tract as it comes has one, and takes part only with one.
    #[arg(long, default_value = "1")]
    pub threads: NonZeroUsize,
    /// A Python interpreter that has onnxruntime, or the library inside its packages.
    #[arg(long, value_name = "PATH")]
    pub ort: Option<PathBuf>,
    /// Runs of each engine; the median counts.
    #[arg(long, default_value = "9")]
    pub rounds: NonZeroUsize,
    /// A JSON line for each network and engine.
    #[arg(long)]
    pub json: bool,
}

/// What runs a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// Ours.
    Collab,
    /// tract as it comes.
    Tract,
    /// onnxruntime.
    Ort,
}

impl EngineName {
    /// As reports have it.
    pub fn text(self) -> &'static str {
        match self {
            EngineName::Collab => "collab",
            EngineName::Tract => "tract",
            EngineName::Ort => "ort",
        }
    }
}

/// `collab-tui bench contestant`.
#[derive(Clone, Debug, Args)]
pub struct ContestantArgs {
    /// Which engine.
    pub engine: EngineName,
    /// An ONNX file.
    pub file: PathBuf,
    /// Where input and outputs are kept.
    pub folder: PathBuf,
    /// How many threads.
    pub threads: usize,
}
