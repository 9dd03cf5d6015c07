//! Convolution, pooling, normalisation and dense kernels on `f32` slices, chosen for the processor at run time.
//!
//! A kernel computes some output rows (a strip) of a feature map from the input rows they need. What this crate
//! promises: **every output value has the same bits** whatever the row range, the number of rows, the thread, or the
//! place in a tile. Each value is one chain of operations in an order fixed by the layer; nothing is chosen by the
//! number of rows. Weights are packed once and shared ([`PackedWeights`]), working memory is the caller's
//! ([`Scratch`]).
//!
//! Threads are the caller's: [`Conv::shares`] divides a layer by rows or channels, pools and transposed convolutions
//! compute any range of rows, [`Linear`] any range of features.
//!
//! What it lacks: graphs, tensors, batches larger than one.

mod algorithm;
mod blocked;
mod conv;
mod copied;
mod copies;
mod depthwise;
mod direct;
mod epilogue;
mod error;
mod exponential;
mod gather;
mod isa;
mod linear;
mod map;
mod mean;
mod memory;
mod normalisation;
mod peak;
mod pool;
mod product;
mod resample;
mod run;
mod scratch;
mod shape;
mod share;
mod side;
pub mod sizes;
mod target;
mod tile;
mod transposed;
mod turn;
mod weights;
mod winograd;

pub use algorithm::Algorithm;
pub use conv::{Conv, Strip};
pub use epilogue::{Activation, Epilogue};
pub use error::KernelError;
pub use isa::Isa;
pub use linear::Linear;
pub use map::{Layout, Map, PlaneList};
pub use mean::sum_channels;
pub use normalisation::{LocalResponse, apply_epilogue, multiply_channels};
pub use peak::run_peak_loop;
pub use pool::{Pool, PoolKind};
pub use resample::{Resample, Taps};
pub use scratch::{Buffer, Scratch};
pub use shape::ConvShape;
pub use share::{Share, divide};
pub use transposed::{Transposed, TransposedShape, TransposedStrip};
pub use weights::PackedWeights;
