//! Elements as the adder sees them: a signed integer and the exponent that it presents.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::unit::Port;
use cubecl::prelude::*;

/// The exponent of a zero: a product with one is below every floor, whatever the scales.
pub const ZERO: i32 = -0x1000;
/// The exponent of an infinity or a NaN: a product with one is above [`FINITE`], zeros included.
pub const SPECIAL: i32 = 0x4000;
/// The exponent of a NaN scale: above [`FINITE`] even with two zeros.
pub const NAN_SCALE: i32 = 0x8000;
/// Products of finite elements and scales present less than this.
pub const FINITE: i32 = 0x1000;
/// Less than any product presents.
pub const NOTHING: i64 = 4 * ZERO as i64;

/// An element of an operand.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// What it is aligned by; [`ZERO`] or [`SPECIAL`] where it is no number other than 0.
    pub exponent: i32,
    /// Its value in units of the last place below that exponent; 0 for NaN, 1 with the sign for infinities.
    pub significand: i32,
    /// Whether the format has this number.
    pub known: bool,
}

/// The element that FP32 bits stand for.
#[cube]
pub fn element(bits: u32, #[comptime] port: Port) -> Element {
    let ignored = comptime!(u32::MAX << port.ignored_bits);
    let least = comptime!(port.last_place + port.precision - 1);
    let precision = port.precision;
    let read = bits & ignored;
    let magnitude = read & 0x7FFF_FFFFu32;
    let field = (magnitude >> 23u32) as i32;
    let own = max(field, 1i32) - 127i32;
    let digits = (magnitude & 0x7F_FFFFu32) | select(field > 0i32, 0x80_0000u32, 0u32);
    let presented = max(own, port.emin);
    let spare = min(comptime!(24 - precision) + presented - own, 31i32);
    let significand = (digits >> (spare as u32)) as i32;
    // The last place that the format has at this size, above the register's own last place.
    let unused = min(comptime!(24 - precision) + max(own, least) - own, 31i32);
    let clear = digits & ((1u32 << (unused as u32)) - 1u32) == 0u32;

    let nan = magnitude > 0x7F80_0000u32;
    let infinite = magnitude == 0x7F80_0000u32;
    let finite = magnitude < 0x7F80_0000u32;
    let size = select(finite, significand, select(nan, 0i32, 1i32));
    let zero = magnitude == 0u32;
    let number = finite && clear && magnitude <= port.largest;
    let has_infinity = port.infinity;
    let has_nan = port.nan;
    Element {
        exponent: select(finite, select(zero, ZERO, presented), SPECIAL),
        significand: select(read >> 31u32 == 1u32, 0i32 - size, size),
        known: number || (infinite && has_infinity) || (nan && has_nan),
    }
}

/// An element as one word, as kernels keep it: the exponent above, the significand below.
#[cube]
pub fn word(exponent: i32, significand: i32) -> u32 {
    ((exponent as u32) << 16u32) | ((significand as u32) & 0xFFFFu32)
}

/// The exponent of a word.
#[cube]
pub fn exponent(word: u32) -> i32 {
    (word as i32) >> 16i32
}

/// The significand of a word.
#[cube]
pub fn significand(word: u32) -> i32 {
    ((word << 16u32) as i32) >> 16i32
}
