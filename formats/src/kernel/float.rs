//! Rounding to a narrow float by one FP32 addition: nearest even only.

use super::{INFINITY, MAGNITUDE, least, power};
use crate::{Encoding, Exact, Overflow, Rounding, Scalar, Sign, Specials, Value};

/// Rounding to a narrow float, without scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Float {
    /// FP32 fraction bits that the format drops.
    drop: u32,
    /// Exponent field, in place, of the smallest normal number.
    floor: u32,
    /// The largest number; what greater ones become; and the code of that.
    max: f32,
    beyond: f32,
    max_code: u32,
    beyond_code: u32,
    /// A bound on inputs that keeps the sum in `round` finite and still overflows.
    limit: f32,
    sign_shift: u32,
}

impl Float {
    /// The constants of a float format with a shorter exponent range than FP32's; `None` for others, for other
    /// roundings and for those that overflow to NaN.
    pub(crate) fn new(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let known =
            overflow == Overflow::Saturate || (overflow == Overflow::Infinity && element.infinity_code().is_some());
        Self::coder(element, rounding, overflow).filter(|_| known)
    }

    /// The same for codes only: any overflow.
    pub(crate) fn coder(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let Encoding::Float { mantissa_bits, bias, sign, specials, subnormals, .. } = element.encoding else {
            return None;
        };
        let plain = sign == Sign::Signed && specials != Specials::Fnuz && subnormals && mantissa_bits > 0;
        let narrow = element.emax() <= 64 && element.emin() >= -64 && element.bits() <= 16;
        if !plain || !narrow || rounding != Rounding::NearestEven || bias > 127 {
            return None;
        }
        let max = Value::Finite(element.max()).to_f32();
        // What overflows is so large that no rounding brings it back.
        let huge = Value::Finite(Exact::integer(1).scaled(4096));
        let beyond_code = element.encode(huge, rounding, overflow)? as u32;
        Some(Self {
            drop: 23 - mantissa_bits,
            floor: ((element.emin() + 127) as u32) << 23,
            max,
            beyond: if overflow == Overflow::Infinity { f32::INFINITY } else { max },
            max_code: element.max_code() as u32,
            beyond_code,
            limit: power(element.emax() + 1),
            sign_shift: 32 - element.bits(),
        })
    }

    /// The exponent field that counts, in place, and the addend of `round`.
    #[inline(always)]
    fn addend(self, magnitude: f32) -> (u32, f32) {
        let field = (magnitude.to_bits() & INFINITY).max(self.floor);
        (field, f32::from_bits(field + (self.drop << 23)))
    }

    /// The rounded magnitude. The addend is 2^23 units of the last place that `v` keeps, so that the sum's own last
    /// place is that unit: the addition rounds to nearest even and the subtraction is exact.
    #[inline(always)]
    fn round(self, v: f32) -> f32 {
        let magnitude = least(v.abs(), self.limit);
        let (_, addend) = self.addend(magnitude);
        let rounded = (magnitude + addend) - addend;
        if rounded > self.max { self.beyond } else { rounded }
    }

    /// The rounded value.
    #[inline(always)]
    pub(crate) fn rounded(self, v: f32) -> f32 {
        f32::from_bits(self.round(v).to_bits() | (v.to_bits() & !MAGNITUDE))
    }

    /// The code of the rounded value. The sum lies in the addend's binade, so that the difference of their bits counts
    /// the units that were kept; the exponent's steps above the smallest normal number join as in `cast`.
    #[inline(always)]
    pub(crate) fn coded(self, v: f32) -> u32 {
        let magnitude = least(v.abs(), self.limit);
        let (field, addend) = self.addend(magnitude);
        let kept = (magnitude + addend).to_bits() - addend.to_bits();
        let code = kept + ((field - self.floor) >> self.drop);
        let code = if code > self.max_code { self.beyond_code } else { code };
        code | ((v.to_bits() & !MAGNITUDE) >> self.sign_shift)
    }
}
