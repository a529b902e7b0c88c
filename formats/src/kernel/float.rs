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
    /// The largest number, and what greater ones become.
    max: f32,
    beyond: f32,
    /// What magnitudes are held to: the largest number; or, where an overflow has a code of its own, which is the next
    /// one, the number that it would be.
    limit: f32,
    /// The bits of a code but the sign, and where FP32's sign goes.
    magnitude: u32,
    sign_shift: u32,
}

impl Float {
    /// The constants of a float format with a shorter exponent range than FP32's; `None` for others, for other
    /// roundings and for those that overflow to NaN.
    pub(crate) fn new(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let known =
            overflow == Overflow::Saturate || (overflow == Overflow::Infinity && element.infinity_code().is_some());
        let signed = matches!(element.encoding, Encoding::Float { sign: Sign::Signed, specials, .. }
            if specials != Specials::Fnuz);
        Self::coder(element, rounding, overflow).filter(|_| known && signed)
    }

    /// The same for codes only, which FNUZ formats and any overflow to the next code suit too; and for formats without
    /// sign if no number is negative.
    pub(crate) fn coder(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let Encoding::Float { mantissa_bits, bias, subnormals: true, .. } = element.encoding else {
            return None;
        };
        let narrow = element.emax() <= 64 && element.emin() >= -64 && element.bits() <= 16;
        if mantissa_bits == 0 || !narrow || rounding != Rounding::NearestEven || bias > 127 {
            return None;
        }
        let max = Value::Finite(element.max()).to_f32();
        // What overflows is so large that no rounding brings it back; an infinity is no other case.
        let code = |value| element.encode(value, rounding, overflow).map(|code| code as u32);
        let beyond = code(Value::Finite(Exact::integer(1).scaled(4096)))?;
        if code(Value::Infinite { negative: false })? != beyond {
            return None;
        }
        let limit = match beyond.checked_sub(element.max_code() as u32)? {
            0 => max,
            1 => max + power(element.emax() - mantissa_bits as i32),
            _ => return None,
        };
        let magnitude = u32::MAX >> (32 - element.magnitude_bits());
        Some(Self {
            drop: 23 - mantissa_bits,
            floor: ((element.emin() + 127) as u32) << 23,
            max,
            beyond: if overflow == Overflow::Infinity { f32::INFINITY } else { max },
            limit,
            magnitude,
            sign_shift: 31 - element.magnitude_bits(),
        })
    }

    /// Whether the codes are those of E2M1, saturating.
    #[inline(always)]
    pub(crate) fn is_e2m1(self) -> bool {
        let Self { drop, floor, limit, magnitude, .. } = self;
        (drop, floor, magnitude) == (22, 127 << 23, 7) && limit == 6.0
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

    /// The code of the rounded value. The sum lies in the addend's binade, so that its fraction counts the units that
    /// were kept; the exponent's steps above the smallest normal number join as in `cast`. Higher bits are not removed
    /// before the last step, which puts the sign there.
    #[inline(always)]
    pub(crate) fn coded(self, v: f32) -> u32 {
        let code = self.unsigned(v);
        (code & self.magnitude) | ((v.to_bits() >> self.sign_shift) & !self.magnitude)
    }

    /// The same for FNUZ formats, where the code of -0 is NaN, and so is what overflows to it.
    #[inline(always)]
    pub(crate) fn coded_without_minus_zero(self, v: f32) -> u32 {
        let code = self.unsigned(v) & (2 * self.magnitude + 1);
        let sign = (v.to_bits() >> self.sign_shift) & !self.magnitude;
        if code == 0 { 0 } else { code | sign }
    }

    /// The code of the magnitude, and higher bits that mean nothing but for the next one.
    #[inline(always)]
    fn unsigned(self, v: f32) -> u32 {
        let magnitude = least(v.abs(), self.limit);
        let (field, addend) = self.addend(magnitude);
        let kept = (magnitude + addend).to_bits();
        kept.wrapping_add(field >> self.drop).wrapping_sub(self.floor >> self.drop)
    }
}
