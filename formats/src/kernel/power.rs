//! Elements under one power of two.

use super::{Amax, Cast, Exponents, Float, GROUP, INTEGER, Kernel, Scales, halves, maxima, power, within};
use crate::decode::Element;
use crate::simd::{self, Level};
use std::marker::PhantomData;

/// How the exponent of a scale is stored.
pub(crate) trait Stored: Copy + Default + Send + Sync {
    /// The usual block length.
    const LENGTH: usize;
    /// From the exponent without bias.
    fn of(exponent: i32) -> Self;
}

/// E8M0: biased by 127.
impl Stored for u8 {
    const LENGTH: usize = 32;

    #[inline(always)]
    fn of(exponent: i32) -> Self {
        (exponent + 127) as Self
    }
}

/// Two's complement.
impl Stored for i16 {
    const LENGTH: usize = 64;

    #[inline(always)]
    fn of(exponent: i32) -> Self {
        exponent as Self
    }
}

/// OCP MX with float elements, nearest even.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mx<S> {
    pub(crate) float: Float,
    pub(crate) exponents: Exponents,
    pub(crate) stored: PhantomData<S>,
}

impl<S: Stored> Kernel for Mx<S> {
    type Code = u8;
    type Scale = S;
    /// The scale's reciprocal and the scale; both are FP32 numbers.
    type Factor = (f32, f32);
    type Summary = Amax;
    const LENGTH: usize = 32;
    const GROUPED: bool = true;

    #[inline(always)]
    fn factor(self, amax: Amax) -> ((f32, f32), S) {
        let exponent = self.exponents.exponent(amax.0);
        ((power(-exponent), power(exponent)), S::of(exponent))
    }

    #[inline(always)]
    fn scales<const B: usize>(self, level: Level, x: &[[f32; B]; GROUP]) -> Option<Scales<Self>> {
        let exponents = self.exponents.all(maxima(level, x)?);
        let (mut reciprocals, mut scales, mut stored) = ([0.0; GROUP], [0.0; GROUP], [S::default(); GROUP]);
        let all = reciprocals.iter_mut().zip(&mut scales).zip(&mut stored);
        for (((reciprocal, scale), stored), exponent) in all.zip(exponents) {
            (*reciprocal, *scale, *stored) = (power(-exponent), power(exponent), S::of(exponent));
        }
        Some((std::array::from_fn(|g| (reciprocals[g], scales[g])), stored))
    }

    /// The rule keeps products below 8.
    #[inline(always)]
    fn packed(self, level: Level, x: &[f32], out: &mut [u8], scales: &mut [S]) -> usize {
        if !(self.float.is_e2m1() && self.exponents.is_floor()) {
            return 0;
        }
        let groups = x.as_chunks::<32>().0.as_chunks::<GROUP>().0;
        let outputs = out.as_chunks_mut::<16>().0.as_chunks_mut::<GROUP>().0;
        let all = groups.iter().zip(outputs).zip(scales.as_chunks_mut::<GROUP>().0);
        for (g, ((x, out), stored)) in all.enumerate() {
            let Some((factors, scales)) = self.scales(level, x) else { return g * GROUP };
            if !simd::e2m1(level, x, &factors.map(|(reciprocal, _)| reciprocal / 8.0), out) {
                return g * GROUP;
            }
            *stored = scales;
        }
        groups.len() * GROUP
    }

    /// The product with the reciprocal is exact or far below half the smallest subnormal; that with the scale is exact
    /// or rounds once.
    #[inline(always)]
    fn fake(self, v: f32, (reciprocal, scale): (f32, f32), _: u32) -> f32 {
        self.float.rounded(v * reciprocal) * scale
    }

    #[inline(always)]
    fn bits(self, v: f32, (reciprocal, _): (f32, f32), _: u32) -> u32 {
        self.float.coded(v * reciprocal)
    }
}

/// Symmetric integers of at most 8 bits under a power of two, nearest even, saturating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerInteger<S> {
    pub(crate) max: f32,
    /// The element is the integer times 2^-`fraction_bits`.
    pub(crate) fraction_bits: i32,
    pub(crate) exponents: Exponents,
    pub(crate) stored: PhantomData<S>,
}

impl<S: Stored> Kernel for PowerInteger<S> {
    type Code = i8;
    type Scale = S;
    /// One unit's reciprocal and one unit, both in halves.
    type Factor = ([f32; 2], [f32; 2]);
    type Summary = Amax;
    const LENGTH: usize = S::LENGTH;
    const GROUPED: bool = true;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (Self::Factor, S) {
        let (stored, exponent) = self.exponents.both(amax.0);
        let unit = exponent - self.fraction_bits;
        ((halves(-unit), halves(unit)), S::of(stored))
    }

    #[inline(always)]
    fn scales<const B: usize>(self, level: Level, x: &[[f32; B]; GROUP]) -> Option<Scales<Self>> {
        let exponents = self.exponents.all(maxima(level, x)?);
        let (mut reciprocals, mut units, mut stored) = ([[0.0; GROUP]; 2], [[0.0; GROUP]; 2], [S::default(); GROUP]);
        let ([r0, r1], [u0, u1]) = (&mut reciprocals, &mut units);
        let all = r0.iter_mut().zip(r1).zip(u0.iter_mut().zip(u1)).zip(&mut stored);
        for ((((r0, r1), (u0, u1)), stored), exponent) in all.zip(exponents) {
            let unit = exponent - self.exponents.offset - self.fraction_bits;
            ([*r0, *r1], [*u0, *u1]) = (halves(-unit), halves(unit));
            *stored = S::of(exponent);
        }
        let of = |all: &[[f32; GROUP]; 2], g: usize| [all[0][g], all[1][g]];
        Some((std::array::from_fn(|g| (of(&reciprocals, g), of(&units, g))), stored))
    }

    #[inline(always)]
    fn fake(self, v: f32, (reciprocal, unit): Self::Factor, _: u32) -> f32 {
        let integer = (within(v * reciprocal[0] * reciprocal[1], self.max) + INTEGER) - INTEGER;
        integer * unit[0] * unit[1]
    }

    #[inline(always)]
    fn bits(self, v: f32, (reciprocal, _): Self::Factor, _: u32) -> u32 {
        (within(v * reciprocal[0] * reciprocal[1], self.max) + INTEGER).to_bits()
    }
}

/// Any element of at most 16 bits, rounding and overflow under a power of two: the scale only moves the smallest
/// position, so that nothing is lost before the one rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerCast<S, const DRAWS: bool> {
    pub(crate) cast: Cast,
    pub(crate) element: Element,
    pub(crate) exponents: Exponents,
    pub(crate) stored: PhantomData<S>,
}

impl<S: Stored, const DRAWS: bool> Kernel for PowerCast<S, DRAWS> {
    type Code = u16;
    type Scale = S;
    /// The smallest position of the block, and the scale in halves.
    type Factor = (i32, [f32; 2]);
    type Summary = Amax;
    const DRAWS: bool = DRAWS;
    const COMMON: bool = false;
    const CROSSES: bool = true;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (Self::Factor, S) {
        let (stored, exponent) = self.exponents.both(amax.0);
        ((self.cast.lsb_min + exponent, halves(exponent)), S::of(stored))
    }

    #[inline(always)]
    fn fake(self, v: f32, (lsb_min, scale): Self::Factor, random: u32) -> f32 {
        self.element.value(self.cast.code(v, lsb_min, random)) * scale[0] * scale[1]
    }

    #[inline(always)]
    fn bits(self, v: f32, (lsb_min, _): Self::Factor, random: u32) -> u32 {
        self.cast.code(v, lsb_min, random)
    }
}
