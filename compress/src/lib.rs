#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod hessian;
mod layer;
pub mod quantize;
pub mod smooth;
mod solve;
mod statistics;

pub use error::Error;
pub use interplay_formats as formats;
pub use layer::Layer;
pub use solve::{Order, Pruning, Selection, Solved, Solver};
pub use statistics::{Collector, Needs, Statistics};
