//! The fast path: quantise, fake-quantise and dequantise by blocks, vectorised and on all threads.
//!
//! Invariant: the bits are those of the reference path for any thread count, CPU and shape; tests compare them. Records
//! that no [`Kernel`] covers take the reference path, so that a new catalogue entry works before it is fast.

use crate::error::{Error, non_finite, rows_of};
use crate::kernel::{Enclosing, Float, Floor, Mx, Narrow, PowerInteger, RealInteger, Short};
use crate::random::Stream;
use crate::simd::Level;
use crate::sweep::{Job, fake, first_non_finite};
use crate::tensor::{Codes, Scales};
use crate::{Encoding, Format, Overflow, Quantized, Range, Rounding, Scale, ScaleRule, Scaling};

/// Values that a scalar format treats as one block; any number gives the same bits.
const SCALAR_RUN: usize = 64;

/// The kernel that covers a record.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Exact,
    Narrow(Narrow),
    Short(Short),
    Mx(Mx),
    MxInteger(PowerInteger<Floor>),
    Hbfp(PowerInteger<Enclosing>),
    Int(RealInteger),
    Reference,
}

impl Plan {
    fn new(format: &Format) -> Self {
        if format.is_exact() {
            return Self::Exact;
        }
        let covered = format.rounding == Rounding::NearestEven && format.input.is_none() && format.is_row_local();
        Self::of(format).filter(|_| covered && format.overflow != Overflow::Wrap).unwrap_or(Self::Reference)
    }

    fn of(format: &Format) -> Option<Self> {
        let element = format.element;
        let Some(Scaling { scale, rule, .. }) = format.scaling else {
            let short = Short::new(format).map(Self::Short);
            return short
                .or_else(|| Float::new(format).filter(|_| element.bits() > 8).map(|f| Self::Narrow(Narrow(f))));
        };
        if element.bits() > 8 {
            return None;
        }
        let max = element.max_code() as f32;
        let symmetric = matches!(element.encoding, Encoding::Integer { range: Range::Symmetric, .. });
        if matches!(element.encoding, Encoding::Integer { .. }) && !symmetric {
            return None;
        }
        match (element.encoding, scale, rule) {
            (Encoding::Float { .. }, Scale::E8M0, ScaleRule::Floor) => {
                Some(Self::Mx(Mx { float: Float::new(format)?, emax: element.emax() }))
            }
            (Encoding::Integer { fraction_bits, .. }, Scale::E8M0, ScaleRule::Floor) => {
                let rule = Floor(element.emax());
                Some(Self::MxInteger(PowerInteger { max, fraction_bits: fraction_bits as i32, rule }))
            }
            (Encoding::Integer { fraction_bits, .. }, Scale::Exponent(9..), ScaleRule::Enclosing) => {
                let rule = Enclosing(format.exponent_offset());
                Some(Self::Hbfp(PowerInteger { max, fraction_bits: fraction_bits as i32, rule }))
            }
            (Encoding::Integer { fraction_bits: 0, .. }, Scale::Float32, ScaleRule::AbsMax) => {
                Some(Self::Int(RealInteger { max }))
            }
            _ => None,
        }
    }
}

impl Format {
    /// Quantises a row-major matrix with rows of `k`: the bits of [`Format::quantize_reference`].
    ///
    /// A short last block of a row is padded with zeros.
    ///
    /// # Errors
    /// A NaN or an infinity (the first one, by row and column), a length that `k` does not divide.
    pub fn quantize(&'static self, x: &[f32], k: usize) -> Result<Quantized, Error> {
        self.quantize_at(Level::detect(), x, k)
    }

    /// Quantises with the random bits of `seed`, which only stochastic rounding draws: the word of an element depends
    /// on the seed and on its place in the matrix, so that a pruned matrix draws the same.
    ///
    /// # Errors
    /// As [`Format::quantize`].
    pub fn quantize_seeded(&'static self, x: &[f32], k: usize, seed: u64) -> Result<Quantized, Error> {
        if self.rounding.is_deterministic() {
            return self.quantize(x, k);
        }
        rows_of(x.len(), k)?;
        first_non_finite(x).map_or(Ok(()), |at| Err(non_finite(x, k, at)))?;
        self.interpret(x, k, Stream::new(seed))
    }

