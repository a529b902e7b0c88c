//! Integers of two and three words in two's complement, and their rounding.

use super::float::{Float, round};
use super::word::{carrying_add, wrapping_neg};
use cubecl::prelude::*;

/// `high 2^32 + low`.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide {
    /// The upper word, with the sign where there is one.
    pub high: u32,
    /// The lower word.
    pub low: u32,
}

/// `high 2^64 + middle 2^32 + low`.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide3 {
    /// The upper word, with the sign where there is one.
    pub high: u32,
    /// The word between.
    pub middle: u32,
    /// The lower word.
    pub low: u32,
}

/// `a + b` modulo 2^64.
#[cube]
pub fn add_wide(a: &Wide, b: &Wide) -> Wide {
    let low = carrying_add(a.low, b.low, 0u32);
    Wide { high: carrying_add(a.high, b.high, low.carry).sum, low: low.sum }
}

/// `a + b` modulo 2^96.
#[cube]
pub fn add_wide3(a: &Wide3, b: &Wide3) -> Wide3 {
    let low = carrying_add(a.low, b.low, 0u32);
    let middle = carrying_add(a.middle, b.middle, low.carry);
    Wide3 { high: carrying_add(a.high, b.high, middle.carry).sum, middle: middle.sum, low: low.sum }
}

/// `-a` modulo 2^64 where `negative`, else `a`.
#[cube]
pub fn negate_wide(a: &Wide, negative: bool) -> Wide {
    let high = select(a.low == 0u32, wrapping_neg(a.high), !a.high);
    Wide { high: select(negative, high, a.high), low: select(negative, wrapping_neg(a.low), a.low) }
}

/// `-a` modulo 2^96 where `negative`, else `a`.
#[cube]
pub fn negate_wide3(a: &Wide3, negative: bool) -> Wide3 {
    let rest = negate_wide(&Wide { high: a.middle, low: a.low }, negative);
    let high = select(a.low == 0u32 && a.middle == 0u32, wrapping_neg(a.high), !a.high);
    Wide3 { high: select(negative, high, a.high), middle: rest.high, low: rest.low }
}

/// `a 2^places` modulo 2^64; nothing is left from 64 places on.
#[cube]
pub fn shift_left(a: &Wide, places: u32) -> Wide {
    let long = places >= 32u32;
    let by = places & 31u32;
    // The bits that cross over; two shifts, as one by 32 places is none on a device.
    let across = (a.low >> 1u32) >> (31u32 - by);
    let near = Wide { high: (a.high << by) | across, low: a.low << by };
    let high = select(long, near.low, near.high);
    let none = places >= 64u32;
    Wide { high: select(none, 0u32, high), low: select(long, 0u32, near.low) }
}

/// `a / 2^places`, unsigned, rounded toward zero, the lowest bit set where anything was cut off.
#[cube]
pub fn shift_right_sticky(a: &Wide, places: u32) -> Wide {
    let long = places >= 32u32;
    let by = places & 31u32;
    let none = places >= 64u32;
    let across = (a.high << 1u32) << (31u32 - by);
    let high = a.high >> by;
    let low = (a.low >> by) | across;
    let cut = a.low & ((1u32 << by) - 1u32);
    let lost = select(long, a.low | (a.high & ((1u32 << by) - 1u32)), cut);
    let rest = select(none, a.high | a.low, lost);
    let kept = select(none, 0u32, select(long, high, low));
    Wide { high: select(long, 0u32, high), low: kept | select(rest != 0u32, 1u32, 0u32) }
}

/// `a 2^exponent` rounded to a format, as its code; `a` is signed, its lowest bit sticky as [`round`] has it.
#[cube]
pub fn from_wide(a: &Wide, exponent: i32, #[comptime] to: Float) -> u32 {
    let negative = a.high >= 0x8000_0000u32;
    magnitude(negative, &negate_wide(a, negative), exponent, to)
}

/// The same of three words.
#[cube]
pub fn from_wide3(a: &Wide3, exponent: i32, #[comptime] to: Float) -> u32 {
    let negative = a.high >= 0x8000_0000u32;
    let size = negate_wide3(a, negative);
    let long = size.high != 0u32;
    let sticky = select(size.low != 0u32, 1u32, 0u32);
    let upper = Wide { high: size.high, low: size.middle | sticky };
    let lower = Wide { high: size.middle, low: size.low };
    let two = Wide { high: select(long, upper.high, lower.high), low: select(long, upper.low, lower.low) };
    magnitude(negative, &two, select(long, exponent + 32i32, exponent), to)
}

/// An unsigned number of two words, with a sign of its own, rounded to a format.
#[cube]
pub fn magnitude(negative: bool, a: &Wide, exponent: i32, #[comptime] to: Float) -> u32 {
    let zeros = min(a.high.leading_zeros(), 31u32);
    let moved = shift_left(a, zeros);
    let long = a.high != 0u32;
    let digits = moved.high | select(moved.low != 0u32, 1u32, 0u32);
    round(negative, select(long, digits, a.low), select(long, exponent + 32i32 - (zeros as i32), exponent), to)
}
