//! For exhaustive checkers: the exponent of an E8M0 scale by the fast path and by the reference path.

use crate::kernel::Exponents;
use crate::power::{self, Shared};
use crate::{Format, Scalar, ScaleRule};

/// Whether the fast path takes the scales of a format from amax by itself, rather than by the reference path.
pub fn has_fast_exponents(format: &Format) -> bool {
    Exponents::new(format).is_some()
}

/// The exponents that the fast path gives blocks whose largest magnitudes have these (finite, positive) bits, for the
/// rules of E8M0 scales; 128 stands for NaN.
pub fn fast_exponents(rule: ScaleRule, element: Scalar, amax_bits: &[u32]) -> Vec<i32> {
    let exponents = Exponents::of(rule, element);
    amax_bits.iter().map(|&bits| exponents.exponent(bits)).collect()
}

/// The same of one block by the reference path.
pub fn slow_exponent(rule: ScaleRule, element: Scalar, amax_bits: u32) -> i32 {
    match power::e8m0(rule, f32::from_bits(amax_bits), element) {
        Shared::Exponent(exponent) => exponent,
        Shared::Nan => 128,
    }
}

/// The block exponents of the rules for [`Scale::Exponent`](crate::Scale::Exponent) by the fast path, of 16 bits.
pub fn fast_block_exponents(rule: ScaleRule, element: Scalar, amax_bits: &[u32]) -> Vec<i32> {
    let exponents = Exponents::of(rule, element);
    amax_bits.iter().map(|&bits| exponents.unheld(bits)).collect()
}

/// The same of one block by the reference path.
pub fn slow_block_exponent(rule: ScaleRule, amax_bits: u32) -> i32 {
    power::block_exponent(rule, f32::from_bits(amax_bits))
}