    /// Quantises whatever there is: NaN and infinities become what the record's `non_finite` says.
    ///
    /// # Errors
    /// A NaN or an infinity where the record refuses them or has no code for them; a length that `k` does not divide.
    pub fn quantize_any(&'static self, x: &[f32], k: usize, seed: u64) -> Result<Quantized, Error> {
        match first_non_finite(x) {
            None => self.quantize_seeded(x, k, seed),
            Some(_) => self.interpret(x, k, Stream::new(seed)),
        }
    }

    /// Rounds a row-major matrix with rows of `k` in place: the bits of quantising and dequantising.
    ///
    /// # Errors
    /// As [`Format::quantize`]; the contents of `x` are then unspecified.
    pub fn fake_quantize(&'static self, x: &mut [f32], k: usize) -> Result<(), Error> {
        self.fake_quantize_at(Level::detect(), x, k)
    }

    fn fake_quantize_at(&'static self, level: Level, x: &mut [f32], k: usize) -> Result<(), Error> {
        rows_of(x.len(), k)?;
        let bad = match Plan::new(self) {
            Plan::Exact => first_non_finite(x),
            Plan::Narrow(kernel) => fake(level, kernel, self, x, k),
            Plan::Short(kernel) => fake(level, kernel, self, x, k),
            Plan::Mx(kernel) => fake(level, kernel, self, x, k),
            Plan::MxInteger(kernel) => fake(level, kernel, self, x, k),
            Plan::Hbfp(kernel) => fake(level, kernel, self, x, k),
            Plan::Int(kernel) => fake(level, kernel, self, x, k),
            Plan::Reference => {
                let values = self.quantize_reference(x, k)?.dequantize_reference();
                x.copy_from_slice(&values);
                None
            }
        };
        bad.map_or(Ok(()), |at| Err(non_finite(x, k, at)))
    }

    fn quantize_at(&'static self, level: Level, x: &[f32], k: usize) -> Result<Quantized, Error> {
        let rows = rows_of(x.len(), k)?;
        let job = Job { format: self, level, x, rows, k };
        let none = |_| Scales::None;
        match Plan::new(self) {
            Plan::Exact => match first_non_finite(x) {
                Some(at) => Err(non_finite(x, k, at)),
                None => {
                    let codes = Codes::U32(x.iter().map(|v| v.to_bits()).collect());
                    Ok(Quantized::new(self, rows, k, codes, Scales::None))
                }
            },
            Plan::Narrow(kernel) => job.encode(kernel, Codes::U16, none),
            Plan::Short(kernel) => job.encode(kernel, Codes::U16, none),
            Plan::Mx(kernel) => job.encode(kernel, Codes::U8, Scales::E8M0),
            Plan::MxInteger(kernel) => job.encode(kernel, Codes::I8, Scales::E8M0),
            Plan::Hbfp(kernel) => job.encode(kernel, Codes::I8, Scales::Exponent),
            Plan::Int(kernel) => job.encode(kernel, Codes::I8, Scales::Float32),
            Plan::Reference => self.quantize_reference(x, k),
        }
    }

    /// The length of the pieces that kernels see: a block, a run of a scalar format, a row.
    pub(crate) fn run_len(&self, k: usize) -> usize {
        self.scaling.map_or(SCALAR_RUN, |s| s.block.extent(1, k).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every level of this CPU gives the bits of the baseline; the reference path judges that in `tests/fast.rs`.
    #[test]
    fn levels_agree() {
        let mut bits = 0x1234_5678u32;
        let mut next = || {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(if bits & 0x7F80_0000 == 0x7F80_0000 { bits ^ 0x4000_0000 } else { bits })
        };
        let levels: &[Level] = &[
            Level::Baseline,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512,
        ];
        for k in [1, 33, 64, 200, 4096] {
            let x: Vec<f32> = (0..k * 24).map(|_| next()).collect();
            for format in Format::all() {
                let fake = |level| {
                    let mut values = x.clone();
                    format.fake_quantize_at(level, &mut values, k).map(|()| values)
                };
                let bits = |values: Result<Vec<f32>, Error>| -> Result<Vec<u32>, Error> {
                    values.map(|v| v.iter().map(|v| v.to_bits()).collect())
                };
                for &level in levels {
                    assert_eq!(bits(fake(level)), bits(fake(Level::Baseline)), "{} {level:?} {k}", format.name);
                    let quantized = format.quantize_at(level, &x, k);
                    assert!(quantized == format.quantize_at(Level::Baseline, &x, k), "{} {level:?} {k}", format.name);
                }
            }
        }
    }
}
