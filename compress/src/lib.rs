#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod allocate;
mod criterion;
mod cumulative;
mod dense;
mod error;
mod exponents;
mod hessian;
mod layer;
pub mod learn;
pub mod lowrank;
mod permute;
pub mod quantize;
pub mod recipe;
pub mod smooth;
mod solve;
mod statistics;
pub mod theory;

pub use criterion::{CRITERIA, Criterion, Named};
pub use cumulative::{Cumulative, cumulative_mask};
pub use error::Error;
pub use exponents::{EXPONENTS, Search, search_exponents};
pub use interplay_formats as formats;
pub use layer::{Layer, output_error};
pub use permute::{Importance, Permutation, Permuted, permute};
pub use recipe::Recipe;
pub use solve::{Order, Pruning, Solved, Solver};
pub use statistics::{Collector, Needs, Statistics};
