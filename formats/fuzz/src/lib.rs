//! What the fuzz targets do with a string of bytes; each panics where a promise of the library is broken.
//!
//! Every function here is a target: `cargo fuzz run TARGET` in this folder's parent. Where bytes alone would seldom get
//! past the first check, they choose among words, or make something valid and then damage it.

mod matrices;
mod numbers;
mod records;
mod storage;

pub use matrices::quantize;
pub use numbers::encode_decode;
pub use records::{by_name, declare, record};
pub use storage::{compressed, file, layout, pattern, unpack};
