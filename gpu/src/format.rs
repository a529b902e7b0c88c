//! Number formats on the device: the rules as functions of FP32 bits, and the kernels that apply them to matrices.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

mod cast;
mod coded;
mod factor;
mod fields;
mod kernel;
mod launch;
mod power;
mod quantized;
mod quantizer;
mod random;
mod read;
mod rules;
mod spec;

pub use cast::{Cast, Kept, encode, kept};
pub use coded::{BlockScale, Coded, TensorScale, block_scale, block_scale_to_four, coded_product, coded_value};
pub use coded::{less, scale_value, tensor_scale, with_error};
pub use factor::{Affine, Grid, grid, grid_code, grid_element, real_factor, scaled, within};
pub use power::{Exponents, NAN_EXPONENT, exponent, unheld};
pub use quantized::{DeviceQuantized, Status};
pub use quantizer::Quantizer;
pub use random::random_word;
pub use read::{Decode, Decoded, decode, value};
pub use rules::{Factor, NOT_FINITE, REFUSED, Rounded, Summary};
pub use rules::{block_factor, flags, halved, merged, narrowed, rounded, signed_byte, summary};
pub use spec::{Element, Narrow, Shared, Spec, Special};
