//! Terms of a sum: products and the accumulator, brought to the common exponent and cut toward zero.
//!
//! ## Products
//!
//! A product of two elements is an integer `p` in units of `2^(e - f)`, where `e` is the exponent it presents and `f` the
//! fraction bits of both significands together. Its term is `trunc(p 2^(F - f) 2^(e - E))`, in units of `2^(E - F)`, with
//! `E >= e` the common exponent. An arithmetic shift rounds down instead of toward zero, so negative products are first
//! made larger in magnitude, by something less than the lowest place that a term can have: then the shift gives one less
//! than the term, and the number of negative products, which masks of signs count 32 at a time, is added to the sum.
//! Positive products may grow by as much, as it is shifted out. So where 31 bits suffice, the left significand `s` becomes
//! `2^j |s| + 1` with its sign, where `2^j` exceeds every right significand: the product grows by `|right| 2^-j` of its
//! last place without an instruction of its own. Where they do not, one is taken from negative products.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::element::FINITE;
use super::register::{NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY};
use super::unit::Aligned;
use cubecl::prelude::*;

/// The left factor of products; the right one is the significand as it is.
#[cube]
pub fn left(significand: i32, #[comptime] unit: Aligned) -> i32 {
    let layout = comptime!(unit.layout());
    let mut factor = significand << comptime!(layout.left + layout.below);
    if comptime!(layout.below > 0) {
        factor += (significand >> 31i32) | select(significand > 0i32, 1i32, 0i32);
    }
    factor
}

/// A product's term, less one where the product is negative; `distance` is how far its exponent is below the common one.
#[cube]
pub fn term(left: i32, right: i32, distance: i32, #[comptime] unit: Aligned) -> i32 {
    let layout = comptime!(unit.layout());
    let mut product = left * right;
    if comptime!(layout.below == 0) {
        product += product >> 31i32;
    }
    product >> min(distance + comptime!(layout.down), 31i32)
}

/// 1 for a negative product, 0 for others.
#[cube]
pub fn negative(left: i32, right: i32) -> i32 {
    select((left ^ right) < 0i32 && left != 0i32 && right != 0i32, 1i32, 0i32)
}

/// What a product with an infinity or a NaN makes of a sum, as flags; 0 for products of numbers.
#[cube]
pub fn special(exponent: i32, left: i32, right: i32) -> u32 {
    let infinite = select((left ^ right) < 0i32, NEGATIVE_INFINITY, POSITIVE_INFINITY);
    let flags = select(left == 0i32 || right == 0i32, NAN, infinite);
    select(exponent > FINITE, flags, 0u32)
}

/// The accumulator's term.
#[cube]
pub fn held(significand: i32, distance: i32, #[comptime] unit: Aligned) -> i32 {
    let up = comptime!(unit.fraction_bits - unit.rounded.precision + 1);
    let magnitude = max(significand, 0i32 - significand);
    let raised = magnitude << comptime!(if up > 0 { up } else { 0 });
    let kept = raised >> min(distance + comptime!(if up < 0 { -up } else { 0 }), 31i32);
    select(significand < 0i32, 0i32 - kept, kept)
}

/// A sum of more than 32 bits: `high 2^16 + low`.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide {
    /// The upper part, with the sign.
    pub high: i32,
    /// The lower part; up to 2^31.
    pub low: i32,
}

/// A sum with one more number.
#[cube]
pub fn add(sum: &Wide, number: i32) -> Wide {
    Wide { high: sum.high + (number >> 16i32), low: sum.low + (number & 0xFFFFi32) }
}
