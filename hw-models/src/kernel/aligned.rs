//! Tensor cores: the products of a step and the accumulator are aligned to the largest exponent among them, truncated
//! to `F` fraction bits, added exactly and rounded once.
//!
//! ## Why the fast lanes are exact
//!
//! Notation: an operand is `s 2^e`, `|s| < 2`, `s` of at most 12 bits, with `e` pinned at the format's `emin`; a step
//! has `L` products `p = s_a s_b 2^(e_a + e_b)`, the accumulator `c`, and `E`, the largest exponent of all, at least
//! `e_zero`. Each term contributes `trunc(term 2^(F - E))`. A lane does this in FP32 and 32-bit integers and vouches for
//! its result where `LOW <= E <= HIGH`, with `LOW = max(e_zero, F - 125)`, or where all products are 0; `HIGH = 127 - G` where
//! `4 L + 2 <= 2^G`, G at least 8: 119 for steps of at most 63 products, 118 for the 64 positions of a sparse FP8 step.
//! Then, with `F <= 25`:
//! * `2^(F - E)` and `2^(E - F)` are normal FP32 numbers.
//! * `p` is below `2^(2 + E) <= 2^121` and has at most 24 bits, so the FP32 product is `p`, or `|p| < 2^-126` and the FP32
//!   product is at most `2^-126`. Then `|p| 2^(F - E) <= 2^-126 2^125` is below 1, before and after rounding, and
//!   truncates to 0 either way.
//! * scaling is exact, or gives a number below FP32's normal range: it truncates to 0 in both cases.
//! * a term is below `2^(F + 2)` in magnitude, so `2^(29 - F)` terms fit an `i32`; longer sums are collected in FP64.
//!   The sum is below `(4 L + 2) 2^F <= 2^(F + G)` and the result below `2^(E + G) <= 2^127`: no overflow.
//! * each result is a multiple of `2^(LOW - F) >= 2^-125`, hence 0 or normal; every later `c` is one of those.
//! * where all products are 0, `E` may really be lower than `LOW`; aligning `c` to `LOW` loses nothing of it, as it is a
//!   multiple of `2^(LOW - F)`, and neither does the machine, whose window is finer still.
//!
//! A half-precision accumulator rounds in FP64, which holds the sum; a result beyond 65504 is not vouched for.

mod operand;
mod output;
mod step;

pub use operand::Columns;

use super::tiles::{Fallback, multiply};
use super::{Rows, simd::Path};
use operand::RowExponents;
use output::{E8M13, Half, Output, Single};
use std::marker::PhantomData;
use step::Steps;

/// A dot unit that aligns all terms of a step, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aligned {
    /// Products added in one step, L; at most 127.
    pub step: usize,
    /// Fraction bits kept of every aligned term, F; at most 25.
    pub fraction_bits: u32,
    /// The least exponent that terms are aligned to, `e_zero`: what a zero presents.
    pub floor: i32,
    /// The least exponent that a nonzero element of the rows and of the columns presents, `emin`: subnormal numbers are
    /// not normalised.
    pub emin: (i32, i32),
    /// What a step's sum is rounded to.
    pub accumulator: Accumulator,
    /// Where the accumulator joins.
    pub joins: Joins,
    /// Elements that share a scale: the notes of a row are exponents of powers of two, NaN for a NaN scale. A multiple
    /// of `step`; `None` where there are no scales.
    pub scale_block: Option<usize>,
}

/// The accumulator of an [`Aligned`] unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accumulator {
    /// FP32; sums are rounded toward zero.
    Single,
    /// FP32 whose last 10 bits are zero; sums are rounded toward zero.
    E8M13,
    /// FP16; sums are rounded to nearest even.
    Half,
}

/// How the accumulator enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Joins {
    /// As one more term of every step.
    First,
    /// After the instruction: `steps` steps start from +0, and their result is added to the accumulator by one IEEE
    /// addition, to nearest even.
    Last {
        /// Steps in an instruction.
        steps: usize,
    },
}

/// Everything that a product of prepared operands needs.
pub(crate) struct Operands<'a> {
    /// The rows of the output, M.
    pub rows: &'a Rows<'a>,
    /// The columns of the output, N.
    pub columns: &'a Columns,
}

/// FP32's exponent bias.
const BIAS: i32 = 127;
/// The largest exponent that a lane vouches for at most: `HIGH` of short steps.
const HIGHEST: i32 = 119;

impl Aligned {
    /// Whether the proof above covers this unit.
    pub fn is_covered(&self) -> bool {
        let steps = match self.joins {
            Joins::First => 1,
            Joins::Last { steps } => steps,
        };
        (1..=127).contains(&self.step)
            && (1..=25).contains(&self.fraction_bits)
            && (-150..=self.high()).contains(&self.floor)
            && steps > 0
            && self.scale_block.is_none_or(|block| block > 0 && block.is_multiple_of(self.step))
    }

    /// `HIGH`: the largest exponent that a lane vouches for.
    fn high(&self) -> i32 {
        if 4 * self.step + 2 <= 256 { HIGHEST } else { HIGHEST - 1 }
    }

    /// `LOW`: the least exponent that a lane aligns to.
    fn low(&self) -> i32 {
        self.floor.max(self.fraction_bits as i32 - 125)
    }

    /// Products whose aligned terms add up in 32 bits.
    fn run(&self) -> usize {
        self.step.min(1 << (29 - self.fraction_bits))
    }

    /// Whether a whole step, accumulator included, adds up in 32 bits: `(4 L + 2) 2^F <= 2^31`.
    fn is_narrow(&self) -> bool {
        (4 * self.step as u64 + 2) << self.fraction_bits <= 1 << 31
    }

    /// `x[M, K] w[N, K]^T`, from accumulators of +0, K in steps; `definition` gives what no lane vouches for.
    ///
    /// Elements are FP32 values of at most 12 significant bits. A last step may be short.
    pub(crate) fn gemm(&self, path: Path, operands: &Operands<'_>, definition: Fallback<'_>) -> Vec<f32> {
        match self.accumulator {
            Accumulator::Single => self.rounded::<Single>(path, operands, definition),
            Accumulator::E8M13 => self.rounded::<E8M13>(path, operands, definition),
            Accumulator::Half => self.rounded::<Half>(path, operands, definition),
        }
    }

    fn rounded<O: Output>(&self, path: Path, operands: &Operands<'_>, definition: Fallback<'_>) -> Vec<f32> {
        match (self.is_narrow(), self.scale_block.is_some()) {
            (true, false) => self.specialised::<O, false, false>(path, operands, definition),
            (true, true) => self.specialised::<O, false, true>(path, operands, definition),
            (false, false) => self.specialised::<O, true, false>(path, operands, definition),
            (false, true) => self.specialised::<O, true, true>(path, operands, definition),
        }
    }

    fn specialised<O: Output, const WIDE: bool, const SCALED: bool>(
        &self,
        path: Path,
        Operands { rows, columns }: &Operands<'_>,
        definition: Fallback<'_>,
    ) -> Vec<f32> {
        let exponents = RowExponents::of(rows, self.emin.0);
        let steps = Steps::<O, WIDE, SCALED> {
            unit: *self,
            rows,
            exponents: &exponents,
            columns,
            definition,
            output: PhantomData,
        };
        multiply(path, &steps, (rows.rows, columns.count()))
    }
}
