//! Scales that are powers of two, by exponent bits: no logarithm is taken.

use crate::{Encoding, Exact, Scalar, ScaleRule, Value};

/// The fraction field of FP32.
const FRACTION: u32 = 0x007F_FFFF;

/// What a rule for E8M0 scales makes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// The exponent of the scale, in [-127, 127].
    Exponent(i32),
    /// The scale is NaN.
    Nan,
}

/// The exponent of an E8M0 scale for a block whose largest magnitude is the finite `amax`.
pub(crate) fn e8m0(rule: ScaleRule, amax: f32, element: Scalar) -> Shared {
    let clamped = |exponent: i32| Shared::Exponent(exponent.clamp(-127, 127));
    let emax = element.emax();
    let leading = |x: f32| exponent_of(x).unwrap_or(-127 + emax);
    match rule {
        ScaleRule::Ceil => clamped(leading(amax) + i32::from(!is_power_of_two(amax)) - emax),
        ScaleRule::Even => clamped(leading_rounded(amax, element).unwrap_or(-127 + emax) - emax),
        ScaleRule::Rceil => clamped(rceil(amax, element)),
        ScaleRule::FloorLog2 => match log2_bounds(if amax == 0.0 { f32::MIN_POSITIVE } else { amax }).0 - emax {
            128.. => Shared::Nan,
            exponent => clamped(exponent),
        },
        _ => clamped(leading(amax) - emax),
    }
}

/// floor(log2 x); `None` for zero.
fn exponent_of(x: f32) -> Option<i32> {
    Value::from_f32(x).finite().and_then(Exact::leading_exponent)
}

/// Whether x is zero or a power of two.
fn is_power_of_two(x: f32) -> bool {
    Value::from_f32(x).finite().is_none_or(|x| x.significand.count_ones() <= 1)
}

/// floor(log2) of amax rounded to the element's mantissa, halves up; `None` for zero. Adding half a unit to the bits
/// lets a carry move the exponent up; what is below that does not matter here. The largest numbers become 2^128.
fn leading_rounded(amax: f32, element: Scalar) -> Option<i32> {
    let kept = match element.encoding {
        Encoding::Float { mantissa_bits, .. } => mantissa_bits,
        Encoding::Integer { .. } => element.max().significand.ilog2(),
    };
    let half = if kept >= 23 { 0 } else { 1 << (22 - kept) };
    let carried = f32::from_bits(amax.to_bits() + half);
    if carried.is_finite() { exponent_of(carried) } else { Some(128) }
}

/// The exponent of amax * fl32(1 / largest element), rounded up; as `cvt.rp.ue8m0` a product in FP32's subnormal range
/// counts by halves of 2^-126: above the half it is 2^-126, else 2^-127.
fn rceil(amax: f32, element: Scalar) -> i32 {
    let product = amax * (1.0 / Value::Finite(element.max()).to_f32());
    let (field, fraction) = (product.to_bits() >> 23, product.to_bits() & FRACTION);
    match field {
        0 => i32::from(fraction > 0x0040_0000) - 127,
        _ => field as i32 - 127 + i32::from(fraction != 0),
    }
}

/// The block exponent of HBFP and its kin; 0 for an all-zero block, whose exponent means nothing.
pub(crate) fn block_exponent(rule: ScaleRule, amax: f32) -> i32 {
    let Some(leading) = exponent_of(amax).filter(|_| rule != ScaleRule::EnclosingLog2) else {
        return if rule == ScaleRule::EnclosingLog2 { log2_bounds(amax + 1e-8).1 } else { 0 };
    };
    match rule {
        ScaleRule::Above => leading + 1,
        _ => leading + i32::from(!is_power_of_two(amax)),
    }
}

/// floor and ceiling of log2 of a positive finite x, after the logarithm was rounded to FP32 (nearest even).
///
/// Near an integer t the logarithm of x = 2^t (1 + d) is t + d / ln 2, up to 4e-6 of the difference for the |d| < 64 *
/// 2^-23 that matter. It rounds to t where the difference is below half a unit in the last place of t on that side;
/// counted in units of x's own last place the bounds are multiples of ln 2 that no integer comes near.
pub(crate) fn log2_bounds(x: f32) -> (i32, i32) {
    let Some((leading, fraction)) = normalised(x) else { return (-127, -127) };
    let above = u64::from(fraction);
    let below = (1 << 23) - above;
    if above == 0 || rounds_to(leading, above, true) {
        (leading, leading)
    } else if rounds_to(leading + 1, below, false) {
        (leading + 1, leading + 1)
    } else {
        (leading, leading + 1)
    }
}

/// The leading exponent and the 23 bits below it; `None` for zero.
fn normalised(x: f32) -> Option<(i32, u32)> {
    let exact = Value::from_f32(x).finite()?;
    let leading = exact.leading_exponent()?;
    let significand = exact.significand << (23 - exact.significand.ilog2());
    Some((leading, significand as u32 & FRACTION))
}

/// Whether log2 of the number `units` last places above (below) 2^`t` rounds to `t` in FP32. A last place is 2^(t - 23)
/// above and 2^(t - 24) below.
fn rounds_to(t: i32, units: u64, above: bool) -> bool {
    let magnitude = t.unsigned_abs();
    let Some(exponent) = magnitude.checked_ilog2() else { return false };
    // On the side of smaller magnitudes a power of two has units in the last place of half the size.
    let toward_zero = above != (t > 0);
    let ulp_exponent = exponent as i32 - i32::from(toward_zero && magnitude.is_power_of_two());
    // units * 2^-23 (or -24) / ln 2 < 2^(ulp_exponent - 24), with ln 2 = 0.69314718...
    let left = units * if above { 4 } else { 2 } * 100_000_000;
    let right = 69_314_718u64 << (ulp_exponent + 1);
    left < right
}

#[cfg(test)]
mod tests {
    use super::{Shared, e8m0, log2_bounds};
    use crate::{Format, ScaleRule};

    /// Ulps below 2^k at which FP32 log2 still gives k: counted with the reference libraries near these k.
    #[test]
    fn logarithms_round_to_integers() {
        for (k, ulps) in [(1, 0), (4, 1), (8, 2), (20, 11), (100, 44), (-1, 0), (-20, 11), (-100, 44)] {
            let power = f32::from_bits(((k + 127) as u32) << 23);
            let below = |n: u32| f32::from_bits(power.to_bits() - n);
            assert_eq!(log2_bounds(power), (k, k));
            assert_eq!(log2_bounds(below(ulps)), (k, k), "2^{k} less {ulps} ulps");
            assert_eq!(log2_bounds(below(ulps + 1)), (k - 1, k), "2^{k} less {} ulps", ulps + 1);
        }
    }

    /// microxcaling replaces a zero amax, and nothing else, by the smallest normal number before its logarithm, and then
    /// holds the exponent to E8M0's least.
    #[test]
    fn logarithms_of_subnormal_maxima() {
        let element = Format::by_name("mxint8").unwrap().element;
        let exponent = |amax| e8m0(ScaleRule::FloorLog2, amax, element);
        assert_eq!(exponent(0.0), Shared::Exponent(-126));
        assert_eq!(exponent(f32::MIN_POSITIVE), Shared::Exponent(-126));
        // An ulp below 2^-126 is 2^-126 in the logarithm.
        assert_eq!(exponent(f32::from_bits(0x007F_FFFF)), Shared::Exponent(-126));
        for amax in [0x0060_0000, 0x0040_0000, 0x0020_0000, 0x0001_0000, 1].map(f32::from_bits) {
            assert_eq!(exponent(amax), Shared::Exponent(-127), "{amax:e}");
        }
    }
}
