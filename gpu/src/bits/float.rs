//! Rounding to FP32 and FP16, and FP32's own operations to nearest even.

use super::word::{wide_product, wrapping_neg};
use cubecl::prelude::*;

/// The NaN of results.
pub const NAN: u32 = 0x7FC0_0000;
const INFINITY: u32 = 0x7F80_0000;
const SIGN: u32 = 0x8000_0000;

/// A binary format of IEEE 754 and how numbers are rounded to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Float {
    /// Fraction bits of a code.
    pub fraction_bits: u32,
    /// Least exponent of normal numbers; minus the bias, plus 1.
    pub emin: i32,
    /// Code of infinity; the sign bit is the one above.
    pub infinity: u32,
    /// To nearest, ties to even, infinity beyond the largest number; else toward zero, the largest number beyond it.
    pub nearest: bool,
}

/// FP32 to nearest even.
pub const FP32: Float = Float { fraction_bits: 23, emin: -126, infinity: INFINITY, nearest: true };
/// FP32 toward zero.
pub const FP32_TOWARD_ZERO: Float = Float { nearest: false, ..FP32 };
/// FP16 to nearest even; a code is the lower half of a word.
pub const FP16: Float = Float { fraction_bits: 10, emin: -14, infinity: 0x7C00, nearest: true };

impl Float {
    /// The sign bit of a code.
    pub const fn sign(self) -> u32 {
        // Infinity has all bits of the exponent.
        self.infinity + (1 << self.fraction_bits)
    }
}

/// `significand * 2^exponent` rounded to a format, as its code; a significand of 0 is a zero of that sign.
///
/// The significand's lowest bit may stand for anything below it ("sticky") where it has 26 bits or more.
#[cube]
pub fn round(negative: bool, significand: u32, exponent: i32, #[comptime] to: Float) -> u32 {
    let fraction_bits = to.fraction_bits;
    let emin = to.emin;
    let infinity = to.infinity;
    // A shift by 32 places is none on any device; a zero has none to move.
    let zeros = min(significand.leading_zeros(), 31u32);
    let digits = significand << zeros;
    let leading = exponent + 31i32 - (zeros as i32);
    let lowest = max(leading, emin);
    let drop = clamp(comptime!(31 - fraction_bits as i32) + lowest - leading, 1i32, 33i32) as u32;
    let below = min(drop - 1u32, 31u32);
    let half = 1u32 << below;
    let kept = select(drop > 32u32, 0u32, (digits >> below) >> 1u32);
    let rest = digits & (half | (half - 1u32));
    let mut up = 0u32;
    if comptime!(to.nearest) {
        let more = rest > half || (rest == half && (kept & 1u32) == 1u32);
        up = select(more && drop <= 32u32, 1u32, 0u32);
    }
    // The hidden bit, and a carry out of the rounding, add one to the exponent field.
    let largest = comptime!((infinity >> fraction_bits) as i32 - 1);
    let field = clamp(lowest - emin, 0i32, largest) as u32;
    let size = min((field << fraction_bits) + kept + up, infinity);
    let beyond = lowest - emin > largest - 1i32 && significand != 0u32;
    let bounded = bound(size, beyond, to);
    select(significand == 0u32, 0u32, bounded) | select(negative, comptime!(to.sign()), 0u32)
}

/// The code of a number beyond the largest, else `size`.
#[cube]
fn bound(size: u32, beyond: bool, #[comptime] to: Float) -> u32 {
    let infinity = to.infinity;
    let mut code = select(beyond, infinity, size);
    if comptime!(!to.nearest) {
        code = select(beyond || size == infinity, infinity - 1u32, size);
    }
    code
}

/// The number as FP32: exact up to 24 bits, to nearest even beyond.
#[cube]
pub fn from_i32(x: i32) -> u32 {
    let bits = x as u32;
    let negative = x < 0i32;
    round(negative, select(negative, wrapping_neg(bits), bits), 0i32, FP32)
}

/// A finite number that is not zero, its highest bit moved to bit 31: `digits * 2^exponent`.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normal {
    /// The significand.
    pub digits: u32,
    /// The exponent of its lowest bit.
    pub exponent: i32,
}

