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
                Some(Self { least: -most, most, emin, fraction_bits, signed_zero, coded_zero })
            }
            Encoding::Integer { bits: ..=BITS, fraction_bits, range } => {
                let unit = power(-(fraction_bits as i32));
                let least = match range {
                    Range::Symmetric => -most,
                    Range::Full => -most - unit,
                    Range::Unsigned => 0.0,
                };
                // No integer reaches this exponent, so that the unit is always the same.
                let emin = EXPONENTS;
                Some(Self { least, most, emin, fraction_bits: emin + fraction_bits as i32, signed_zero, coded_zero })
            }
            _ => None,
        }
    }

    /// The value stored for a finite `v`, the `at`-th of its block, under a scale.
    #[inline]
    pub(super) fn round(self, v: f32, factor: Factor, at: usize) -> Option<f32> {
        if !v.is_finite() {
            return None;
        }
        let bounded = |v: f32| v.clamp(-f32::MAX, f32::MAX);
        match factor {
            Factor::Power { exponent, .. } => self.power(v, exponent),
            Factor::Micro { stored, exponent, run } => self.power(v, exponent - halving(stored, run, at)),
            Factor::Real(scale) => Some(bounded(self.element(f64::from(v / scale)) as f32 * scale)),
            Factor::Affine { factor, zero } => Some(self.affine(v, factor, zero)),
            Factor::Coded(coded) => self.coded(v, coded).map(bounded),
            Factor::One | Factor::Nan => None,
        }
    }

    fn power(self, v: f32, exponent: i32) -> Option<f32> {
        let near = (-EXPONENTS..=EXPONENTS).contains(&exponent);
        near.then(|| (self.element(f64::from(v) * power(-exponent)) * power(exponent)) as f32)
    }

    /// RNE(v / factor) between the ends of the codes, counted from the zero point; no bound is beyond 2^22.
    fn affine(self, v: f32, factor: f32, zero: u8) -> f32 {
        let (quotient, zero) = (v / factor, f32::from(zero));
        if !quotient.is_finite() {
            return 0.0;
        }
        let held = quotient.clamp(-zero, self.most as f32 - zero);
        let units = (held + WHOLE_F32) - WHOLE_F32;
        // A sum with +0 loses the sign of zero, as the code does.
        ((units + 0.0) * factor).clamp(-f32::MAX, f32::MAX)
    }

    fn coded(self, v: f32, coded: Coded) -> Option<f32> {
        let product = v * coded.multiply / coded.divide;
        if product.is_nan() {
            return None;
        }
        let product = if product == 0.0 && !self.coded_zero { 0.0 } else { product };
        Some(self.element(f64::from(product)) as f32 * coded.value * coded.tensor)
    }

    /// The element nearest to `x`, which is not NaN.
    fn element(self, x: f64) -> f64 {
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
