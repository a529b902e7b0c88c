//! Branch-free arithmetic of the fast path, one element at a time, written so that the compiler vectorises it.
//!
//! Invariant: every operation is one IEEE FP32 operation whose result is exact, or whose rounding is the wanted one, as
//! the comment beside it argues; so the bits are those of the reference path on any CPU and at any vector width.
//! Only nearest-even is implemented: other records take the reference path ([`Kernel`] is not made for them).

use crate::{Encoding, Format, Overflow, Sign, Specials, reference};

/// All bits but the sign.
pub(crate) const MAGNITUDE: u32 = 0x7FFF_FFFF;
/// The exponent field, which is also +infinity.
pub(crate) const INFINITY: u32 = 0x7F80_0000;
/// Adding and subtracting 1.5 * 2^23 rounds |t| <= 2^22 to an integer, ties to even: there one unit in the last place
/// is 1. The low bits of the sum are the integer in two's complement.
const INTEGER: f32 = 12_582_912.0;

/// 2^`exponent` for -149 <= exponent <= 127, by bits.
pub(crate) const fn power(exponent: i32) -> f32 {
    let bits = if exponent >= -126 { ((exponent + 127) as u32) << 23 } else { 1 << (exponent + 149) };
    f32::from_bits(bits)
}

/// The smaller one, without the care for NaN that `f32::min` takes.
#[inline(always)]
const fn least(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Within +-limit, without the care for NaN that `f32::clamp` takes.
#[inline(always)]
pub(crate) const fn within(v: f32, limit: f32) -> f32 {
    let low = if v > -limit { v } else { -limit };
    least(low, limit)
}

/// The two halves of 2^`exponent`: their product, applied one after the other, reaches beyond FP32's own exponents.
/// Multiplying by both rounds at most once, in the second step, except far below half a unit, where all becomes zero.
#[inline(always)]
pub(crate) const fn halves(exponent: i32) -> [f32; 2] {
    [power(exponent >> 1), power(exponent - (exponent >> 1))]
}

/// How one record is computed fast: a scale from amax, then an element.
pub(crate) trait Kernel: Copy + Sync {
    /// A stored code.
    type Code: Copy + Default + Send;
    /// A stored scale.
    type Scale: Copy + Default + Send;
    /// What elements need to know of the scale.
    type Factor: Copy;

    /// The scale for a block whose largest magnitude has these (finite) bits.
    fn factor(self, amax: u32) -> (Self::Factor, Self::Scale);
    /// The rounded value of one element.
    fn fake(self, v: f32, factor: Self::Factor) -> f32;
    /// The code of one element.
    fn code(self, v: f32, factor: Self::Factor) -> Self::Code;
}

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
    /// The constants of a float format with a shorter exponent range than FP32's; `None` for others, and for those that
    /// overflow to NaN.
    pub(crate) fn new(format: &Format) -> Option<Self> {
        let element = format.element;
        let Encoding::Float { mantissa_bits, bias, sign, specials, subnormals, .. } = element.encoding else {
            return None;
        };
        let plain = sign == Sign::Signed && specials != Specials::Fnuz && subnormals && mantissa_bits > 0;
        if !plain || element.emax() > 64 || element.emin() < -64 || element.bits() > 16 {
            return None;
        }
        let max = crate::Value::Finite(element.max()).to_f32();
        let special = format.overflow == Overflow::Infinity;
        let infinity = element.infinity_code().filter(|_| special);
        if special && infinity.is_none() {
            return None;
        }
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

    #[inline(always)]
    fn rounded(self, v: f32) -> f32 {
        f32::from_bits(self.round(v).to_bits() | (v.to_bits() & !MAGNITUDE))
    }

    #[inline(always)]
    fn coded(self, v: f32) -> u32 {
        let rounded = self.round(v);
        let normal = (rounded.to_bits() >> self.drop).wrapping_sub(self.rebias);
        // An integer below 2^22 plus 2^23 shows itself in the low bits.
        let subnormal = (least(rounded, self.min_normal) * self.subnormal_units + 8_388_608.0).to_bits() & 0xFFFF;
        let finite = if rounded < self.min_normal { subnormal } else { normal };
        let magnitude = if rounded > self.max { self.beyond_code } else { finite };
        magnitude | ((v.to_bits() & !MAGNITUDE) >> self.sign_shift)
    }
}

/// A scalar float with a shorter exponent range than FP32's (FP16).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow(pub(crate) Float);

impl Kernel for Narrow {
    type Code = u16;
    type Scale = ();
    type Factor = ();

    #[inline(always)]
    fn factor(self, _: u32) -> ((), ()) {
        ((), ())
    }

    #[inline(always)]
    fn fake(self, v: f32, (): ()) -> f32 {
        self.0.rounded(v)
    }

    #[inline(always)]
    fn code(self, v: f32, (): ()) -> u16 {
        self.0.coded(v) as u16
    }
}

/// A float with FP32's exponent range and a shorter fraction (BF16): the code is FP32's upper part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    drop: u32,
}

impl Short {
    /// `None` where the format is not of this kind or does not overflow to infinity.
    pub(crate) fn new(format: &Format) -> Option<Self> {
        let Encoding::Float {
            sign: Sign::Signed,
            exponent_bits: 8,
            mantissa_bits: mantissa_bits @ 1..,
            bias: 127,
            specials: Specials::Ieee,
            subnormals: true,
        } = format.element.encoding
        else {
            return None;
        };
        let fits = format.element.bits() <= 16 && format.overflow == Overflow::Infinity;
        fits.then_some(Self { drop: 23 - mantissa_bits })
    }

