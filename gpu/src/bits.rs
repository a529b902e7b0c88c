//! FP32 arithmetic and wide integers on words of 32 bits.
//!
//! Every rule is called on the host as plain Rust and inside kernels alike. A float enters and leaves as its bits, so that
//! no driver's treatment of subnormal numbers, NaN or contraction can touch it; an integer of more than 32 bits is a few
//! words, the highest first. NaN results are 0x7fc00000.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

pub mod float;
pub mod wide;
pub mod word;

pub use float::{FP16, FP32, FP32_TOWARD_ZERO, Float, NAN, add, div, from_i32, mul, round};
pub use wide::{
    Wide, Wide3, add_wide, add_wide3, from_wide, from_wide3, fused_add, shift_left, shift_left3, shift_right_sticky,
    shift_right_sticky3, times3, widened,
};
pub use word::{carrying_add, wide_product, wrapping_add, wrapping_mul, wrapping_neg};
