//! Number formats on the device: the rules as functions of FP32 bits, and the kernels that apply them to matrices.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

mod cast;

mod fields;
mod random;
mod read;

pub use cast::{Cast, Kept, encode, kept};
pub use random::random_word;
pub use read::{Decode, Decoded, decode, value};
