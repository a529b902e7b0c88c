//! Branch-free arithmetic of the fast path, one element at a time, written so that the compiler vectorises it.
//!
//! Invariant: every operation is on integers, or is one IEEE FP32 operation whose result is exact or whose rounding is
//! the wanted one, as the comment beside it argues; so the bits are those of the reference path on any CPU and at any
//! vector width.
//!
//! Loops are `for` loops and their bodies `#[inline(always)]` methods: a closure is a function of its own, which the
//! levels of `simd` share, so that a large one is not inlined and runs as baseline code.

mod cast;
mod coded;
mod exponent;
mod float;
mod micro;
mod power;
mod real;
mod scalar;

pub(crate) use cast::Cast;
pub(crate) use coded::{AnyRounding, Coded, FourOverSix, Recipe};
pub(crate) use exponent::Exponents;
pub(crate) use float::Float;
pub(crate) use micro::Micro;
pub(crate) use power::{Mx, PowerCast, PowerInteger, Stored};
pub(crate) use real::{Affine, RealCast, RealInteger};
pub(crate) use scalar::{Narrow, Plain, Powers, Short, Wide};

use crate::random::Stream;
use crate::simd::{self, Level};

/// All bits but the sign.
pub(crate) const MAGNITUDE: u32 = 0x7FFF_FFFF;
/// The exponent field, which is also +infinity.
pub(crate) const INFINITY: u32 = 0x7F80_0000;
/// The fraction field.
pub(crate) const FRACTION: u32 = 0x007F_FFFF;
/// Adding and subtracting 1.5 * 2^23 rounds |t| <= 2^22 to an integer, ties to even: there one unit in the last place
/// is 1. The low bits of the sum are the integer in two's complement.
pub(crate) const INTEGER: f32 = 12_582_912.0;
/// Blocks whose scales are computed side by side, where that is more than a few operations.
pub(crate) const GROUP: usize = 32;
/// Elements whose random words are made together.
pub(crate) const DRAWN: usize = 64;

/// 2^`exponent` for -149 <= exponent <= 127: the exact product of two normal numbers, without a branch.
#[inline(always)]
pub(crate) const fn power(exponent: i32) -> f32 {
    let high = if exponent > -100 { exponent } else { -100 };
    let (high, low) = (((high + 127) as u32) << 23, ((exponent - high + 127) as u32) << 23);
    f32::from_bits(high) * f32::from_bits(low)
}

/// The smaller one, without the care for NaN that `f32::min` takes.
#[inline(always)]
pub(crate) const fn least(a: f32, b: f32) -> f32 {
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

/// A stored code, made from its low bits.
pub(crate) trait Code: Copy + Default + Send + Sync {
    /// The code of these low bits.
    fn of(bits: u32) -> Self;
    /// Its bits, as wide as the type.
    fn bits(self) -> u32;
}

macro_rules! codes {
    ($($code:ty as $unsigned:ty),*) => {$(
        impl Code for $code {
            #[inline(always)]
            fn of(bits: u32) -> Self {
                bits as Self
            }

            #[inline(always)]
            fn bits(self) -> u32 {
                self as $unsigned as u32
            }
        }
    )*};
}
codes!(u8 as u8, i8 as u8, u16 as u16, i16 as u16, u32 as u32);

/// What a scale is made from: the largest magnitude, or the largest and the least number. As integers, magnitudes are
/// ordered like the numbers, and NaN above all; so merging is exact and in any order the same.
pub(crate) trait Summary: Copy + Default + Send + Sync {
    /// That of one number.
    fn of(v: f32) -> Self;
    /// That of both.
    fn merge(self, other: Self) -> Self;
    /// Whether all numbers were finite.
    fn is_finite(self) -> bool;

    /// That of all numbers.
    #[inline(always)]
    fn all(x: &[f32]) -> Self {
        let mut all = Self::default();
        for &v in x {
            all = all.merge(Self::of(v));
        }
        all
    }
}

/// The bits of the largest magnitude.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amax(pub(crate) u32);

impl Summary for Amax {
    #[inline(always)]
    fn of(v: f32) -> Self {
        Self(v.to_bits() & MAGNITUDE)
    }

    #[inline(always)]
    fn merge(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        self.0 < INFINITY
    }
}

/// Nothing: for kernels that any number suits.
impl Summary for () {
    #[inline(always)]
    fn of(_: f32) {}

    #[inline(always)]
    fn merge(self, (): ()) {}

    #[inline(always)]
    fn is_finite(self) -> bool {
        true
    }
}

/// The bits of the largest magnitudes of neighbouring blocks; `None` where a value is not finite.
#[inline(always)]
fn maxima<const B: usize>(level: Level, x: &[[f32; B]; GROUP]) -> Option<[u32; GROUP]> {
    let amax = simd::maxima(level, x);
    let mut most = 0;
    for amax in amax {
        most = amax.max(most);
    }
    (most < INFINITY).then_some(amax)
}

/// Where an element's random word comes from: its flat index in the matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    pub(crate) stream: Stream,
    pub(crate) first: u64,
}

