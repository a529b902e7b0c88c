//! Which machine register of the host holds the sums of a unit exactly.

use super::operand::Prepared;
use crate::exact::power_of_two;

/// Where sums are split between two FP64 registers, in bits above their last place.
const SPLIT: i32 = 40;

/// A register that every partial sum of a block fits without rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Register {
    /// 32-bit integers, and FP32 after them.
    Bytes {
        /// What the integers count: the product of the two last places.
        unit: f64,
    },
    /// FP32.
    Single,
    /// FP64.
    Double,
    /// Two FP64 registers, the coarse one starting at `bias`.
    Split {
        /// See [`SplitBlocks`](crate::kernel::SplitBlocks).
        bias: f64,
    },
}

/// The largest product of two elements, in units of the product of the two last places; at least 1.
pub(super) fn largest_product(x: &Prepared, w: &Prepared) -> u128 {
    (x.units * w.units).max(1)
}

/// Products of two elements that FP32 sums exactly, in any order: see [`Register::of`].
pub(super) fn exact_run(x: &Prepared, w: &Prepared) -> usize {
    ((1u128 << 24) / largest_product(x, w)) as usize
}

impl Register {
    /// The narrowest register that is exact for two operands.
    ///
    /// All products of a block are multiples of the product `u` of the two grids' last places, so every partial sum, in
    /// any order, is an integer times `u` of magnitude at most `steps * max|a| max|b|`. A significand of p bits holds
    /// all integers up to 2^p, hence the conditions `<= 2^24` and `<= 2^53`. `u` itself is a power of two far inside
    /// both exponent ranges (elements have at most 8 bits), so nothing underflows or overflows.
    ///
    /// Elements that are integers of 8 bits times their last place have products of at most 2^14 `u`, of which 2^10 sum to
    /// 2^24 `u`. Integer kernels count sums in `u`, so that `u` is one more factor; they read four elements at a time.
    ///
    /// In FP32 the block factor 2^(ea+eb) must be exact too: it and its parts are normal numbers when all exponents
    /// in question lie within -126 to 127. In FP64 they always are, as |ea + eb| < 1000 for exponents of 10 bits.
    ///
    /// Two FP64 registers split each sum at `2^SPLIT u`: the coarse one needs sums below `2^(51 + SPLIT) u`, rounding of
    /// each product included, the fine one at most `2^(53 - SPLIT)` terms. Wider formats have no register here.
    pub fn of(x: &Prepared, w: &Prepared) -> Option<Self> {
        let product = largest_product(x, w);
        let normal = |low: i32, high: i32| low >= -126 && high <= 127;
        let factors = |unit: i32| {
            normal(unit, unit)
                && normal(x.exponents.0, x.exponents.1)
                && normal(w.exponents.0 + unit, w.exponents.1 + unit)
                && normal(x.exponents.0 + w.exponents.0 + unit, x.exponents.1 + w.exponents.1 + unit)
        };
        let length = x.block_length as u128;
        let unit = x.last_place + w.last_place;
        let bytes = x.bytes && w.bytes && x.block_length.is_multiple_of(4) && x.block_length <= 1 << 10;
        if bytes && factors(unit) {
            Some(Self::Bytes { unit: power_of_two(unit) })
        } else if x.block_length <= exact_run(x, w) && factors(0) {
            Some(Self::Single)
        } else if length <= (1u128 << 53) / product {
            Some(Self::Double)
        } else if length <= 1 << (53 - SPLIT) && product + (1 << SPLIT) <= (1u128 << (51 + SPLIT)) / length {
            Some(Self::Split { bias: 1.5 * power_of_two(52 + SPLIT + x.last_place + w.last_place) })
        } else {
            None
        }
    }
}
