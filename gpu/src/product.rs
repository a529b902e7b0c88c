//! `y = x w^T` of quantised matrices: exact sums of integers, and exact sums of blocks in an FP32 accumulator.
//!
//! [`Product`] is the host's side: it recognises a record by its parts, checks operands and launches kernels. `unit` is the
//! record as plain data, `element` how operands are read, `finish` what becomes of an exact sum. `simple` computes one
//! output after the other, straight from the operands, and judges `tiled`, which is what runs.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

mod element;
mod finish;
mod host;
mod simple;
mod tiled;

mod unit;

pub use host::{Prepared, Product, Which};
pub use unit::{Element, Register, Scale, Sums, Unit};