    /// Adds half a unit less one, and one more if the last kept bit is odd: a carry out is nearest even, also from
    /// subnormal to normal and from the largest number to infinity.
    #[inline(always)]
    fn carried(self, v: f32) -> u32 {
        let bits = v.to_bits();
        bits + (1 << (self.drop - 1)) - 1 + ((bits >> self.drop) & 1)
    }
}

impl Kernel for Short {
    type Code = u16;
    type Scale = ();
    type Factor = ();

    #[inline(always)]
    fn factor(self, _: u32) -> ((), ()) {
        ((), ())
    }

    #[inline(always)]
    fn fake(self, v: f32, (): ()) -> f32 {
        f32::from_bits(self.carried(v) >> self.drop << self.drop)
    }

    #[inline(always)]
    fn code(self, v: f32, (): ()) -> u16 {
        (self.carried(v) >> self.drop) as u16
    }
}

/// OCP MX with float elements: floor rule, E8M0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mx {
    pub(crate) float: Float,
    pub(crate) emax: i32,
}

/// OCP's exponent of the scale: FP32's exponent field less emax, held to [-127, 127]. The field of a subnormal is 0,
/// which the clamp takes to -127 as its true exponent would be.
#[inline(always)]
fn floor_exponent(amax: u32, emax: i32) -> i32 {
    ((amax >> 23) as i32 - 127 - emax).clamp(-127, 127)
}

impl Kernel for Mx {
    type Code = u8;
    type Scale = u8;
    /// The scale's reciprocal and the scale; both are FP32 numbers.
    type Factor = (f32, f32);

    #[inline(always)]
    fn factor(self, amax: u32) -> ((f32, f32), u8) {
        let exponent = floor_exponent(amax, self.emax);
        ((power(-exponent), power(exponent)), (exponent + 127) as u8)
    }

    /// The product with the reciprocal is exact or far below half the smallest subnormal; that with the scale is exact
    /// or rounds once.
    #[inline(always)]
    fn fake(self, v: f32, (reciprocal, scale): (f32, f32)) -> f32 {
        self.float.rounded(v * reciprocal) * scale
    }

    #[inline(always)]
    fn code(self, v: f32, (reciprocal, _): (f32, f32)) -> u8 {
        self.float.coded(v * reciprocal) as u8
    }
}

/// Integers of at most 8 bits under a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerInteger<R> {
    pub(crate) max: f32,
    /// The element is the integer times 2^-`fraction_bits`.
    pub(crate) fraction_bits: i32,
    pub(crate) rule: R,
}

/// How a power of two follows from amax.
pub(crate) trait Rule: Copy + Sync {
    /// The type in which it is stored.
    type Stored: Copy + Default + Send;

    /// The stored scale, and the exponent of an element of value 1.
    fn apply(self, amax: u32) -> (Self::Stored, i32);
}

/// The rule of OCP MX, for elements of this emax.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor(pub(crate) i32);

impl Rule for Floor {
    type Stored = u8;

    #[inline(always)]
    fn apply(self, amax: u32) -> (u8, i32) {
        let exponent = floor_exponent(amax, self.0);
        ((exponent + 127) as u8, exponent)
    }
}

/// The rule of HBFP, for integers of this many magnitude bits. An all-zero block has exponent 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enclosing(pub(crate) i32);

impl Rule for Enclosing {
    type Stored = i16;

    #[inline(always)]
    fn apply(self, amax: u32) -> (i16, i32) {
        let (field, fraction) = ((amax >> 23) as i32, amax & 0x007F_FFFF);
        let normal = field - 127 + i32::from(fraction != 0);
        let subnormal = 32 - fraction.saturating_sub(1).leading_zeros() as i32 - 149;
        let exponent = if field > 0 { normal } else { subnormal };
        let exponent = if amax == 0 { 0 } else { exponent };
        (exponent as i16, exponent - self.0)
    }
}

impl<R: Rule> Kernel for PowerInteger<R> {
    type Code = i8;
    type Scale = R::Stored;
    /// One unit's reciprocal and one unit, both in halves.
    type Factor = ([f32; 2], [f32; 2]);

    #[inline(always)]
    fn factor(self, amax: u32) -> (Self::Factor, R::Stored) {
        let (stored, exponent) = self.rule.apply(amax);
        let unit = exponent - self.fraction_bits;
        ((halves(-unit), halves(unit)), stored)
    }

    #[inline(always)]
    fn fake(self, v: f32, (reciprocal, unit): Self::Factor) -> f32 {
        let integer = (within(v * reciprocal[0] * reciprocal[1], self.max) + INTEGER) - INTEGER;
        integer * unit[0] * unit[1]
    }

    #[inline(always)]
    fn code(self, v: f32, (reciprocal, _): Self::Factor) -> i8 {
        (within(v * reciprocal[0] * reciprocal[1], self.max) + INTEGER).to_bits() as i8
    }
}

/// Integers of at most 8 bits under an FP32 factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealInteger {
    pub(crate) max: f32,
}

impl Kernel for RealInteger {
    type Code = i8;
    type Scale = f32;
    type Factor = f32;

    #[inline(always)]
    fn factor(self, amax: u32) -> (f32, f32) {
        let scale = reference::real_scale(f32::from_bits(amax), self.max);
        (scale, scale)
    }

    #[inline(always)]
    fn fake(self, v: f32, scale: f32) -> f32 {
        let integer = (within(v / scale, self.max) + INTEGER) - INTEGER;
        within(integer * scale, f32::MAX)
    }

    #[inline(always)]
    fn code(self, v: f32, scale: f32) -> i8 {
        (within(v / scale, self.max) + INTEGER).to_bits() as i8
    }
}
