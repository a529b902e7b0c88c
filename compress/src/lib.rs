#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod hessian;
mod layer;
pub mod learn;
mod statistics;

pub use error::Error;
pub use interplay_formats as formats;
pub use layer::Layer;
pub use statistics::{Collector, Needs, Statistics};
