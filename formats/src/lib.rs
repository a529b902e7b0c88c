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
mod explain;
mod fast;
pub mod file;
mod footprint;
mod grids;
#[doc(hidden)]
pub mod judge;
mod kernel;
pub mod layout;
mod lookup;
mod loss;
pub mod math;
mod name;
mod nvfp4;
pub mod pack;
mod parts;
mod pipeline;
mod power;
mod random;
mod record;
mod reference;
mod rounding;
pub mod scalar;
pub mod simd;
pub mod sparse;
mod sparsity;
mod sweep;
mod tensor;
mod unpacked;

pub use card::{BitsPerElement, Card, ExactBits};
pub use declare::placed;
pub use error::Error;
pub use exact::{Exact, Value};
pub use explain::{Explanation, Neighbour, Outcome};
pub use footprint::Footprint;
pub use grids::Grids;
pub use loss::Loss;
pub use parts::PartsError;
pub use pipeline::{Order, Pipeline, Step, Stored};
pub use random::Stream;
pub use record::{Block, Format, Input, Laws, NonFinite, Scale, ScaleRule, Scaling};
pub use rounding::{Draw, Grid, Lost, Overflow, Rounding};
pub use scalar::{Encoding, Range, Scalar, Sign, Specials};
pub use sparsity::{Mask, Pattern, Scope, Selection};
pub use tensor::{Codes, Packed, Quantized, Scales};
