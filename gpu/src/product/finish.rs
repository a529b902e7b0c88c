//! What becomes of an exact sum: scales, roundings, and what is no number.

use super::element::{INFINITE, NAN, NAN_BLOCK, Part, SPECIAL};
use super::unit::Unit;
use crate::bits::{self, FP32, Wide, Wide3};
use cubecl::prelude::*;

/// Of a sum: it has a NaN.
pub const SUM_NAN: u32 = 1;
/// Of a sum: it has +infinity.
pub const SUM_POSITIVE: u32 = 2;
/// Of a sum: it has -infinity.
pub const SUM_NEGATIVE: u32 = 4;
/// Of a sum: it has a product that is not -0.
pub const SUM_OTHER: u32 = 8;

/// What a product adds to the flags of its sum.
#[cube]
pub fn flags(a: &Part, b: &Part) -> u32 {
    let negative = a.negative != b.negative;
    let finite = a.special == 0u32 && b.special == 0u32;
    let zero = (a.special == 0u32 && a.significand == 0i32) || (b.special == 0u32 && b.significand == 0i32);
    let nan = a.special == NAN || b.special == NAN || zero;
    let infinite = select(negative, SUM_NEGATIVE, SUM_POSITIVE);
    let number = select(zero && negative, 0u32, SUM_OTHER);
    select(finite, number, select(nan, SUM_NAN, infinite))
}

/// The scales of a product of two blocks.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scales {
    /// The product of the significands.
    pub factor: i32,
    /// The exponent of the products' last place.
    pub exponent: i32,
    /// Whether the sum may be no number.
    pub special: bool,
}

/// The product of two prepared scales.
#[cube]
pub fn pair(a: u32, b: u32, #[comptime] unit: Unit) -> Scales {
    Scales {
        factor: ((a & 0xFFu32) * (b & 0xFFu32)) as i32,
        exponent: ((a as i32) >> 16i32) + ((b as i32) >> 16i32) + comptime!(i32::new(unit.last_place() as i64)),
        special: ((a | b) & (SPECIAL | NAN_BLOCK)) != 0u32,
    }
}

/// FP32 bits of a block whose flags say that it is no number, under scales `a` and `b`; 0 where it is one.
#[cube]
pub fn special(flags: u32, a: u32, b: u32) -> u32 {
    let both = SUM_POSITIVE | SUM_NEGATIVE;
    let infinite = (flags & both) != 0u32;
    let nothing = (a & 0xFFu32) == 0u32 || (b & 0xFFu32) == 0u32;
    let nan =
        (flags & SUM_NAN) != 0u32 || (flags & both) == both || ((a | b) & NAN_BLOCK) != 0u32 || (infinite && nothing);
    let size = select((flags & SUM_NEGATIVE) != 0u32, 0xFF80_0000u32, 0x7F80_0000u32);
    select(nan, bits::NAN, select(infinite, size, 0u32))
}

/// The accumulator after a block whose exact sum is `sum 2^exponent`; `other` where not all its products are -0.
#[cube]
pub fn accumulate(accumulator: u32, sum: &Wide3, exponent: i32, other: bool, #[comptime] unit: Unit) -> u32 {
    if comptime!(unit.is_fused()) {
        let zero = (sum.high | sum.middle | sum.low) == 0u32;
        let joined = bits::fused_add(sum, exponent, accumulator);
        select(zero && other && accumulator == 0x8000_0000u32, 0u32, joined)
    } else {
        bits::add(accumulator, bits::from_wide3(sum, exponent, FP32))
    }
}

/// The register of a whole sum of integers, as FP32.
#[cube]
pub fn integer(total: &Wide, #[comptime] unit: Unit) -> u32 {
    let low = total.low as i32;
    let mut register = low;
    if comptime!(unit.is_saturating()) {
        let sign = select(low < 0i32, 0xFFFF_FFFFu32, 0u32);
        let end = select(total.high >= 0x8000_0000u32, i32::new(i32::MIN as i64), i32::MAX);
        register = select(total.high == sign, low, end);
    }
    bits::from_i32(register)
}

/// A result with the factors of its row and column, `fl(fl(x w) d)`, and the unit's own NaN.
#[cube]
pub fn scaled(d: u32, x: &[u32], w: &[u32], row: usize, column: usize, #[comptime] unit: Unit) -> u32 {
    let mut number = d;
    if comptime!(unit.positive_zero) {
        number = select(d == 0x8000_0000u32, 0u32, d);
    }
    // Where a side has no factors, its buffer is a single 1.
    let left = x[select(row < x.len(), row, 0usize)];
    let right = w[select(column < w.len(), column, 0usize)];
    let result = bits::mul(bits::mul(left, right), number);
    select((result & 0x7FFF_FFFFu32) > 0x7F80_0000u32, unit.nan, result)
}

/// Whether an element that is no number is in a prepared word's block.
#[cube]
pub fn marks(special: u32) -> u32 {
    select((special & (NAN | INFINITE)) != 0u32, SPECIAL, 0u32)
}
