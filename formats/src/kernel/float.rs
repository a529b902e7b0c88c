//! Rounding to a narrow float by one FP32 addition: nearest even only.

use super::{INFINITY, MAGNITUDE, least, power};
use crate::{Encoding, Overflow, Rounding, Scalar, Sign, Specials, Value};

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
    beyond_code: u32,
    /// A bound on inputs that keeps the sum in `round` finite and still overflows.
    limit: f32,
    min_normal: f32,
    /// 2^-lsb_min: turns a subnormal into its code.
    subnormal_units: f32,
    /// What the exponent field of FP32 exceeds the format's by, in place in a code.
    rebias: u32,
    sign_shift: u32,
}

impl Float {
    /// The constants of a float format with a shorter exponent range than FP32's; `None` for others, for other
    /// roundings and for those that overflow to NaN.
    pub(crate) fn new(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let Encoding::Float { mantissa_bits, bias, sign, specials, subnormals, .. } = element.encoding else {
            return None;
        };
        let plain = sign == Sign::Signed && specials != Specials::Fnuz && subnormals && mantissa_bits > 0;
        let narrow = element.emax() <= 64 && element.emin() >= -64 && element.bits() <= 16;
        let special = overflow == Overflow::Infinity;
        let infinity = element.infinity_code().filter(|_| special);
        let known = overflow == Overflow::Saturate || infinity.is_some();
        if !plain || !narrow || !known || rounding != Rounding::NearestEven || bias > 127 {
            return None;
        }
        let max = Value::Finite(element.max()).to_f32();
        Some(Self {
            drop: 23 - mantissa_bits,
            floor: ((element.emin() + 127) as u32) << 23,
            max,
            beyond: if infinity.is_some() { f32::INFINITY } else { max },
            beyond_code: infinity.unwrap_or(element.max_code()) as u32,
            limit: power(element.emax() + 1),
            min_normal: power(element.emin()),
            subnormal_units: power(-element.grid().lsb_min),
            rebias: ((127 - bias) as u32) << mantissa_bits,
            sign_shift: 32 - element.bits(),
        })
    }

    /// The rounded magnitude. The addend is 2^23 units of the last place that `v` keeps, so that the sum's own last
    /// place is that unit: the addition rounds to nearest even and the subtraction is exact.
    #[inline(always)]
    fn round(self, v: f32) -> f32 {
        let magnitude = least(v.abs(), self.limit);
        let field = magnitude.to_bits() & INFINITY;
        let field = if field > self.floor { field } else { self.floor };
        let addend = f32::from_bits(field + (self.drop << 23));
        let rounded = (magnitude + addend) - addend;
        if rounded > self.max { self.beyond } else { rounded }
    }

    /// The rounded value.
    #[inline(always)]
    pub(crate) fn rounded(self, v: f32) -> f32 {
        f32::from_bits(self.round(v).to_bits() | (v.to_bits() & !MAGNITUDE))
    }

    /// The code of the rounded value.
    #[inline(always)]
    pub(crate) fn coded(self, v: f32) -> u32 {
        let rounded = self.round(v);
        let normal = (rounded.to_bits() >> self.drop).wrapping_sub(self.rebias);
        // An integer below 2^22 plus 2^23 shows itself in the low bits.
        let subnormal = (least(rounded, self.min_normal) * self.subnormal_units + 8_388_608.0).to_bits() & 0xFFFF;
        let finite = if rounded < self.min_normal { subnormal } else { normal };
        let magnitude = if rounded > self.max { self.beyond_code } else { finite };
        magnitude | ((v.to_bits() & !MAGNITUDE) >> self.sign_shift)
    }
}
