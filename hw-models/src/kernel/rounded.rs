//! Block units with an accumulator of any float format, such as users design: exact block sums, optionally held to an
//! integer register, rounded to one format, added and rounded to another.
//!
//! The notes of a row are its block scales. Everything happens in FP64:
//! * the sum of a block is exact, as `Register::of` says for [`DoubleBlocks`](super::DoubleBlocks), and so is scaling it;
//! * two numbers of at most 24 significant bits are added with one rounding *to odd* at 53 bits, which a later rounding to
//!   at most 51 bits cannot tell from the exact sum (Boldo and Melquiond, 2008);
//! * a float is rounded by adding and taking away a power of two that moves its last place to FP64's, or by the host's
//!   truncation and ceiling on the number in units of its last place.

use super::block::to_odd;
use super::{Left, NR, Panel, Unit, chain};
use interplay_formats::{Encoding, Rounding, Scalar};

/// A float format of at most 24 significant bits inside FP32's exponents, with what is needed to round to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Float {
    /// Significant bits.
    precision: i32,
    /// Exponent of the smallest position.
    lsb_min: i32,
    /// The largest number.
    max: f64,
    /// What becomes of numbers beyond it, away from the rounding's direction or not: see [`Float::of`].
    beyond: [f64; 2],
}

impl Float {
    /// The format, if it is one of those; `beyond` is the result for positive and for negative overflow.
    pub fn of(format: Scalar, beyond: [f64; 2]) -> Option<Self> {
        let grid = format.grid();
        let Encoding::Float { .. } = format.encoding else { return None };
        let precision = grid.precision.filter(|bits| *bits <= 24)? as i32;
        let max = interplay_formats::Value::Finite(format.max()).to_f64();
        (grid.lsb_min >= -149 && format.emax() <= 127).then_some(Self { precision, lsb_min: grid.lsb_min, max, beyond })
    }

    /// The number of the format that `MODE` chooses for a finite `x`.
    #[inline(always)]
    fn round<const MODE: u8>(&self, x: f64) -> f64 {
        let exponent = (x.to_bits() >> 52 & 0x7FF) as i32 - 1023;
        let last = (exponent - self.precision + 1).max(self.lsb_min);
        let unit = f64::from_bits(((last + 1023) as u64) << 52);
        let per_unit = f64::from_bits(((1023 - last) as u64) << 52);
        let units = x * per_unit;
        let rounded = unit
            * match MODE {
                TOWARD_ZERO => units.trunc(),
                UP => units.ceil(),
                _ => units.round_ties_even(),
            };
        // A NaN compares false and stays.
        let beyond = if rounded < 0.0 { self.beyond[1] } else { self.beyond[0] };
        if rounded.abs() > self.max { beyond } else { rounded }
    }
}

/// A register of a block's integer elements before their scales: range, and whether it wraps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dot {
    /// Units of the register in one; a power of two.
    pub units: f64,
    /// The least and the greatest number of units.
    pub range: [f64; 2],
    /// Whether sums beyond wrap; else they are held to the range.
    pub wraps: bool,
}

impl Dot {
    /// What the register holds of a sum that is a whole number of its units.
    #[inline(always)]
    fn hold(&self, sum: f64) -> f64 {
        let units = sum * self.units;
        let [low, high] = self.range;
        let held = if self.wraps {
            let span = high - low + 1.0;
            units - span * ((units - low) / span).floor()
        } else {
            units.max(low).min(high)
        };
        held / self.units
    }
}

/// Rounding to nearest, ties to even.
const NEAREST: u8 = 0;
/// Rounding toward zero.
const TOWARD_ZERO: u8 = 1;
/// Rounding up.
const UP: u8 = 2;

/// The mode of a rounding, where there is one. Rounding down has none: its exact zeros are negative.
pub(crate) const fn mode(rounding: Rounding) -> Option<u8> {
    match rounding {
        Rounding::NearestEven => Some(NEAREST),
        Rounding::TowardZero => Some(TOWARD_ZERO),
        Rounding::Up => Some(UP),
        _ => None,
    }
}

/// A block unit with one rounding `MODE` for both formats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RoundedBlocks<const MODE: u8> {
    /// Elements in a block.
    pub length: usize,
    /// The register of the block's elements.
    pub dot: Option<Dot>,
    /// What a scaled block sum is rounded to.
    pub sum: Float,
    /// The accumulator.
    pub accumulator: Float,
}

impl<const MODE: u8> Unit for RoundedBlocks<MODE> {
    type Lane = f64;

    #[inline(always)]
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f64, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        let mut accumulators = [[0.0f64; NR]; MR];
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            let mut sums = [[0.0f64; NR]; MR];
            chain::<_, MR, FUSED>(a, b, &mut sums);
            for r in 0..MR {
                for c in 0..NR {
                    let dot = self.dot.map_or(sums[r][c], |dot| dot.hold(sums[r][c]));
                    let term = self.sum.round::<MODE>(dot * (scale_a[r] * scale_b[c]));
                    let sum = accumulators[r][c] + term;
                    // Without a finite sum there is nothing to round.
                    let sum = if sum.is_finite() { to_odd(accumulators[r][c], term) } else { sum };
                    accumulators[r][c] = self.accumulator.round::<MODE>(sum);
                }
            }
        }
        for r in 0..MR {
            // Numbers of the accumulator are FP32 numbers.
            (0..NR).for_each(|c| out[r][c] = accumulators[r][c] as f32);
        }
    }
}

/// Integer sums in a register that wraps or is held to its range after every step.
///
/// Products and sums are integers far below 2^53, so FP64 holds them exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Registers {
    /// Products a step.
    pub step: usize,
    /// The register, with `units` the units of the last place of a product in one.
    pub register: Dot,
}

impl Unit for Registers {
    type Lane = f64;

    /// Wrapping at the end is wrapping at every step.
    #[inline(always)]
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f64, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let mut sums = [[0.0f64; NR]; MR];
        let step = if self.register.wraps { left.elements.len().max(1) } else { self.step };
        for (a, b) in left.elements.chunks(step).zip(right.elements.chunks(step)) {
            chain::<_, MR, FUSED>(a, b, &mut sums);
            sums.iter_mut().flatten().for_each(|sum| *sum = self.register.hold(*sum));
        }
        for r in 0..MR {
            // An integer converts with one rounding; an exact zero is +0.
            (0..NR).for_each(|c| out[r][c] = (sums[r][c] + 0.0) as f32);
        }
    }
}
