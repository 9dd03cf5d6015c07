//! ONNX networks as collab sees them: loaded, cut into units, run by rows. The only crate that knows tract.
//!
//! - [`Model::load`] turns ONNX bytes into a [`collab_core::network::Network`] plus what runs it.
//! - [`Model::strip`] prepares the rows of a block that one worker owns, [`Strip::run`] computes them.
//!
//! - [`catalogue`] names the networks that need no file, [`source`] turns bytes (ONNX or a recipe) into a model,
//!   [`pixels`] turns pictures into inputs and [`answer`] outputs into answers.
//!
//! What a strip computes equals the same rows of the whole network bit for bit on like machines. Three things
//! make it so, and must stay: every graph goes through one list of passes (`load`), how rows depend on rows is
//! written once per operator (`rows`), and strips are wired from [`collab_core::network::Demand`], which
//! is also what schedules are made of.

pub mod answer;
pub mod calibration;
pub mod catalogue;
mod graph;
mod load;
mod map;
mod operators;
mod packs;
pub mod pixels;
pub mod recipe;
mod rows;
mod run;
pub mod source;
mod spares;
mod strip;
mod summation;
mod team;
mod unmodified;

pub use collab_kernels::Isa;
pub use load::{LoadError, LoadOptions, Model};
pub use map::{Map, MapError};
pub use run::LayerTimes;
pub use spares::Spares;
pub use strip::{Strip, StripError};
pub use team::Team;
pub use unmodified::Unmodified;
