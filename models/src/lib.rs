//! Placeholder.

pub mod answer;
pub mod catalogue;
pub mod pixels;
pub mod recipe;
pub mod source;
