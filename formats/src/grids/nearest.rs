//! Rounding to nearest even in FP64, for the records that most models use.
//!
//! Invariant: an FP32 number times a power of two is exact in FP64, and so is what it is rounded to, so that the one
//! rounding is that of the reference path. What this does not cover is `None` and goes there.

use crate::reference::{Coded, Factor, halving};
use crate::{Encoding, Format, Overflow, Range, Rounding, ScaleRule, Sign, Value};

/// Adding and subtracting 1.5 * 2^52 units rounds to whole units, ties to even, what is below 2^51 of them.
const WHOLE: i32 = 52;
/// The same for FP32.
const WHOLE_F32: f32 = 12_582_912.0;
/// Exponents whose powers, times any FP32 number, are normal in FP64.
const EXPONENTS: i32 = 512;
/// Significant bits that fit FP32, in which elements are multiplied by real scales.
const BITS: u32 = 24;

/// A scalar's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nearest {
    least: f64,
    most: f64,
    /// Below this exponent units do not shrink.
    emin: i32,
    /// log2 of units between a power of two and the next.
    fraction_bits: i32,
    signed_zero: bool,
    /// The sign bit of a float's codes; 0 for integers, whose codes are numbers.
    sign: u64,
    /// Whether a zero keeps its sign under a coded scale.
    coded_zero: bool,
}

impl Nearest {
    /// `None` where the record does not round to nearest even and saturate, or its elements are of an uncommon kind.
    pub(super) fn of(format: &Format) -> Option<Self> {
        let plain = format.rounding == Rounding::NearestEven && format.overflow == Overflow::Saturate;
        if !plain || format.input.is_some() || format.scaling.is_none() {
            return None;
        }
        let element = format.element;
        let most = Value::Finite(element.max()).to_f64();
        let coded_zero =
            matches!(format.scaling.map(|s| s.rule), Some(ScaleRule::Nvfp4TorchAo | ScaleRule::Nvfp4CuDnn));
        let signed_zero = element.has_negative_zero();
        match element.encoding {
            Encoding::Float { sign: Sign::Signed, mantissa_bits, subnormals: true, .. } if mantissa_bits < BITS => {
                let (emin, fraction_bits) = (element.emin(), mantissa_bits as i32);
                let sign = 1 << (element.bits() - 1);
                Some(Self { least: -most, most, emin, fraction_bits, signed_zero, sign, coded_zero })
            }
            Encoding::Integer { bits: ..=BITS, fraction_bits, range } => {
                let unit = power(-(fraction_bits as i32));
                let least = match range {
                    Range::Symmetric => -most,
                    Range::Full => -most - unit,
                    Range::Unsigned => 0.0,
                };
                // No integer reaches this exponent, so that the unit is always the same.
                let (emin, sign) = (EXPONENTS, 0);
                let fraction_bits = emin + fraction_bits as i32;
                Some(Self { least, most, emin, fraction_bits, signed_zero, sign, coded_zero })
            }
            _ => None,
        }
    }

    /// The element stored for a finite `v`, the `at`-th of its block, under a scale; counted from the zero point, where
    /// there is one.
    #[inline]
    pub(super) fn element(self, v: f32, factor: Factor, at: usize) -> Option<f64> {
        let power = |exponent: i32| {
            let near = (-EXPONENTS..=EXPONENTS).contains(&exponent);
            near.then(|| self.nearest(f64::from(v) * power(-exponent)))
        };
        match factor {
            _ if !v.is_finite() => None,
            Factor::Power { exponent, .. } => power(exponent),
            Factor::Micro { stored, exponent, run } => power(exponent - halving(stored, run, at)),
            Factor::Real(scale) => Some(self.nearest(f64::from(v / scale))),
            Factor::Affine { factor, zero } => Some(f64::from(self.units(v / factor, f32::from(zero)))),
            Factor::Coded(coded) => self.coded(v, coded),
            Factor::One | Factor::Nan => None,
        }
    }

    /// The value of an element under the scale that made it.
    #[inline]
    pub(super) fn value(element: f64, factor: Factor, at: usize) -> f32 {
        let bounded = |v: f32| v.clamp(-f32::MAX, f32::MAX);
        match factor {
            Factor::Power { exponent, .. } => (element * power(exponent)) as f32,
            Factor::Micro { stored, exponent, run } => (element * power(exponent - halving(stored, run, at))) as f32,
            Factor::Real(scale) | Factor::Affine { factor: scale, .. } => bounded(element as f32 * scale),
            Factor::Coded(coded) => bounded(element as f32 * coded.value * coded.tensor),
            Factor::One | Factor::Nan => f32::NAN,
        }
    }

    /// The code of an element under the scale that made it; integers are sign-extended.
    #[inline]
    pub(super) fn code(self, element: f64, factor: Factor) -> u64 {
        match factor {
            Factor::Affine { zero, .. } => (element as i64 + i64::from(zero)) as u64,
            _ if self.sign == 0 => (element * power(self.fraction_bits - self.emin)) as i64 as u64,
            _ => {
                let (magnitude, smallest) = (element.abs(), power(self.emin));
                // FP64's exponent field and leading fraction bits, less its bias: fields count from 1 at `emin`.
                let normal = || (magnitude.to_bits() >> (52 - self.fraction_bits)) as i64;
                let code = if magnitude < smallest {
                    (magnitude * power(self.fraction_bits - self.emin)) as u64
                } else {
                    (normal() - (i64::from(self.emin + 1022) << self.fraction_bits)) as u64
                };
                if element.is_sign_negative() { code | self.sign } else { code }
            }
        }
    }

    /// RNE(quotient) between the ends of the codes, counted from the zero point; no bound is beyond 2^22.
    fn units(self, quotient: f32, zero: f32) -> f32 {
        if !quotient.is_finite() {
            return 0.0;
        }
        let held = quotient.clamp(-zero, self.most as f32 - zero);
        // A sum with +0 loses the sign of zero, as the code does.
        (held + WHOLE_F32) - WHOLE_F32 + 0.0
    }

    fn coded(self, v: f32, coded: Coded) -> Option<f64> {
        let product = v * coded.multiply / coded.divide;
        let product = if product == 0.0 && !self.coded_zero { 0.0 } else { product };
        (!product.is_nan()).then(|| self.nearest(f64::from(product)))
    }

    /// The element nearest to `x`, which is not NaN.
    fn nearest(self, x: f64) -> f64 {
        let held = x.clamp(self.least, self.most);
        let exponent = (held.to_bits() >> 52 & 0x7FF) as i32 - 1023;
        let unit = exponent.max(self.emin) - self.fraction_bits;
        let whole = 1.5 * power(unit + WHOLE);
        let rounded = (held + whole) - whole;
        if self.signed_zero { rounded.copysign(x) } else { rounded + 0.0 }
    }
}

/// 2^`exponent`, which is normal.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