impl Draws {
    /// Those of the elements from `by` on.
    #[inline(always)]
    pub(crate) const fn after(self, by: usize) -> Self {
        Self { first: self.first + by as u64, ..self }
    }

    #[inline(always)]
    fn words(self) -> [u32; DRAWN] {
        let mut words = [0; DRAWN];
        self.stream.fill(self.first, &mut words);
        words
    }

    /// The words that a kernel needs, zeros where it draws none.
    #[inline(always)]
    pub(crate) fn words_for<K: Kernel>(self) -> [u32; DRAWN] {
        if K::DRAWS { self.words() } else { [0; DRAWN] }
    }
}

/// What the elements of [`GROUP`] neighbouring blocks need to know of their scales, and the scales.
pub(crate) type Scales<K> = ([<K as Kernel>::Factor; GROUP], [<K as Kernel>::Scale; GROUP]);

/// How one record is computed fast: a scale from a summary of its block, then the elements.
pub(crate) trait Kernel: Copy + Sync {
    /// A stored code.
    type Code: Code;
    /// A stored scale.
    type Scale: Copy + Default + Send;
    /// What elements need to know of the scale.
    type Factor: Copy + Send + Sync;
    /// What the scale needs to know of the elements.
    type Summary: Summary;
    /// Whether elements draw random words.
    const DRAWS: bool = false;
    /// The length of blocks that the compiler is to know.
    const LENGTH: usize = 64;
    /// Whether the kernel is compiled for every sweep; others only encode, and what else is asked takes the codes.
    /// Compile time is the price: a kernel is some thirty loops.
    const COMMON: bool = true;
    /// Whether scales are worth computing for [`GROUP`] blocks at a time.
    const GROUPED: bool = false;
    /// Whether it is compiled for blocks that cross rows.
    const CROSSES: bool = false;

    /// The scale for a block of finite numbers.
    fn factor(self, summary: Self::Summary) -> (Self::Factor, Self::Scale);
    /// The rounded value of one element.
    fn fake(self, v: f32, factor: Self::Factor, random: u32) -> f32;
    /// The code of one element in the low bits; what lies above them means nothing.
    fn bits(self, v: f32, factor: Self::Factor, random: u32) -> u32;

    /// The scale of a run; `None` where a value is not finite.
    #[inline(always)]
    fn scale(self, x: &[f32]) -> Option<(Self::Factor, Self::Scale)> {
        let summary = Self::Summary::all(x);
        summary.is_finite().then(|| self.factor(summary))
    }

    /// The scales of neighbouring blocks; `None` where a value is not finite.
    #[inline(always)]
    fn scales<const B: usize>(self, level: Level, x: &[[f32; B]; GROUP]) -> Option<Scales<Self>> {
        let _ = level;
        let summaries: [Self::Summary; GROUP] = std::array::from_fn(|g| Self::Summary::all(&x[g]));
        let finite = summaries.iter().all(|s| s.is_finite());
        let scales = summaries.map(|summary| self.factor(summary));
        finite.then(|| (scales.map(|(factor, _)| factor), scales.map(|(_, scale)| scale)))
    }

    /// Packs neighbouring blocks of [`Kernel::LENGTH`] from the first on where there is a way without codes between;
    /// gives how many blocks were packed. The others, of which one may have a value that is not finite, are left.
    #[inline(always)]
    fn packed(self, level: Level, x: &[f32], out: &mut [u8], scales: &mut [Self::Scale]) -> usize {
        let _ = (level, x, out, scales);
        0
    }

    /// The rounded values of elements in place.
    #[inline(always)]
    fn fake_all(self, x: &mut [f32], factor: Self::Factor, draws: Draws) {
        if !Self::DRAWS {
            for v in x {
                *v = self.fake(*v, factor, 0);
            }
            return;
        }
        for (i, x) in x.chunks_mut(DRAWN).enumerate() {
            let words = draws.after(i * DRAWN).words();
            for (v, random) in x.iter_mut().zip(words) {
                *v = self.fake(*v, factor, random);
            }
        }
    }

    /// The codes of elements.
    #[inline(always)]
    fn code_all<C: Code>(self, x: &[f32], codes: &mut [C], factor: Self::Factor, draws: Draws) {
        if !Self::DRAWS {
            for (code, &v) in codes.iter_mut().zip(x) {
                *code = C::of(self.bits(v, factor, 0));
            }
            return;
        }
        for (i, (codes, x)) in codes.chunks_mut(DRAWN).zip(x.chunks(DRAWN)).enumerate() {
            let words = draws.after(i * DRAWN).words();
            for ((code, &v), random) in codes.iter_mut().zip(x).zip(words) {
                *code = C::of(self.bits(v, factor, random));
            }
        }
    }
}
