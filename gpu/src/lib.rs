//! Number formats and matrix units on the GPU, with the bits of the CPU.
//!
//! `Quantizer` rounds matrices to a format, `Kernels` multiply them as a datapath does; operands and results stay on the device.
//! Every rule is a function over 32-bit words that is called on the host as it is in a kernel.
//!
//! What is not here: which layer of a model is computed how, and Burn's tensors. Without the feature `wgpu` this crate is empty.
#![cfg(feature = "wgpu")]

pub mod bits;
pub mod device;
pub mod error;
pub mod fdpa;
pub mod format;
mod kernels;
pub mod operand;
pub mod product;

pub use cubecl::client::Client;
pub use cubecl::server::Handle;
pub use device::{Choice, Gpu};
pub use error::Error;
pub use format::Quantizer;
pub use kernels::{Kernels, Prepared, Side, Status};
pub use operand::DeviceOperand;
