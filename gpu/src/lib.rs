//! Number formats and matrix units on the GPU.

pub mod bits;
pub mod device;
pub mod error;
pub mod format;
pub mod operand;
pub mod product;

pub use device::{Choice, Gpu};
pub use error::Error;
pub use operand::DeviceOperand;
