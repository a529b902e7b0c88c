//! Integers of two and three words in two's complement, and their rounding.

use super::float::{FP32, Float, NAN, normal, round};
use super::word::{carrying_add, wide_product, wrapping_add, wrapping_mul, wrapping_neg};
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

/// `a 2^places` modulo 2^96; nothing is left from 96 places on.
#[cube]
pub fn shift_left3(a: &Wide3, places: u32) -> Wide3 {
    let by = places & 31u32;
    let back = 31u32 - by;
    let words = places >> 5u32;
    let low = a.low << by;
    let middle = (a.middle << by) | ((a.low >> 1u32) >> back);
    let high = (a.high << by) | ((a.middle >> 1u32) >> back);
    let upper = select(words == 0u32, high, select(words == 1u32, middle, select(words == 2u32, low, 0u32)));
    let between = select(words == 0u32, middle, select(words == 1u32, low, 0u32));
    Wide3 { high: upper, middle: between, low: select(words == 0u32, low, 0u32) }
}

/// `a / 2^places`, unsigned, rounded toward zero, the lowest bit set where anything was cut off.
#[cube]
pub fn shift_right_sticky3(a: &Wide3, places: u32) -> Wide3 {
    let by = places & 31u32;
    let back = 31u32 - by;
    let words = places >> 5u32;
    let mask = (1u32 << by) - 1u32;
    let high = a.high >> by;
    let middle = (a.middle >> by) | ((a.high << 1u32) << back);
    let low = (a.low >> by) | ((a.middle << 1u32) << back);
    let kept = select(words == 0u32, low, select(words == 1u32, middle, select(words == 2u32, high, 0u32)));
    let lost1 = a.low | (a.middle & mask);
    let lost2 = a.low | a.middle | (a.high & mask);
    let all = a.low | a.middle | a.high;
    let lost = select(words == 0u32, a.low & mask, select(words == 1u32, lost1, select(words == 2u32, lost2, all)));
    let between = select(words == 0u32, middle, select(words == 1u32, high, 0u32));
    let upper = select(words == 0u32, high, 0u32);
    Wide3 { high: upper, middle: between, low: kept | select(lost != 0u32, 1u32, 0u32) }
}

/// `a b` modulo 2^96.
#[cube]
pub fn times3(a: &Wide3, b: u32) -> Wide3 {
    let (low, middle) = (wide_product(a.low, b), wide_product(a.middle, b));
    let second = carrying_add(middle.low, low.high, 0u32);
    let high = wrapping_add(wrapping_mul(a.high, b), wrapping_add(middle.high, second.carry));
    Wide3 { high, middle: second.sum, low: low.low }
}

/// `a 2^PLACES` for a signed word, modulo 2^96; fewer than 64 places.
#[cube]
pub fn widened(a: i32, #[comptime] places: u32) -> Wide3 {
    let word = a as u32;
    let sign = select(a < 0i32, 0xFFFF_FFFFu32, 0u32);
    let by = comptime!(places % 32);
    let low = word << by;
    let next = (sign << by) | ((word >> 1u32) >> comptime!(31 - places % 32));
    let mut wide = Wide3 { high: sign, middle: next, low };
    if comptime!(places >= 32) {
        wide = Wide3 { high: next, middle: low, low: 0u32 };
    }
    wide
}

/// `a 2^exponent + b` for a signed integer and FP32 bits, rounded once to FP32.
///
/// Both are brought under the leading bit of the larger one, which is put two places below the sign: what falls off the
/// smaller one sets the lowest bit, and then the two are too far apart for more than one leading bit to cancel. `a` has
/// fewer than 80 bits. A sum of exactly zero is +0 unless both are zeros and `b` is -0, which stays.
#[cube]
pub fn fused_add(a: &Wide3, exponent: i32, b: u32) -> u32 {
    let negative = a.high >= 0x8000_0000u32;
    let size = negate_wide3(a, negative);
    let upper = size.high | size.middle;
    let zeros = select(
        size.high != 0u32,
        size.high.leading_zeros(),
        select(upper != 0u32, size.middle.leading_zeros() + 32u32, size.low.leading_zeros() + 64u32),
    );
    let none = (upper | size.low) == 0u32;
    let float = normal(b & 0x7FFF_FFFFu32);
    let empty = float.digits == 0u32;
    let first = exponent + 95i32 - (zeros as i32);
    let second = float.exponent + 31i32;
    let unit = select(none, second, select(empty, first, max(first, second))) - 93i32;
    let one = moved(&size, exponent - unit);
    let two = moved(&Wide3 { high: 0u32, middle: 0u32, low: float.digits }, float.exponent - unit);
    let left = negate_wide3(&one, negative);
    let right = negate_wide3(&two, b >= 0x8000_0000u32);
    let sum = from_wide3(&add_wide3(&left, &right), unit, FP32);
    select(none || (b & 0x7FFF_FFFFu32) >= 0x7F80_0000u32, select(b << 1u32 > 0xFF00_0000u32, NAN, b), sum)
}

/// An unsigned integer moved up or, with a sticky bit, down.
#[cube]
fn moved(a: &Wide3, places: i32) -> Wide3 {
    let up = shift_left3(a, clamp(places, 0i32, 96i32) as u32);
    let down = shift_right_sticky3(a, clamp(0i32 - places, 0i32, 127i32) as u32);
    let raised = places >= 0i32;
    Wide3 {
        high: select(raised, up.high, down.high),
        middle: select(raised, up.middle, down.middle),
        low: select(raised, up.low, down.low),
    }
}

/// `a 2^exponent` rounded to a format, as its code; `a` is signed, its lowest bit sticky as [`round()`] has it.
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
