#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod bench;
mod card;
pub mod catalog;
mod check;
mod codec;
mod declare;
mod decode;
mod error;
mod exact;
mod fast;
mod footprint;
#[doc(hidden)]
pub mod judge;
mod kernel;
mod lookup;
mod name;
mod nvfp4;
pub mod pack;
mod pipeline;
mod power;
mod random;
mod record;
mod reference;
mod rounding;
pub mod scalar;
mod simd;
mod sparsity;
mod sweep;
mod tensor;

pub use card::{BitsPerElement, Card, ExactBits};
pub use error::Error;
pub use exact::{Exact, Value};
pub use footprint::Footprint;
pub use pipeline::{Order, Pipeline, Step, Stored};
pub use random::Stream;
pub use record::{Block, Format, Input, Laws, NonFinite, Scale, ScaleRule, Scaling};
pub use rounding::{Draw, Grid, Lost, Overflow, Rounding};
pub use scalar::{Encoding, Range, Scalar, Sign, Specials};
pub use sparsity::{Mask, Pattern, Scope};
pub use tensor::{Codes, Packed, Quantized, Scales};
