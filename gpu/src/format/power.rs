//! Exponents of scales that are powers of two, from the bits of the largest magnitude of a block.

use super::fields::{FRACTION, HIDDEN};
use crate::bits::{add, mul};
use cubecl::prelude::*;
use interplay_formats::{Encoding, Format, Scalar, Scale, ScaleRule, Value};

/// The exponent of a NaN scale, and of one that is beyond the largest.
pub const NAN_EXPONENT: i32 = i32::MIN;
/// fl32(1e-8), which HBFPEmulator adds to a magnitude before it takes the logarithm.
const EPSILON: u32 = 0x322B_CC77;

/// How an exponent follows from the largest magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rule {
    Floor,
    Ceil,
    Even,
    Rceil,
    FloorLog2,
    Enclosing,
    EnclosingLog2,
    Above,
}

/// A rule with what it needs of the element and the ends of the exponent: the constants of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exponents {
    rule: Rule,
    /// The exponent of the largest element.
    emax: i32,
    /// Half a unit in the last place that the element keeps, in FP32's fraction.
    half: u32,
    /// fl32(1 / largest element).
    reciprocal: u32,
    /// The ends to which exponents are held.
    least: i32,
    most: i32,
    /// What a stored exponent exceeds the exponent of an element of value 1 by.
    pub(crate) offset: i32,
}

impl Exponents {
    /// The rule of a format; `None` where its scales are not powers of two.
    pub fn new(format: &Format) -> Option<Self> {
        let scaling = format.scaling?;
        let (least, most, offset) = match scaling.scale {
            Scale::E8M0 => (-127, 127, 0),
            Scale::Exponent(bits) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1, unit(format.element)),
            Scale::Micro { .. } => (-128, 127, unit(format.element)),
            _ => return None,
        };
        let rule = match scaling.rule {
            ScaleRule::Floor => Rule::Floor,
            ScaleRule::Ceil => Rule::Ceil,
            ScaleRule::Even => Rule::Even,
            ScaleRule::Rceil => Rule::Rceil,
            ScaleRule::FloorLog2 => Rule::FloorLog2,
            ScaleRule::Enclosing => Rule::Enclosing,
            ScaleRule::EnclosingLog2 => Rule::EnclosingLog2,
            ScaleRule::Above => Rule::Above,
            _ => return None,
        };
        let max = format.element.max();
        let kept = match format.element.encoding {
            Encoding::Float { mantissa_bits, .. } => mantissa_bits,
            _ => max.significand.ilog2(),
        };
        Some(Self {
            rule,
            emax: format.element.emax(),
            half: if kept >= 23 { 0 } else { 1 << (22 - kept) },
            reciprocal: crate::bits::div(super::fields::ONE, Value::Finite(max).to_f32().to_bits()),
            least,
            most,
            offset,
        })
    }
}

/// The power of two that a block exponent exceeds the exponent of one unit of an integer element by.
const fn unit(element: Scalar) -> i32 {
    match element.encoding {
        Encoding::Integer { bits, fraction_bits, .. } => bits as i32 - 1 - fraction_bits as i32,
        _ => 0,
    }
}

/// floor(log2 x) of the bits of a positive number; of +0 it means nothing.
#[cube]
pub fn leading(bits: u32) -> i32 {
    let fraction = bits & FRACTION;
    let subnormal = -118i32 - ((fraction | 1u32).leading_zeros() as i32);
    select(bits <= FRACTION, subnormal, (bits >> 23u32) as i32 - 127i32)
}

/// 1 for a positive number that is no power of two.
#[cube]
fn above_power(bits: u32) -> i32 {
    let ones = (bits & FRACTION).count_ones();
    let power = select(bits <= FRACTION, ones == 1u32, ones == 0u32);
    select(power, 0i32, 1i32)
}

