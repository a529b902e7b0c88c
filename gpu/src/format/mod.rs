//! Number formats on the device: the rules as functions of FP32 bits, and the kernels that apply them to matrices.

mod bits;
mod cast;

pub use cast::{Cast, Kept, encode, kept};
