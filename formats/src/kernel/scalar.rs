//! Formats without scale.

use super::{Amax, Cast, Code, Float, Kernel, Summary};
use crate::decode::Element;
use crate::{Encoding, Format, Overflow, Rounding, Sign, Specials};
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
    fn code(self, v: f32, (): (), _: u32) -> C {
        C::of(self.0.coded(v))
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
    pub(crate) fn new(format: &Format) -> Option<Self> {
        let Encoding::Float {
            sign: Sign::Signed,
            exponent_bits: 8,
            mantissa_bits: mantissa_bits @ 1..=22,
            bias: 127,
            specials: Specials::Ieee,
            subnormals: true,
        } = format.element.encoding
        else {
            return None;
        };
        let fits = format.rounding == Rounding::NearestEven && format.overflow == Overflow::Infinity;
        fits.then_some(Self { drop: 23 - mantissa_bits, code: PhantomData })
    }

    /// Adds half a unit less one, and one more if the last kept bit is odd: a carry out is nearest even, also from
    /// subnormal to normal and from the largest number to infinity.
    #[inline(always)]
    const fn carried(self, v: f32) -> u32 {
        let bits = v.to_bits();
        bits + (1 << (self.drop - 1)) - 1 + ((bits >> self.drop) & 1)
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
    fn code(self, v: f32, (): (), _: u32) -> C {
        C::of(self.carried(v) >> self.drop)
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
    fn code(self, v: f32, (): (), _: u32) -> u32 {
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
    fn code(self, v: f32, (): (), random: u32) -> u16 {
        self.cast.code(v, self.cast.lsb_min, random) as u16
    }
}
