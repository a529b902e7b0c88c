//! Exponents of power-of-two scales from the bits of amax; `power` is the judge.

use super::{FRACTION, GROUP};
use crate::power::{self, Shared};
use crate::{Encoding, Format, Scalar, Scale, ScaleRule, Value};

/// How an exponent follows from amax.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exponents {
    rule: ScaleRule,
    element: Scalar,
    /// The exponent of the largest element.
    emax: i32,
    /// Half a unit in the last place that the element keeps, in FP32's fraction.
    half: u32,
    /// fl32(1 / largest element).
    reciprocal: f32,
    /// The ends to which exponents are held.
    least: i32,
    most: i32,
    /// What a stored exponent exceeds the exponent of an element of value 1 by.
    pub(super) offset: i32,
}

impl Exponents {
    /// `None` for scales that are not single powers of two, and where one could be NaN.
    pub(crate) fn new(format: &Format) -> Option<Self> {
        let scaling = format.scaling?;
        let rule = Self::of(scaling.rule, format.element);
        let offset = format.exponent_offset();
        match scaling.scale {
            Scale::E8M0 if scaling.rule == ScaleRule::FloorLog2 && rule.emax <= 0 => None,
            Scale::E8M0 => Some(Self { offset: 0, ..rule }),
            Scale::Exponent(bits) => {
                Some(Self { least: -(1 << (bits - 1)), most: (1 << (bits - 1)) - 1, offset, ..rule })
            }
            Scale::Micro { .. } => Some(Self { least: -128, offset, ..rule }),
            Scale::Float32 | Scale::Affine(_) | Scale::Code(_) => None,
        }
    }

    /// The rule for E8M0 scales.
    pub(crate) fn of(rule: ScaleRule, element: Scalar) -> Self {
        let max = element.max();
        let kept = match element.encoding {
            Encoding::Float { mantissa_bits, .. } => mantissa_bits,
            Encoding::Integer { .. } => max.significand.ilog2(),
        };
        Self {
            rule,
            element,
            emax: element.emax(),
            half: if kept >= 23 { 0 } else { 1 << (22 - kept) },
            reciprocal: 1.0 / Value::Finite(max).to_f32(),
            least: -127,
            most: 127,
            offset: 0,
        }
    }

    /// The exponent that is stored, without bias, and the exponent of an element of value 1.
    #[inline(always)]
    pub(crate) fn both(self, amax: u32) -> (i32, i32) {
        let stored = self.exponent(amax);
        (stored, stored - self.offset)
    }

    /// The exponent that is stored, without bias, for a block whose largest magnitude has these (finite) bits.
    #[inline(always)]
    pub(crate) fn exponent(self, amax: u32) -> i32 {
        // No branch, so that a loop over blocks has none.
        let zero = (amax == 0) & self.zero_is_least();
        let exponent = if zero { self.least } else { self.unheld(amax) };
        exponent.max(self.least).min(self.most)
    }

    /// The same before it is held to its ends.
    #[inline(always)]
    pub(crate) fn unheld(self, amax: u32) -> i32 {
        match self.rule {
            ScaleRule::Floor => leading(amax) - self.emax,
            ScaleRule::Ceil => leading(amax) + above_power(amax) - self.emax,
            // A carry from the largest numbers gives infinity, whose field is that of 2^128.
            ScaleRule::Even => leading(amax + self.half) - self.emax,
            ScaleRule::Rceil => {
                let product = (f32::from_bits(amax) * self.reciprocal).to_bits();
                let (field, fraction) = ((product >> 23) as i32, product & FRACTION);
                let up = if field == 0 { fraction > 0x0040_0000 } else { fraction != 0 };
                field - 127 + i32::from(up)
            }
            // The exponent of a block of zeros means nothing.
            ScaleRule::Enclosing => if_not_zero(amax, leading(amax) + above_power(amax)),
            ScaleRule::Above => if_not_zero(amax, leading(amax) + 1),
            rule => by_logarithm(rule, amax, self.element),
        }
    }

    /// The exponents that are stored of neighbouring blocks. The rules of the common records are constants in their loops, so that
    /// the compiler vectorises over blocks.
    #[inline(always)]
    pub(crate) fn all(self, amax: [u32; GROUP]) -> [i32; GROUP] {
        match self.rule {
            ScaleRule::Floor => Self { rule: ScaleRule::Floor, ..self }.each(amax),
            ScaleRule::Enclosing => Self { rule: ScaleRule::Enclosing, ..self }.each(amax),
            _ => self.each(amax),
        }
    }

    #[inline(always)]
    fn each(self, amax: [u32; GROUP]) -> [i32; GROUP] {
        let mut all = [0; GROUP];
        for (exponent, amax) in all.iter_mut().zip(amax) {
            *exponent = self.exponent(amax);
        }
        all
    }

    /// Whether the exponent is that of OCP MX, so that no element times the reciprocal reaches 2^(emax + 1).
    #[inline(always)]
    pub(crate) fn is_floor(self) -> bool {
        self.rule == ScaleRule::Floor && (self.least, self.most, self.offset) == (-127, 127, 0)
    }

    /// Whether the smallest exponent belongs to a block of zeros.
    const fn zero_is_least(self) -> bool {
        matches!(self.rule, ScaleRule::Floor | ScaleRule::Ceil)
    }
}

/// An exponent, or 0 for zero.
#[inline(always)]
const fn if_not_zero(amax: u32, exponent: i32) -> i32 {
    if amax == 0 { 0 } else { exponent }
}

/// floor(log2 x) of the bits of a positive number. Subnormal ones are normalised by converting their fraction to FP32,
/// which is exact and which vectors can do, unlike counting zeros.
#[inline(always)]
const fn leading(bits: u32) -> i32 {
    let subnormal = bits <= FRACTION;
    let normal = if subnormal { (bits as i32 as f32).to_bits() } else { bits };
    (normal >> 23) as i32 - if subnormal { 127 + 149 } else { 127 }
}

/// 1 for a positive number that is no power of two.
#[inline(always)]
const fn above_power(bits: u32) -> i32 {
    let fraction = bits & FRACTION;
    let power = if bits > FRACTION { fraction == 0 } else { fraction & fraction.wrapping_sub(1) == 0 };
    !power as i32
}

/// The rules that go through FP32 logarithms, as the reference path takes them: once a block.
#[cold]
fn by_logarithm(rule: ScaleRule, amax: u32, element: Scalar) -> i32 {
    let amax = f32::from_bits(amax);
    match rule {
        ScaleRule::EnclosingLog2 => power::block_exponent(rule, amax),
        _ => match power::e8m0(rule, amax, element) {
            Shared::Exponent(exponent) => exponent,
            Shared::Nan => 128,
        },
    }
}
