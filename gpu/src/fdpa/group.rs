//! Exact groups of 4-bit products, times their scales, as terms of a sum of up to 54 bits.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::align::Wide;
use super::element::{FINITE, NOTHING, exponent, significand};
use super::register::{Magnitude, Register, round};
use super::unit::Grouped;
use cubecl::prelude::*;

/// An element as an integer, in units of the last place of the format's smallest numbers.
#[cube]
pub fn integer(word: u32) -> i32 {
    significand(word) << max(exponent(word), 0i32)
}

/// The exponent that a group presents: that of its two scales, unless no product of elements is other than zero.
#[cube]
pub fn presented(x_scale: u32, w_scale: u32, any: bool) -> i32 {
    let sum = exponent(x_scale) + exponent(w_scale);
    select(any || sum > FINITE, sum, i32::new(NOTHING))
}

/// `number 2^up`, cut toward zero, of at most 26 bits above the lower 24; both parts have the number's sign.
#[cube]
pub fn placed(number: i32, up: i32) -> Wide {
    let size = max(number, 0i32 - number);
    // Shifts stay below 32 places either way; the lower part is empty from 24 places on.
    let right = min(max(0i32 - up, 0i32), 31i32);
    let left = min(max(up, 0i32), 31i32);
    let low = ((((size >> right) as u32) << (left as u32)) & 0xFF_FFFFu32) as i32;
    let over = min(max(up - 24i32, 0i32), 31i32);
    let under = min(max(24i32 - up, 0i32), 31i32);
    let high = (size >> under) << over;
    Wide { high: select(number < 0i32, 0i32 - high, high), low: select(number < 0i32, 0i32 - low, low) }
}

/// The term of a group: `sum` are its products in quarters, `distance` how far its exponent is below the common one.
#[cube]
pub fn term(sum: i32, x_scale: u32, w_scale: u32, distance: i32, #[comptime] unit: Grouped) -> Wide {
    // The last place of both elements, then that of both scales.
    let up = comptime!(unit.fraction_bits - 2 - 2 * (unit.scaling.precision() - 1));
    placed(sum * (significand(x_scale) * significand(w_scale)), up - distance)
}

/// The exponent that the terms of a step are aligned to.
#[cube]
pub fn common(highest: i32, register: i32, #[comptime] unit: Grouped) -> i32 {
    max(max(highest, register), unit.floor)
}

/// A sum `high 2^24 + low` as a sign and a magnitude.
#[cube]
pub fn magnitude(sum: &Wide) -> Magnitude {
    let high = sum.high + (sum.low >> 24i32);
    let low = sum.low & 0xFF_FFFFi32;
    let negative = high < 0i32;
    let borrow = select(low != 0i32, 1i32, 0i32);
    let upper = select(negative, 0i32 - high - borrow, high) as u32;
    let lower = select(negative, (0x100_0000i32 - low) & 0xFF_FFFFi32, low) as u32;
    let moved = min(upper.leading_zeros(), 24u32);
    let cut = 24u32 - moved;
    let rest = lower - ((lower >> cut) << cut);
    let size = (upper << moved) | (lower >> cut) | select(rest != 0u32, 1u32, 0u32);
    Magnitude { negative, size, up: cut as i32 }
}

/// The accumulator after a step: `terms` are those of its groups, `special` what is no number among them.
#[cube]
pub fn finish(terms: &Wide, common: i32, before: &Register, special: u32, #[comptime] unit: Grouped) -> Register {
    let up = comptime!(unit.fraction_bits - unit.rounded.precision + 1);
    let held = placed(before.significand, up - (common - before.exponent));
    let sum = Wide { high: terms.high + held.high, low: terms.low + held.low };
    let after = round(magnitude(&sum), common - unit.fraction_bits, unit.rounded);
    let flags = before.flags | special;
    Register {
        significand: after.significand,
        exponent: after.exponent,
        flags: select(flags == 0u32, after.flags, flags),
    }
}
