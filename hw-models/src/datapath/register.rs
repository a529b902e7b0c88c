//! Which machine register of the host holds the sums of a unit exactly.

use super::operand::Prepared;

/// A register that every partial sum of a block fits without rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// FP32.
    Single,
    /// FP64.
    Double,
    /// The long accumulator.
    Wide,
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
    /// In FP32 the block factor 2^(ea+eb) must be exact too: it and its two halves are normal numbers when all exponents
    /// in question lie within -126 to 127. In FP64 they always are, as |ea + eb| < 1000 for exponents of 10 bits.
    pub fn of(x: &Prepared, w: &Prepared) -> Self {
        let normal = |low: i32, high: i32| low >= -126 && high <= 127;
        let factors = normal(x.exponents.0, x.exponents.1)
            && normal(w.exponents.0, w.exponents.1)
            && normal(x.exponents.0 + w.exponents.0, x.exponents.1 + w.exponents.1);
        if x.block_length <= exact_run(x, w) && factors {
            Self::Single
        } else if x.block_length as u128 <= (1u128 << 53) / largest_product(x, w) {
            Self::Double
        } else {
            Self::Wide
        }
    }
}
