//! Number formats and matrix units on the GPU.

pub mod bits;
pub mod error;
pub mod fdpa;

pub use error::Error;