/// The parts of a finite number; the sign is not looked at.
#[cube]
pub fn normal(bits: u32) -> Normal {
    let field = ((bits >> 23u32) & 0xFFu32) as i32;
    let significand = (bits & 0x7F_FFFFu32) | select(field > 0i32, 0x80_0000u32, 0u32);
    let zeros = min(significand.leading_zeros(), 31u32);
    Normal { digits: significand << zeros, exponent: max(field, 1i32) - 150i32 - (zeros as i32) }
}

/// `a * b` in FP32.
#[cube]
pub fn mul(a: u32, b: u32) -> u32 {
    let (x, y) = (a & 0x7FFF_FFFFu32, b & 0x7FFF_FFFFu32);
    let sign = (a ^ b) & SIGN;
    let (left, right) = (normal(x), normal(y));
    let product = wide_product(left.digits, right.digits);
    let digits = product.high | select(product.low != 0u32, 1u32, 0u32);
    let finite = round(sign != 0u32, digits, left.exponent + right.exponent + 32i32, FP32);
    let (least, most) = (min(x, y), max(x, y));
    let nan = most > INFINITY || (most == INFINITY && least == 0u32);
    select(nan, NAN, select(most == INFINITY, sign | INFINITY, finite))
}

/// `a / b` in FP32.
#[cube]
pub fn div(a: u32, b: u32) -> u32 {
    let (x, y) = (a & 0x7FFF_FFFFu32, b & 0x7FFF_FFFFu32);
    let sign = (a ^ b) & SIGN;
    let (left, right) = (normal(x), normal(y));
    // Significands of 24 bits; a divisor of zero is decided below, and must only not divide here.
    let divisor = max(right.digits >> 8u32, 1u32);
    let dividend = left.digits >> 8u32;
    let one = dividend / divisor;
    let first = (dividend % divisor) << 8u32;
    let second = (first % divisor) << 8u32;
    let third = (second % divisor) << 8u32;
    let fourth = (third % divisor) << 2u32;
    let upper = (one << 24u32) + ((first / divisor) << 16u32) + ((second / divisor) << 8u32) + third / divisor;
    let quotient = (upper << 2u32) + fourth / divisor;
    let rest = fourth % divisor;
    let digits = quotient | select(rest != 0u32, 1u32, 0u32);
    let finite = round(sign != 0u32, digits, left.exponent - right.exponent - 26i32, FP32);
    let nan = x > INFINITY || y > INFINITY || (x == INFINITY && y == INFINITY) || (x == 0u32 && y == 0u32);
    let infinite = x == INFINITY || y == 0u32;
    let zero = x == 0u32 || y == INFINITY;
    select(nan, NAN, select(infinite, sign | INFINITY, select(zero, sign, finite)))
}

/// `a + b` in FP32.
///
/// The smaller number is moved down under three spare places of the larger one; what leaves them sets the lowest bit.
/// Where that happens, the numbers are so far apart that at most one leading bit cancels, and 26 bits stay.
#[cube]
pub fn add(a: u32, b: u32) -> u32 {
    let (x, y) = (a & 0x7FFF_FFFFu32, b & 0x7FFF_FFFFu32);
    let sign = select(y > x, b, a) & SIGN;
    let other = (a ^ b) & SIGN;
    let (less, more) = (min(x, y), max(x, y));
    let (below, above) = (less >> 23u32, more >> 23u32);
    let small = ((less & 0x7F_FFFFu32) | select(below > 0u32, 0x80_0000u32, 0u32)) << 3u32;
    let large = ((more & 0x7F_FFFFu32) | select(above > 0u32, 0x80_0000u32, 0u32)) << 3u32;
    let field = max(above, 1u32);
    let distance = min(field - max(below, 1u32), 31u32);
    let kept = small >> distance;
    let lost = small & ((1u32 << distance) - 1u32);
    let moved = kept | select(lost != 0u32, 1u32, 0u32);
    let opposite = other != 0u32;
    let sum = select(opposite, large - moved, large + moved);
    let negative = sign != 0u32 && !(opposite && sum == 0u32);
    let finite = round(negative, sum, (field as i32) - 153i32, FP32);
    let nan = more > INFINITY || (less == INFINITY && opposite);
    select(nan, NAN, select(more == INFINITY, sign | INFINITY, finite))
}
