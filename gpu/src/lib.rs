//! Number formats and matrix units on the GPU.

pub mod bits;
pub mod format;
