//! Formats without scale.

use super::{Amax, Cast, Code, FRACTION, Float, Kernel, MAGNITUDE, Summary};
use crate::decode::Element;
use crate::{Encoding, Overflow, Rounding, Scalar, Sign, Specials, Value};
use std::marker::PhantomData;

/// A float with a shorter exponent range than FP32's, nearest even.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow<C>(Float, PhantomData<C>);

impl<C: Code> Narrow<C> {
    pub(crate) const fn new(float: Float) -> Self {
        Self(float, PhantomData)
    }
}

impl<C: Code> Kernel for Narrow<C> {
    type Code = C;
    type Scale = ();
    type Factor = ();
    type Summary = Amax;

    #[inline(always)]
    fn factor(self, _: Amax) -> ((), ()) {
        ((), ())
    }

    #[inline(always)]
    fn fake(self, v: f32, (): (), _: u32) -> f32 {
        self.0.rounded(v)
    }

    #[inline(always)]
    fn bits(self, v: f32, (): (), _: u32) -> u32 {
        self.0.coded(v)
    }
}

/// A float with FP32's exponent range and a shorter fraction (BF16, TF32): the code is FP32's upper part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short<C> {
    drop: u32,
    code: PhantomData<C>,
}

impl<C: Code> Short<C> {
    /// `None` where the format is not of this kind, does not overflow to infinity or does not round to nearest even.
    pub(crate) fn of(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let Encoding::Float {
            sign: Sign::Signed,
            exponent_bits: 8,
            mantissa_bits: mantissa_bits @ 1..=22,
            bias: 127,
            specials: Specials::Ieee,
            subnormals: true,
        } = element.encoding
        else {
            return None;
        };
        let fits = rounding == Rounding::NearestEven && overflow == Overflow::Infinity;
        fits.then_some(Self { drop: 23 - mantissa_bits, code: PhantomData })
    }

    /// Adds half a unit less one, and one more if the last kept bit is odd: a carry out is nearest even, also from
    /// subnormal to normal and from the largest number to infinity.
    #[inline(always)]
    const fn carried(self, v: f32) -> u32 {
        let bits = v.to_bits();
        bits.wrapping_add((1 << (self.drop - 1)) - 1 + ((bits >> self.drop) & 1))
    }

    /// The code of a number or an infinity.
    #[inline(always)]
    pub(crate) const fn coded(self, v: f32) -> u32 {
        self.carried(v) >> self.drop
    }
}

impl<C: Code> Kernel for Short<C> {
    type Code = C;
    type Scale = ();
    type Factor = ();
    type Summary = Amax;

    #[inline(always)]
    fn factor(self, _: Amax) -> ((), ()) {
        ((), ())
    }

    #[inline(always)]
    fn fake(self, v: f32, (): (), _: u32) -> f32 {
        f32::from_bits(self.carried(v) >> self.drop << self.drop)
    }

    #[inline(always)]
    fn bits(self, v: f32, (): (), _: u32) -> u32 {
        self.coded(v)
    }
}

/// Powers of two by FP32's exponents, no sign, no zero (E8M0), nearest even: the middle belongs to the upper one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Powers {
    max_code: u32,
    /// The codes of what is beyond the largest number, and of negative numbers.
    beyond: u32,
    negative: u32,
}

impl Powers {
    /// The magnitudes up to which a number is zero before it becomes the lowest code, a quarter of the smallest normal
    /// number; and that from which a subnormal number belongs to code 1.
    const ZERO: u32 = 1 << 21;
    const HALF: u32 = 1 << 22;

    /// `None` where the format is not of this kind or does not round to nearest even.
    pub(crate) fn new(element: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        let Encoding::Float {
            sign: Sign::Unsigned,
            exponent_bits: 8,
            mantissa_bits: 0,
            bias: 127,
            subnormals: false,
            ..
        } = element.encoding
        else {
            return None;
        };
        let code = |v| element.encode(Value::from_f32(v), rounding, overflow).map(|code| code as u32);
        let (beyond, negative) = (code(f32::INFINITY)?, code(f32::NEG_INFINITY)?);
        let alike = beyond == code(f32::MAX)? && negative == code(-f32::MAX)? && negative == code(-1.0)?;
        let max_code = element.max_code() as u32;
        (alike && rounding == Rounding::NearestEven).then_some(Self { max_code, beyond, negative })
    }

    /// The code of a number or an infinity. Half a power more carries into the exponent field from the middle on; among
    /// subnormal numbers, where the middle is three quarters of the smallest normal one, a quarter of that does.
    #[inline(always)]
    pub(crate) const fn coded(self, v: f32) -> u32 {
        let magnitude = v.to_bits() & MAGNITUDE;
        let half = if magnitude > FRACTION { Self::HALF } else { Self::ZERO };
        let code = (magnitude + half) >> 23;
        let held = if code > self.max_code { self.beyond } else { code };
        let barred = v.is_sign_negative() && magnitude > Self::ZERO;
        if barred { self.negative } else { held }
    }
}

/// A format of which every finite FP32 number is one: FP32 itself. No number changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide;

impl Kernel for Wide {
    type Code = u32;
    type Scale = ();
    type Factor = ();
    type Summary = Amax;

    #[inline(always)]
    fn factor(self, _: Amax) -> ((), ()) {
        ((), ())
    }

    #[inline(always)]
    fn fake(self, v: f32, (): (), _: u32) -> f32 {
        v
    }

    #[inline(always)]
    fn bits(self, v: f32, (): (), _: u32) -> u32 {
        v.to_bits()
    }
}

/// Any scalar of at most 16 bits, rounding and overflow; `S` is `()` where NaN and infinities are welcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<S, const DRAWS: bool> {
    cast: Cast,
    element: Element,
    summary: PhantomData<S>,
}

impl<S: Summary, const DRAWS: bool> Plain<S, DRAWS> {
    pub(crate) const fn new(cast: Cast, element: Element) -> Self {
        Self { cast, element, summary: PhantomData }
    }
}

impl<S: Summary, const DRAWS: bool> Kernel for Plain<S, DRAWS> {
    type Code = u16;
    type Scale = ();
    type Factor = ();
    type Summary = S;
    const DRAWS: bool = DRAWS;
    const COMMON: bool = false;

    #[inline(always)]
    fn factor(self, _: S) -> ((), ()) {
        ((), ())
    }

    #[inline(always)]
    fn fake(self, v: f32, (): (), random: u32) -> f32 {
        self.element.value(self.cast.code(v, self.cast.lsb_min, random))
    }

    #[inline(always)]
    fn bits(self, v: f32, (): (), random: u32) -> u32 {
        self.cast.code(v, self.cast.lsb_min, random)
    }
}
