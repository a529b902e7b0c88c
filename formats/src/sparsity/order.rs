//! The order of pruning: scores as integers that compare as the scores do.
//!
//! Every NaN has one and the same key, above infinity's: what could not be scored is kept first.

use crate::kernel::{INFINITY, MAGNITUDE};

/// The key of a NaN.
pub(super) const NAN: u32 = INFINITY + 1;

/// The key of a magnitude.
pub(super) fn key(v: f32) -> u32 {
    (v.to_bits() & MAGNITUDE).min(NAN)
}

/// The key of a sum of magnitudes.
pub(super) fn wide_key(sum: f64) -> u64 {
    if sum.is_nan() { u64::MAX } else { sum.to_bits() }
}

/// The key of |a| + |b| without error: the FP64 sum and what its rounding lost (Dekker's Fast2Sum).
///
/// FP64 alone drops the smaller of two FP32 numbers whose exponents are more than 29 apart. Rounding being monotonic,
/// the pair compares as the exact sum does, first part first. FP64 neither overflows nor underflows here, so that only an
/// infinity or a NaN among the two has no such rest.
pub(super) fn pair_key(a: f32, b: f32) -> (u64, f64) {
    let (a, b) = (f64::from(a.abs()), f64::from(b.abs()));
    let (large, small) = if a < b { (b, a) } else { (a, b) };
    let sum = large + small;
    (wide_key(sum), if sum.is_finite() { small - (sum - large) } else { 0.0 })
}