/// The exponent of the scale of a block, without bias, held to its ends; [`NAN_EXPONENT`] where the rule makes it NaN.
/// `amax` is the bits of the block's largest magnitude, a finite number.
#[cube]
pub fn exponent(amax: u32, #[comptime] of: Exponents) -> i32 {
    let found = unheld(amax, of);
    let held = clamp(found, comptime!(of.least), comptime!(of.most));
    let zero = amax == 0u32 && comptime!(matches!(of.rule, Rule::Floor | Rule::Ceil | Rule::Even));
    let nan = found > 127i32 && comptime!(matches!(of.rule, Rule::FloorLog2));
    select(nan, NAN_EXPONENT, select(zero, comptime!(of.least), held))
}

/// The same before it is held to its ends, for numbers but zero.
#[cube]
pub fn unheld(amax: u32, #[comptime] of: Exponents) -> i32 {
    let emax = of.emax;
    match comptime!(of.rule) {
        Rule::Floor => leading(amax) - emax,
        Rule::Ceil => leading(amax) + above_power(amax) - emax,
        // A carry from the largest numbers gives infinity, whose field is that of 2^128.
        Rule::Even => leading(amax + comptime!(of.half)) - emax,
        Rule::Rceil => {
            // Among subnormal products the half of the smallest normal number is the border.
            let product = mul(amax, comptime!(of.reciprocal).runtime());
            let field = (product >> 23u32) as i32;
            let border = select(field == 0i32, HIDDEN >> 1u32, 0u32);
            field - 127i32 + select(product & FRACTION > border, 1i32, 0i32)
        }
        // Zero alone counts as the smallest normal number.
        Rule::FloorLog2 => floor_of_logarithm(select(amax == 0u32, HIDDEN, amax)) - emax,
        Rule::Enclosing => select(amax == 0u32, 0i32, leading(amax) + above_power(amax)),
        Rule::EnclosingLog2 => ceiling_of_logarithm(add(amax, EPSILON.runtime())),
        Rule::Above => select(amax == 0u32, 0i32, leading(amax) + 1i32),
    }
}

/// The 23 bits below the leading one of a positive number.
#[cube]
fn below_leading(bits: u32) -> u32 {
    let fraction = bits & FRACTION;
    let up = (fraction | 1u32).leading_zeros() - 8u32;
    select(bits <= FRACTION, (fraction << up) & FRACTION, fraction)
}

/// floor(log2 x) after the logarithm was rounded to FP32.
#[cube]
fn floor_of_logarithm(bits: u32) -> i32 {
    let below = HIDDEN - below_leading(bits);
    let next = leading(bits) + 1i32;
    select(rounds_to(next, below, false), next, next - 1i32)
}

/// The ceiling of the same.
#[cube]
fn ceiling_of_logarithm(bits: u32) -> i32 {
    let above = below_leading(bits);
    let least = leading(bits);
    select(above == 0u32 || rounds_to(least, above, true), least, least + 1i32)
}

/// Whether log2 of the number `units` last places above (below) 2^`t` rounds to `t` in FP32.
///
/// The logarithm differs from t by units * 2^-23 (or -24) / ln 2, up to far less than a unit, and rounds to t below half a
/// unit in the last place of t, one of half that size below a power of two on the side of smaller magnitudes. That is
/// units * 4 (or 2) < ln 2 * 2^(exponent of the unit + 1), and four digits of ln 2 decide it as all do: no multiple of
/// 2^-7 lies between them.
#[cube]
fn rounds_to(t: i32, units: u32, above: bool) -> bool {
    let magnitude = select(t < 0i32, -t, t) as u32;
    let toward_zero = above != (t > 0i32);
    let power = magnitude.count_ones() == 1u32;
    let exponent = 32u32 - (magnitude | 1u32).leading_zeros() - select(toward_zero && power, 1u32, 0u32);
    let left = min(units, 4096u32) * select(above, 40_000u32, 20_000u32);
    magnitude != 0u32 && left < (6931u32 << exponent)
}
