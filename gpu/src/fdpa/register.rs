//! The accumulator between steps, and the one rounding of a step.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::Wide;
use super::element::ZERO;
use super::unit::Rounded;
use crate::bits::float::{self, FP32};
use cubecl::prelude::*;

/// A sum has a NaN.
pub const NAN: u32 = 1;
/// A sum has +infinity.
pub const POSITIVE_INFINITY: u32 = 2;
/// A sum has -infinity.
pub const NEGATIVE_INFINITY: u32 = 4;

/// An accumulator: a number, or what [flags](NAN) say where they are not 0.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// In units of the last place below the exponent, with the sign.
    pub significand: i32,
    /// What it is aligned by; [`ZERO`] for 0.
    pub exponent: i32,
    /// What the sum had that is no number.
    pub flags: u32,
}

/// +0.
#[cube]
pub fn zero() -> Register {
    Register { significand: 0i32, exponent: ZERO, flags: 0u32 }
}

/// The same.
#[cube]
pub fn copied(register: &Register) -> Register {
    Register { significand: register.significand, exponent: register.exponent, flags: register.flags }
}

/// The sum of a step as a sign and a magnitude: `size 2^up`, with its lowest bit set where bits below it were cut off.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Magnitude {
    /// The sign.
    pub negative: bool,
    /// The magnitude.
    pub size: u32,
    /// The exponent of its last place above that of the sum.
    pub up: i32,
}

/// A sum of 32 bits.
#[cube]
pub fn narrow(sum: i32) -> Magnitude {
    Magnitude { negative: sum < 0i32, size: max(sum, 0i32 - sum) as u32, up: 0i32 }
}

/// A sum of up to 34 bits.
#[cube]
pub fn wide(sum: &Wide) -> Magnitude {
    let high = sum.high + (sum.low >> 16i32);
    let low = sum.low & 0xFFFFi32;
    let negative = high < 0i32;
    let borrow = select(low != 0i32, 1i32, 0i32);
    let upper = select(negative, 0i32 - high - borrow, high) as u32;
    let lower = select(negative, (0x1_0000i32 - low) & 0xFFFFi32, low) as u32;
    let long = upper >= 0x1_0000u32;
    let cut = (upper << 14u32) | (lower >> 2u32) | select(lower & 3u32 != 0u32, 1u32, 0u32);
    Magnitude { negative, size: select(long, cut, (upper << 16u32) | lower), up: select(long, 2i32, 0i32) }
}

/// A number rounded to a format; `place` is the exponent of the last place of the sum that it is.
#[cube]
pub fn round(number: Magnitude, place: i32, #[comptime] to: Rounded) -> Register {
    let fraction = comptime!(to.precision - 1);
    let first = place + number.up;
    let digits = 32i32 - (number.size.leading_zeros() as i32);
    let last = max(first + digits - 1i32, to.emin) - fraction;
    let shift = last - first;
    // Shifts stay below 32 places; 32 places are two shifts, and beyond them nothing is left, not even half a last place.
    let less = (max(min(shift, 32i32), 1i32) - 1i32) as u32;
    let down = (number.size >> less) >> 1u32;
    let mut rounded = down;
    if comptime!(to.nearest) {
        let rest = number.size - ((down << less) << 1u32);
        let half = 1u32 << less;
        let more = rest > half || (rest == half && down & 1u32 == 1u32);
        rounded = select(shift > 32i32, 0u32, down + select(more, 1u32, 0u32));
    }
    let up = number.size << (max(min(0i32 - shift, 31i32), 0i32) as u32);
    register(select(shift > 0i32, rounded, up), last + fraction, number.negative, to)
}

/// A rounded magnitude of at most `2^precision` as a register.
#[cube]
fn register(kept: u32, exponent: i32, negative: bool, #[comptime] to: Rounded) -> Register {
    let carried = kept == comptime!(1u32 << to.precision);
    let size = select(carried, kept >> 1u32, kept) as i32;
    let presented = select(carried, exponent + 1i32, exponent);
    let beyond = presented > to.emax && size != 0i32;
    let infinite = to.infinite;
    let sign = select(negative, NEGATIVE_INFINITY, POSITIVE_INFINITY);
    let bounded = select(beyond, comptime!((1i32 << to.precision) - 1), size);
    Register {
        significand: select(negative, 0i32 - bounded, bounded),
        exponent: select(size == 0i32, ZERO, min(presented, to.emax)),
        flags: select(beyond && infinite, sign, 0u32),
    }
}

/// The sum of two registers, of `from` and of `to`, rounded to `to`: one addition as IEEE 754 defines it.
///
/// The smaller number is moved down below six spare places of the larger one; what leaves them sets the lowest bit. At
/// most one leading bit cancels where the two are more than a place apart, so that bit stays below the rounding's half.
#[cube]
pub fn join(result: &Register, before: &Register, #[comptime] from: Rounded, #[comptime] to: Rounded) -> Register {
    let result_digits = result.significand << comptime!(6 + to.precision - from.precision);
    let before_digits = before.significand << 6i32;
    let greater = max(result.exponent, before.exponent);
    let sum = lowered(result_digits, greater - result.exponent) + lowered(before_digits, greater - before.exponent);
    let number = Magnitude { negative: sum < 0i32, size: max(sum, 0i32 - sum) as u32, up: 0i32 };
    let rounded = round(number, greater - comptime!(to.precision + 5), to);
    let before_flags = result.flags | before.flags;
    Register {
        significand: rounded.significand,
        exponent: rounded.exponent,
        flags: select(before_flags == 0u32, rounded.flags, before_flags),
    }
}

/// Digits moved down, with the lowest bit set where bits were cut off.
#[cube]
fn lowered(digits: i32, distance: i32) -> i32 {
    let magnitude = max(digits, 0i32 - digits);
    let places = min(distance, 31i32);
    let kept = magnitude >> places;
    let rest = magnitude - (kept << places);
    let size = kept | select(rest != 0i32, 1i32, 0i32);
    select(digits < 0i32, 0i32 - size, size)
}

/// The FP32 bits of a register; a zero is +0.
#[cube]
pub fn bits(register: &Register, #[comptime] of: Rounded, #[comptime] nan: u32) -> u32 {
    let negative = register.significand < 0i32;
    let magnitude = max(register.significand, 0i32 - register.significand) as u32;
    // FP32 has every number of a register, so that this rounds nothing.
    let finite = float::round(negative, magnitude, register.exponent - comptime!(of.precision - 1), FP32);
    let infinite = select(register.flags == NEGATIVE_INFINITY, 0xFF80_0000u32, 0x7F80_0000u32);
    let one = register.flags == POSITIVE_INFINITY || register.flags == NEGATIVE_INFINITY;
    select(register.flags == 0u32, finite, select(one, infinite, nan))
}
