//! Burn's own quantised tensors: their bytes, their schemes, and which formats they are.
//!
//! [`Stored`] is the byte level: plain codes and scales on one side, the `TensorData` of a quantised Burn tensor on the
//! other. [`Correspondence`] says which format's codes and scales they are; [`to_burn`] and
//! [`from_burn`] take whole matrices.
//!
//! Burn 0.22.1 means two things by the floating-point values `E4M3`, `E5M2` and `E2M1`: on CubeCL's backends (GPUs) they
//! are codes of these formats, but the CPU backends round to integers and read the bytes as integers. The bytes alone do
//! not say which; here they are codes.

mod bytes;
mod convert;
mod table;

pub use bytes::{ScaleBytes, Stored};
pub use convert::{from_burn, to_burn};
pub use table::{Blocks, Correspondence};
