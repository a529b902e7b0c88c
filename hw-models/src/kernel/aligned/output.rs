//! What the sum of a step is rounded to.

use crate::kernel::NR;
use crate::kernel::level::Level;

/// An accumulator type. Sums are integers in units of `unit`, a power of two.
pub(super) trait Output: Sync {
    /// The least exponent that a nonzero accumulator presents, with FP32's bias, where it is above FP32's.
    const EMIN: Option<i32>;
    /// Rounds sums of 32 bits.
    fn narrow<L: Level>(sums: &[i32; NR], unit: &[f32; NR]) -> [f32; NR];
    /// Rounds wider sums.
    fn wide<L: Level>(sums: &[f64; NR], unit: &[f32; NR]) -> [f32; NR];
    /// IEEE addition, to nearest even.
    fn add(a: f32, b: f32) -> f32;
    /// Largest finite accumulator.
    const MAX: f32;
}

/// See [`Accumulator::Single`](super::Accumulator::Single).
pub(super) struct Single;

impl Output for Single {
    const EMIN: Option<i32> = None;
    const MAX: f32 = f32::MAX;

    /// Multiplying by the unit is exact, as the result is 0 or a normal number.
    #[inline(always)]
    fn narrow<L: Level>(sums: &[i32; NR], unit: &[f32; NR]) -> [f32; NR] {
        let mut y = L::toward_zero(sums);
        (0..NR).for_each(|c| y[c] *= unit[c]);
        y
    }

    #[inline(always)]
    fn wide<L: Level>(sums: &[f64; NR], unit: &[f32; NR]) -> [f32; NR] {
        let mut y = L::wide_toward_zero(sums);
        (0..NR).for_each(|c| y[c] *= unit[c]);
        y
    }

    #[inline(always)]
    fn add(a: f32, b: f32) -> f32 {
        a + b
    }
}

/// See [`Accumulator::E8M13`](super::Accumulator::E8M13).
pub(super) struct E8M13;

/// Truncates to 13 fraction bits; truncating to 23 first changes nothing.
#[inline(always)]
fn to_e8m13(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & !0x3FF)
}

impl Output for E8M13 {
    const EMIN: Option<i32> = None;
    const MAX: f32 = f32::MAX;

    #[inline(always)]
    fn narrow<L: Level>(sums: &[i32; NR], unit: &[f32; NR]) -> [f32; NR] {
        let mut y = Single::narrow::<L>(sums, unit);
        (0..NR).for_each(|c| y[c] = to_e8m13(y[c]));
        y
    }

    #[inline(always)]
    fn wide<L: Level>(sums: &[f64; NR], unit: &[f32; NR]) -> [f32; NR] {
        let mut y = Single::wide::<L>(sums, unit);
        (0..NR).for_each(|c| y[c] = to_e8m13(y[c]));
        y
    }

    #[inline(always)]
    fn add(a: f32, b: f32) -> f32 {
        a + b
    }
}

/// See [`Accumulator::Half`](super::Accumulator::Half).
pub(super) struct Half;

/// The FP16 number nearest to `x`, ties to even; beyond FP16's range a number larger than its largest.
///
/// Adding `1.5 * 2^52` last places of the result moves everything below its last place out of FP64's significand, with
/// the one rounding that is wanted; subtracting it again is exact.
#[inline(always)]
fn to_half(x: f64) -> f32 {
    const LEAST_NORMAL: f64 = 1.0 / 16384.0;
    let binade = f64::from_bits(x.to_bits() & 0x7FF0_0000_0000_0000).max(LEAST_NORMAL);
    let shifter = binade * (1.5 * (1u64 << 42) as f64);
    ((x + shifter) - shifter) as f32
}

impl Output for Half {
    const EMIN: Option<i32> = Some(super::BIAS - 14);
    const MAX: f32 = 65504.0;

    #[inline(always)]
    fn narrow<L: Level>(sums: &[i32; NR], unit: &[f32; NR]) -> [f32; NR] {
        let mut y = [0.0; NR];
        (0..NR).for_each(|c| y[c] = to_half(f64::from(sums[c]) * f64::from(unit[c])));
        y
    }

    #[inline(always)]
    fn wide<L: Level>(sums: &[f64; NR], unit: &[f32; NR]) -> [f32; NR] {
        let mut y = [0.0; NR];
        (0..NR).for_each(|c| y[c] = to_half(sums[c] * f64::from(unit[c])));
        y
    }

    /// The sum of two FP16 numbers has at most 41 bits, so FP64 holds it.
    #[inline(always)]
    fn add(a: f32, b: f32) -> f32 {
        to_half(f64::from(a) + f64::from(b))
    }
}
