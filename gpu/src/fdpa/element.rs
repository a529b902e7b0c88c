//! Elements as the adder sees them: a signed integer and the exponent that it presents.
#![allow(missing_docs)] // `cube` makes modules and types beside what is documented here.

use super::unit::{Port, ScalePort};
use cubecl::prelude::*;

/// The exponent of a zero: a product with one is below every floor, whatever the scales.
pub const ZERO: i32 = -0x1000;
/// The exponent of an infinity, a NaN or a NaN scale: a product with one is above [`FINITE`], zeros included.
pub const SPECIAL: i32 = 0x4000;
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

/// A scale as an element: a number without a sign, or NaN.
#[cube]
pub fn scale(code: u32, #[comptime] port: ScalePort) -> Element {
    match comptime!(port) {
        ScalePort::Power => {
            let nan = code == 0x8000_0000u32;
            Element { exponent: select(nan, SPECIAL, code as i32), significand: select(nan, 0i32, 1i32), known: true }
        }
        ScalePort::Code { width, fraction_bits, bias, subnormals, nan } => {
            let read = code & comptime!((1u32 << width) - 1);
            let field = (read >> fraction_bits) as i32;
            let least = comptime!(if subnormals { 1i32 } else { 0i32 });
            let hidden = select(field >= least, comptime!(1u32 << fraction_bits), 0u32);
            let size = ((read & comptime!((1u32 << fraction_bits) - 1)) | hidden) as i32;
            let presented = select(size == 0i32, ZERO, max(field, least) - bias);
            Element {
                exponent: select(read == nan, SPECIAL, presented),
                significand: select(read == nan, 0i32, size),
                known: true,
            }
        }
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
