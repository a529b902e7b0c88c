//! Number formats and matrix units on the GPU.

pub mod bits;
pub mod error;
pub mod format;

pub use error::Error;
