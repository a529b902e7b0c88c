#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod block;
mod card;
pub mod catalog;
mod decode;
mod error;
mod exact;
mod fast;
mod footprint;
mod kernel;
pub mod layout;
mod lookup;
pub mod pack;
mod pipeline;
mod rounding;
pub mod scalar;
mod simd;
mod sparsity;
mod sweep;
mod tensor;

pub use block::{Block, Format, Scale, ScaleRule, Scaling};
pub use card::{BitsPerElement, Card};
pub use error::Error;
pub use exact::{Exact, Value};
pub use footprint::Footprint;
pub use pipeline::{Order, Pipeline, Step, Stored};
pub use rounding::{Grid, Lost, Overflow, Rounding};
pub use scalar::{Encoding, Scalar, Specials};
pub use sparsity::{Mask, Pattern, Scope};
pub use tensor::{Codes, Packed, Quantized, Scales};
