//! Elements under an FP32 factor, with and without a zero point.

use super::{Amax, Cast, FRACTION, INFINITY, INTEGER, Kernel, MAGNITUDE, Summary, within};
use crate::ScaleRule;
use crate::decode::Element;
use crate::reference::real_scale;

/// Symmetric integers of at most 8 bits under an FP32 factor, nearest even, saturating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealInteger {
    pub(crate) max: f32,
}

/// The factor of symmetric integers, which is also what is stored.
#[inline(always)]
fn absmax(amax: Amax, max: f32) -> (f32, f32) {
    let scale = real_scale(f32::from_bits(amax.0), max);
    (scale, scale)
}

impl Kernel for RealInteger {
    type Code = i8;
    type Scale = f32;
    type Factor = f32;
    type Summary = Amax;
    const CROSSES: bool = true;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (f32, f32) {
        absmax(amax, self.max)
    }

    #[inline(always)]
    fn fake(self, v: f32, scale: f32, _: u32) -> f32 {
        let integer = (within(v / scale, self.max) + INTEGER) - INTEGER;
        within(integer * scale, f32::MAX)
    }

    #[inline(always)]
    fn bits(self, v: f32, scale: f32, _: u32) -> u32 {
        (within(v / scale, self.max) + INTEGER).to_bits()
    }
}

/// Any element of at most 16 bits, rounding and overflow under an FP32 factor: fl32(v / factor), rounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealCast<const DRAWS: bool> {
    pub(crate) cast: Cast,
    pub(crate) element: Element,
    pub(crate) max: f32,
}

impl<const DRAWS: bool> Kernel for RealCast<DRAWS> {
    type Code = u16;
    type Scale = f32;
    type Factor = f32;
    type Summary = Amax;
    const DRAWS: bool = DRAWS;
    const COMMON: bool = false;
    const CROSSES: bool = true;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (f32, f32) {
        absmax(amax, self.max)
    }

    #[inline(always)]
    fn fake(self, v: f32, scale: f32, random: u32) -> f32 {
        let product = self.element.value(self.cast.code(v / scale, self.cast.lsb_min, random)) * scale;
        // An element may be NaN or infinite by its overflow; NaN stays, infinity is held.
        product.clamp(-f32::MAX, f32::MAX)
    }

    #[inline(always)]
    fn bits(self, v: f32, scale: f32, random: u32) -> u32 {
        self.cast.code(v / scale, self.cast.lsb_min, random)
    }
}

/// The bits of the greatest number, or 0; and of the least: negative numbers have the highest bit set, so that as
/// unsigned integers the one of largest magnitude is above all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    hi: i32,
    lo: u32,
}

impl Summary for Ends {
    #[inline(always)]
    fn of(v: f32) -> Self {
        Self { hi: (v.to_bits() as i32).max(0), lo: v.to_bits() }
    }

    #[inline(always)]
    fn merge(self, other: Self) -> Self {
        Self { hi: self.hi.max(other.hi), lo: self.lo.max(other.lo) }
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        self.hi < INFINITY as i32 && (self.lo & MAGNITUDE) < INFINITY
    }
}

impl Ends {
    /// The least number, 0 where none is negative; and the greatest.
    #[inline(always)]
    const fn numbers(self) -> (f32, f32) {
        let lo = if self.lo > MAGNITUDE { f32::from_bits(self.lo) } else { 0.0 };
        (lo, f32::from_bits(self.hi as u32))
    }
}

/// Unsigned integers of at most 8 bits under an FP32 factor and a zero point, nearest even.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine {
    pub(crate) rule: ScaleRule,
    pub(crate) bits: u32,
    pub(crate) max: f32,
}

/// More than any code, less than what [`INTEGER`] rounds.
const VAST: f32 = (FRACTION >> 3) as f32;

impl Affine {
    /// The nearest integer, which a bound far outside the codes does not change.
    #[inline(always)]
    const fn nearest(v: f32) -> f32 {
        (within(v, VAST) + INTEGER) - INTEGER
    }

    /// The code as a number.
    #[inline(always)]
    const fn held(self, v: f32, (factor, zero): (f32, f32)) -> f32 {
        let integer = Self::nearest(v / factor) + zero;
        let low = if integer > 0.0 { integer } else { 0.0 };
        super::least(low, self.max)
    }
}

impl Kernel for Affine {
    type Code = u8;
    type Scale = (f32, u8);
    type Factor = (f32, f32);
    type Summary = Ends;
    const CROSSES: bool = true;

    /// GPTQ's operations in its order. The zero point is at most the largest code: of an all-subnormal block the
    /// quotient may be more, and is held.
    #[inline(always)]
    fn factor(self, ends: Ends) -> ((f32, f32), (f32, u8)) {
        let (lo, hi) = ends.numbers();
        let half = matches!(self.rule, ScaleRule::HalfGrid);
        let widest = if hi > -lo { hi } else { -lo };
        let (lo, hi) = if half && lo < 0.0 { (-widest, widest) } else { (lo, hi) };
        let (lo, hi) = if lo == 0.0 && hi == 0.0 { (-1.0, 1.0) } else { (lo, hi) };
        let factor = real_scale((hi - lo).min(f32::MAX), self.max);
        let nearest = super::least(Self::nearest(-lo / factor), self.max);
        let zero = if half { (1u32 << (self.bits - 1)) as f32 } else { nearest };
        ((factor, zero), (factor, zero as u8))
    }

    /// The difference of two integers of at most 8 bits is exact.
    #[inline(always)]
    fn fake(self, v: f32, factor: (f32, f32), _: u32) -> f32 {
        within((self.held(v, factor) - factor.1) * factor.0, f32::MAX)
    }

    #[inline(always)]
    fn bits(self, v: f32, factor: (f32, f32), _: u32) -> u32 {
        (self.held(v, factor) + INTEGER).to_bits()
    }
}
