//! What a datapath multiplies: plain FP32 values or quantised ones, checked and brought into rows with notes.

use super::{Arithmetic, Datapath};
use crate::Error;
use crate::exact::power_of_two;
use crate::kernel::{Rows, bounds};
use interplay_formats::{Block, Encoding, Format, Quantized, Range, Scale, ScaleRule, Scaling, Specials};
use rayon::prelude::*;
use std::borrow::Cow;

/// One side of a product, row-major with the reduction axis K last: activations `[M, K]` or weights `[N, K]`.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// FP32 values.
    Values {
        /// `[rows, k]`.
        data: &'a [f32],
        /// Length of a row, at least 1.
        k: usize,
    },
    /// Codes and scales. Units of dequantised arithmetic (`ideal`, `fp32`) take their FP32 values.
    Quantized(&'a Quantized),
}

/// What is known of an operand beside its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    /// K without padding.
    pub k: usize,
    /// Elements in a block; 1 where there are no blocks.
    pub block_length: usize,
    /// The element grid: units of the last place in the largest element; 0 for plain values.
    pub units: u128,
    /// The element grid: exponent of the last place.
    pub last_place: i32,
    /// Whether all elements, in units of the last place, are integers of 8 bits.
    pub bytes: bool,
    /// Smallest and largest block exponent among blocks that are not all zero.
    pub exponents: (i32, i32),
}

/// The kind of arithmetic that a format calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Runs of elements along K under one power of two.
    Blocks {
        /// Elements in a block.
        length: usize,
    },
    /// Symmetric integers of at most 8 bits under one FP32 scale a row.
    Integers,
    /// Numbers without a scale, and everything that only its dequantised values can be multiplied of.
    Scalars,
}

/// The family of a format, by its record.
pub(crate) fn family(format: &Format) -> Family {
    let integer =
        matches!(format.element.encoding, Encoding::Integer { range: Range::Symmetric, bits: ..=8, fraction_bits: 0 });
    match format.scaling {
        Some(Scaling { block: Block::Run(length), scale: Scale::E8M0 | Scale::Exponent(_), .. }) => {
            Family::Blocks { length }
        }
        Some(Scaling { block: Block::Row, scale: Scale::Float32, rule: ScaleRule::AbsMax, .. }) if integer => {
            Family::Integers
        }
        _ => Family::Scalars,
    }
}

/// Units of the last place in the largest element of a format.
pub(crate) fn units(format: &Format) -> u128 {
    let max = format.element.max();
    max.significand << (max.exponent - format.element.grid().lsb_min)
}

impl<'a> Operand<'a> {
    /// Length of a row, K, without padding.
    pub fn k(&self) -> usize {
        match self {
            Self::Values { k, .. } => *k,
            Self::Quantized(q) => q.k(),
        }
    }

    /// The FP32 values, `[rows, k]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for values that are not whole rows.
    pub(crate) fn values(&self) -> Result<Cow<'a, [f32]>, Error> {
        match *self {
            Self::Values { data, k } if k == 0 || !data.len().is_multiple_of(k) => {
                Err(Error::Shape { len: data.len(), k })
            }
            Self::Values { data, .. } => Ok(Cow::Borrowed(data)),
            Self::Quantized(q) => Ok(Cow::Owned(q.dequantize())),
        }
    }

    /// Checks the operand against a unit and brings it into rows with the notes that the unit's kernels read.
    pub(crate) fn prepare(self, datapath: &Datapath) -> Result<(Rows<'a>, Prepared), Error> {
        let unsupported = |allowed| {
            let given = match self {
                Self::Values { .. } => "plain FP32 values".to_owned(),
                Self::Quantized(q) => format!("format `{}`", q.format().name),
            };
            Error::Unsupported { datapath: datapath.name.to_owned(), given, allowed }
        };
        match (datapath.arithmetic, self) {
            (Arithmetic::Host, _) => Err(Error::HostMultiplies(datapath.name.to_owned())),
            (Arithmetic::FmaChain, _) => self.plain(),
            (Arithmetic::Exact, _) => {
                let (mut rows, prepared) = self.plain()?;
                rows.notes = rows.elements.par_chunks(prepared.k.max(1)).flat_map_iter(bounds).collect();
                Ok((rows, prepared))
            }
            (Arithmetic::Integer { .. }, Self::Quantized(q)) if family(q.format()) == Family::Integers => {
                let scales = q.row_scales().ok_or_else(|| unsupported(INTEGERS))?;
                let notes = scales.iter().map(|&scale| f64::from(scale)).collect();
                Ok(coded(q, notes, (0, 0)))
            }
            (Arithmetic::Integer { .. }, _) => Err(unsupported(INTEGERS)),
            (Arithmetic::Block, Self::Quantized(q)) if matches!(family(q.format()), Family::Blocks { .. }) => {
                let exponents = q.block_exponents().ok_or_else(|| unsupported(BLOCKS))?;
                Ok(blocks(q, &exponents))
            }
            (Arithmetic::Block, _) => Err(unsupported(BLOCKS)),
        }
    }

    /// Rows of FP32 values without notes.
    fn plain(self) -> Result<(Rows<'a>, Prepared), Error> {
        let (elements, k) = (self.values()?, self.k());
        let rows =
            Rows { rows: elements.len().checked_div(k).unwrap_or(0), k, elements, unit: None, notes: Vec::new() };
        Ok((rows, Prepared { k, block_length: 1, units: 0, last_place: 0, bytes: false, exponents: (0, 0) }))
    }
}

/// What the integer unit takes.
const INTEGERS: &str = "symmetric integers with one scale a row (`int8`, `int4`) on both sides";
/// What the block unit takes.
pub(super) const BLOCKS: &str = "block formats (MX, HBFP) of one block length on both sides";

/// Rows of unscaled elements.
fn coded(q: &Quantized, notes: Vec<f64>, exponents: (i32, i32)) -> (Rows<'static>, Prepared) {
    let (format, k, block_length) = (q.format(), q.k(), q.block_len());
    let last_place = format.element.grid().lsb_min;
    let numbers = !matches!(format.element.encoding, Encoding::Float { specials, .. } if specials != Specials::None);
    let bytes = numbers && units(format) <= 127;
    let prepared = Prepared { k, block_length, units: units(format), last_place, bytes, exponents };
    let unit = bytes.then_some(last_place);
    (Rows { rows: q.rows(), k: q.k_padded(), elements: Cow::Owned(q.elements()), unit, notes }, prepared)
}

/// Rows of unscaled elements whose notes are the block scales.
///
/// The exponent of an all-zero block is arbitrary and its sum is zero under any: 2^0 keeps it out of the range.
fn blocks(q: &Quantized, exponents: &[i32]) -> (Rows<'static>, Prepared) {
    let (rows, mut prepared) = coded(q, Vec::new(), (0, 0));
    let zero = |block: &[f32]| block.iter().all(|&element| element == 0.0);
    let used: Vec<i32> = (exponents.par_iter().zip(rows.elements.par_chunks(q.block_len())))
        .map(|(&exponent, block)| if zero(block) { 0 } else { exponent })
        .collect();
    let range = |pick: fn(i32, i32) -> i32| used.iter().copied().reduce(pick).unwrap_or(0);
    prepared.exponents = (range(i32::min), range(i32::max));
    let notes = used.into_iter().map(power_of_two).collect();
    (Rows { notes, ..rows }, prepared)
}
