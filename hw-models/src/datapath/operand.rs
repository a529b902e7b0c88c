//! What a datapath multiplies: plain FP32 values or quantised ones, checked and brought into rows with notes.

use super::record::{Codes, Datapath, Group, Inputs, Port, Sparsity};
use super::takes::takes;
use super::term::{NO_EXPONENT, Term, emin};
use crate::Error;
use crate::exact::{Dyadic, power_of_two};
use crate::kernel::{Rows, bounds};
use interplay_formats::{
    Block, Encoding, Format, Quantized, Range, Scalar, Scale, ScaleRule, Scales, Scaling, Specials, Value,
};
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

/// Which side of `y = x w^T` an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// x: the unit's A, or its B where A is sparse.
    Activations,
    /// w.
    Weights,
}

/// What is known of an operand beside its rows.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Number of rows.
    pub rows: usize,
    /// K without padding.
    pub k: usize,
    /// Elements in a block; 1 where there are no blocks.
    pub block_length: usize,
    /// The format of the elements.
    pub element: Scalar,
    /// The element grid: units of the last place in the largest element; 0 for plain values.
    pub units: u128,
    /// The element grid: exponent of the last place.
    pub last_place: i32,
    /// Whether all elements, in units of the last place, are integers of 8 bits.
    pub bytes: bool,
    /// Smallest and largest exponent of the block scales, of blocks that are not all zero.
    pub exponents: (i32, i32),
    /// Whether all block scales are powers of two.
    pub powers: bool,
    /// Scales that are applied to results, one a row; empty where there are none.
    pub factors: Vec<f32>,
}

/// The kind of arithmetic that a format calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Runs of elements along K under one power of two or one narrow float.
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
pub fn family(format: &Format) -> Family {
    let integer =
        matches!(format.element.encoding, Encoding::Integer { range: Range::Symmetric, bits: ..=8, fraction_bits: 0 });
    match format.scaling {
        Some(Scaling {
            block: Block::Run(length), scale: Scale::E8M0 | Scale::Exponent(_) | Scale::Code(_), ..
        }) => Family::Blocks { length },
        Some(Scaling { block: Block::Row, scale: Scale::Float32, rule: ScaleRule::AbsMax, .. }) if integer => {
            Family::Integers
        }
        _ => Family::Scalars,
    }
}

/// Units of the last place in the largest element of a format; the largest integer where those are more.
pub fn element_units(element: Scalar) -> u128 {
    if let Encoding::Integer { range: Range::Full, bits, .. } = element.encoding {
        return 1 << (bits - 1);
    }
    let max = element.max();
    let shift = max.exponent - element.grid().lsb_min;
    max.significand.checked_shl(shift as u32).filter(|units| units >> shift == max.significand).unwrap_or(u128::MAX)
}

/// Whether every code of a format is a number, and an integer of 8 bits with sign in units of the last place.
fn in_bytes(element: Scalar) -> bool {
    match element.encoding {
        Encoding::Integer { range: Range::Full, bits, .. } => bits <= 8,
        Encoding::Float { specials, .. } if specials != Specials::None => false,
        _ => element_units(element) <= 127,
    }
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
    fn values(&self) -> Result<Cow<'a, [f32]>, Error> {
        match *self {
            Self::Values { data, k } if k == 0 || !data.len().is_multiple_of(k) => {
                Err(Error::Shape { len: data.len(), k })
            }
            Self::Values { data, .. } => Ok(Cow::Borrowed(data)),
            Self::Quantized(q) => Ok(Cow::Owned(q.dequantize())),
        }
    }

    /// Checks the operand against a unit and brings it into rows with the notes that the unit's kernels read: bounds for
    /// exact sums of values, the scale of a row of integers, the scales of blocks.
    pub(crate) fn prepare(self, datapath: &Datapath, side: Side) -> Result<(Rows<'a>, Prepared), Error> {
        match (datapath.inputs, self) {
            (Inputs::Host, _) => Err(Error::HostMultiplies(datapath.name.to_owned())),
            (Inputs::Values, _) => {
                let (mut rows, prepared) = self.plain()?;
                if datapath.order.group == Group::All {
                    rows.notes = rows.elements.par_chunks(prepared.k.max(1)).flat_map_iter(bounds).collect();
                }
                Ok((rows, prepared))
            }
            (Inputs::Integers, Self::Quantized(q)) if family(q.format()) == Family::Integers => {
                let scales = q.row_scales().ok_or_else(|| self.unsupported(datapath, INTEGERS.to_owned()))?;
                let (rows, prepared) = coded(q, scales.iter().map(|&scale| f64::from(scale)).collect());
                Ok((rows, Prepared { factors: scales.to_vec(), ..prepared }))
            }
            (Inputs::Blocks(_), Self::Quantized(q)) if matches!(family(q.format()), Family::Blocks { .. }) => {
                self.blocks(q, datapath)
            }
            (Inputs::Integers, _) => Err(self.unsupported(datapath, INTEGERS.to_owned())),
            (Inputs::Blocks(_), _) => Err(self.unsupported(datapath, BLOCKS.to_owned())),
            (Inputs::Codes(codes), _) => self.codes(datapath, &codes, side),
        }
    }

    fn unsupported(self, datapath: &Datapath, allowed: String) -> Error {
        let given = match self {
            Self::Values { .. } => "plain FP32 values".to_owned(),
            Self::Quantized(q) => format!("format `{}`", q.format().name),
        };
        unsupported(datapath, given, allowed)
    }

    /// Rows of FP32 values without notes.
    fn plain(self) -> Result<(Rows<'a>, Prepared), Error> {
        let (elements, k) = (self.values()?, self.k());
        let rows =
            Rows { rows: elements.len().checked_div(k).unwrap_or(0), k, elements, unit: None, notes: Vec::new() };
        let prepared = Prepared {
            rows: rows.rows,
            k,
            block_length: 1,
            element: interplay_formats::scalar::FP32,
            units: 0,
            last_place: 0,
            bytes: false,
            exponents: (0, 0),
            powers: true,
            factors: Vec::new(),
        };
        Ok((rows, prepared))
    }

    /// Rows of unscaled elements whose notes are the block scales; the scale of the whole tensor goes to the results.
    fn blocks(self, q: &Quantized, datapath: &Datapath) -> Result<(Rows<'a>, Prepared), Error> {
        let scales = block_scales(q).ok_or_else(|| self.unsupported(datapath, BLOCKS.to_owned()))?;
        let (rows, mut prepared) = coded(q, Vec::new());
        // The exponent of an all-zero block is arbitrary and its sum is zero under any: 2^0 keeps it out of the range.
        let zero = |block: &[f32]| block.iter().all(|&element| element == 0.0);
        let notes: Vec<f64> = (scales.par_iter().zip(rows.elements.par_chunks(q.block_len())))
            .map(|(&scale, block)| if zero(block) { 1.0 } else { scale })
            .collect();
        let exponents = notes.iter().filter(|note| **note != 0.0).map(|note| exponent(*note));
        let range = exponents.fold((i32::MAX, i32::MIN), |(low, high), e| (low.min(e), high.max(e)));
        prepared.exponents = if range.0 > range.1 { (0, 0) } else { range };
        if prepared.exponents.0 < -FARTHEST || prepared.exponents.1 > FARTHEST {
            return Err(self.unsupported(datapath, format!("block exponents of magnitude {FARTHEST} at most")));
        }
        prepared.powers = notes.iter().all(|note| note.to_bits() << 12 == 0);
        prepared.factors = q.tensor_scale().map_or(Vec::new(), |scale| vec![scale; rows.rows]);
        Ok((Rows { notes, ..rows }, prepared))
    }

    /// Rows of elements that a unit's input format has, and the scales that it takes.
    fn codes(self, datapath: &Datapath, codes: &Codes, side: Side) -> Result<(Rows<'a>, Prepared), Error> {
        let port = port(codes, side);
        let (rows, prepared) = match (self, codes.scale) {
            (Self::Quantized(q), Some(scale)) if takes(q.format(), port, scale.format, scale.block) => {
                self.blocks(q, datapath)?
            }
            (_, Some(_)) => return Err(self.unsupported(datapath, codes.wanted(port))),
            (Self::Quantized(q), None) if q.format().scaling.is_some() => match factors(q) {
                Some(factors) => {
                    let (rows, prepared) = coded(q, Vec::new());
                    (rows, Prepared { factors, ..prepared })
                }
                None => return Err(self.unsupported(datapath, codes.wanted(port))),
            },
            _ => {
                let (rows, prepared) = self.plain()?;
                let (units, bytes) = (element_units(port.format), in_bytes(port.format));
                let last_place = port.format.grid().lsb_min;
                let unit = bytes.then_some(last_place);
                (Rows { unit, ..rows }, Prepared { element: port.format, units, last_place, bytes, ..prepared })
            }
        };
        let known = matches!(self, Self::Quantized(q) if within(q.format().element, port.format));
        let elements = if known { rows.elements } else { readable(port, rows.elements, rows.k, datapath)? };
        let mut rows = Rows { elements: as_read(port, elements), ..rows };
        if codes.scale.is_none() && matches!(port.format.encoding, Encoding::Integer { .. }) {
            // The integer kernels scale rows; here the results are scaled, where there is a scale.
            rows.notes = vec![1.0; rows.rows];
        }
        if let (Some(sparsity), Side::Weights) = (codes.sparse, side) {
            sparsity.check(&rows, datapath)?;
        }
        Ok((rows, prepared))
    }
}

pub(super) fn unsupported(datapath: &Datapath, given: String, allowed: String) -> Error {
    Error::Unsupported { datapath: datapath.name.to_owned(), given, allowed }
}

impl Prepared {
    /// The terms of one row, scales included.
    pub(crate) fn terms(&self, datapath: &Datapath, side: Side, rows: &Rows<'_>, row: usize) -> Vec<Term> {
        let elements = &rows.elements[row * rows.k..(row + 1) * rows.k];
        let scaled = matches!(datapath.inputs, Inputs::Blocks(_) | Inputs::Codes(Codes { scale: Some(_), .. }));
        let blocks = rows.notes_per_row();
        let notes = if scaled { &rows.notes[row * blocks..(row + 1) * blocks] } else { &[] };
        let (port, least) = match datapath.inputs {
            Inputs::Codes(codes) => (port(&codes, side), codes.scale.map_or(NO_EXPONENT, |scale| emin(scale.format))),
            Inputs::Blocks(exponent) => (Port { exponent, ..Port::plain(self.element) }, NO_EXPONENT),
            _ => (Port::plain(self.element), NO_EXPONENT),
        };
        let scales: Vec<Term> = notes.iter().map(|&note| Term::of(value(note), least)).collect();
        let term = |(k, &element): (usize, &f32)| {
            let term = port.term(Value::from_f32(element));
            scales.get(k / self.block_length.max(1)).map_or(term, |&scale| term.times(scale))
        };
        elements.iter().enumerate().map(term).collect()
    }
}

/// What the integer unit takes.
pub(super) const INTEGERS: &str = "symmetric integers with one scale a row (`int8`, `int4`) on both sides";
/// What the block unit takes.
pub(super) const BLOCKS: &str = "block formats (MX, HBFP, NVFP4) of one block length on both sides";
/// The largest magnitude of a block exponent: two of them and two elements stay inside FP64's range. FP32 numbers make
/// none beyond 300.
const FARTHEST: i32 = 450;

/// The port of a side.
pub(super) fn port(codes: &Codes, side: Side) -> Port {
    match (side, codes.sparse) {
        (Side::Activations, None) | (Side::Weights, Some(_)) => codes.a,
        (Side::Weights, None) | (Side::Activations, Some(_)) => codes.b,
    }
}

/// One FP32 factor a row, where that is how a format is scaled.
fn factors(q: &Quantized) -> Option<Vec<f32>> {
    match (q.scales(), q.format().scaling?.block) {
        (Scales::Float32(scales), Block::Row) => Some(scales.clone()),
        (Scales::Float32(scales), Block::Tensor) => Some(vec![*scales.first()?; q.rows()]),
        _ => None,
    }
}

/// The scale of each block, `[rows, blocks]`; NaN for a block without values. `None` where blocks have no such scales.
fn block_scales(q: &Quantized) -> Option<Vec<f64>> {
    match (q.scales(), q.format().scaling?.scale) {
        (Scales::Code(codes), Scale::Code(scalar)) => {
            Some(codes.iter().map(|&code| scalar.decode(u64::from(code)).to_f64()).collect())
        }
        (Scales::E8M0(codes), _) => {
            let exponents = q.block_exponents()?;
            let scale = |(&code, &e): (&u8, &i32)| if code == u8::MAX { f64::NAN } else { power_of_two(e) };
            Some(codes.iter().zip(&exponents).map(scale).collect())
        }
        _ => Some(q.block_exponents()?.iter().map(|&e| power_of_two(e.clamp(-1022, 1023))).collect()),
    }
}

/// Rows of unscaled elements.
fn coded(q: &Quantized, notes: Vec<f64>) -> (Rows<'static>, Prepared) {
    let format = q.format();
    let bytes = in_bytes(format.element);
    let prepared = Prepared {
        rows: q.rows(),
        k: q.k(),
        block_length: q.block_len(),
        element: format.element,
        units: element_units(format.element),
        last_place: format.element.grid().lsb_min,
        bytes,
        exponents: (0, 0),
        powers: true,
        factors: Vec::new(),
    };
    let unit = bytes.then_some(prepared.last_place);
    (Rows { rows: q.rows(), k: q.k_padded(), elements: Cow::Owned(q.elements()), unit, notes }, prepared)
}

/// The exponent of a number that is not zero.
fn exponent(note: f64) -> i32 {
    (note.to_bits() >> 52 & 0x7ff) as i32 - 1023
}

/// The exact value of a note.
fn value(note: f64) -> Value {
    interplay_formats::scalar::FP64.decode(note.to_bits())
}

/// Whether every number of one format is one of another.
pub(super) fn within(element: Scalar, format: Scalar) -> bool {
    match (element.encoding, format.encoding) {
        (
            Encoding::Integer { range: Range::Symmetric, bits, fraction_bits },
            Encoding::Integer { range, bits: most, fraction_bits: own },
        ) => range != Range::Unsigned && bits <= most && fraction_bits == own,
        (own, wanted) => own == wanted,
    }
}

/// The elements, every one a number that the port's format has.
fn readable<'a>(port: Port, elements: Cow<'a, [f32]>, k: usize, datapath: &Datapath) -> Result<Cow<'a, [f32]>, Error> {
    let wrong = elements.par_iter().position_first(|&x| !port.has(x));
    if let Some(at) = wrong {
        return Err(Error::NotRepresentable {
            datapath: datapath.name.to_owned(),
            format: port.format.name.to_owned(),
            value: elements[at],
            row: at / k.max(1),
            column: at % k.max(1),
        });
    }
    Ok(elements)
}

/// The elements without the bits that the port ignores.
fn as_read(port: Port, elements: Cow<'_, [f32]>) -> Cow<'_, [f32]> {
    if port.ignored_bits == 0 {
        return elements;
    }
    let mask = u32::MAX << port.ignored_bits;
    Cow::Owned(elements.iter().map(|&x| f32::from_bits(x.to_bits() & mask)).collect())
}

impl Port {
    /// Whether the format has the number `x`, by its bits.
    fn has(self, x: f32) -> bool {
        if x.is_nan() {
            return self.format.nan_code().is_some();
        }
        if x.is_infinite() {
            return self.format.infinity_code().is_some();
        }
        let exact = Dyadic::from(x);
        if exact.significand == 0 {
            return true;
        }
        let (last, top) = (
            exact.exponent + exact.significand.trailing_zeros() as i32,
            exact.exponent + 31 - exact.significand.leading_zeros() as i32,
        );
        let grid = self.format.grid();
        let fits = last >= grid.lsb_min && grid.precision.is_none_or(|bits| top - last < bits as i32);
        let largest = Value::Finite(self.format.max()).to_f64().abs();
        let least = match self.format.encoding {
            Encoding::Integer { range: Range::Unsigned, .. } => 0.0,
            Encoding::Integer { range: Range::Full, bits, fraction_bits } => {
                power_of_two(bits as i32 - 1 - fraction_bits as i32)
            }
            _ => largest,
        };
        fits && f64::from(x) <= largest && -f64::from(x) <= least
    }
}

impl Sparsity {
    /// The positions that are stored of a row, in increasing order: those of numbers that are not zero; where a group has
    /// fewer than it stores, the last ones that keep the order (as PTX's codes are chosen) are added.
    pub(crate) fn kept(self, row: &[Term]) -> Vec<usize> {
        let zero = |term: &Term| term.value.finite().is_some_and(|x| x.is_zero());
        let slots = self.n / self.together;
        let mut kept = Vec::with_capacity(row.len() * self.n / self.m);
        for (group, terms) in row.chunks(self.m).enumerate() {
            let units: Vec<bool> = terms.chunks(self.together).map(|unit| !unit.iter().all(zero)).collect();
            let mut missing = slots.saturating_sub(units.iter().filter(|used| **used).count());
            let mut used = units;
            for slot in used.iter_mut().rev() {
                if missing > 0 && !*slot {
                    *slot = true;
                    missing -= 1;
                }
            }
            let positions = used.iter().enumerate().filter(|(_, used)| **used).map(|(unit, _)| unit);
            let each = |unit: usize| (0..self.together).map(move |i| group * self.m + unit * self.together + i);
            kept.extend(positions.flat_map(each).filter(|p| *p < row.len()));
        }
        kept
    }

    /// Whether every group of every row stores no more than it may.
    fn check(self, rows: &Rows<'_>, datapath: &Datapath) -> Result<(), Error> {
        let slots = self.n / self.together;
        let full =
            |group: &[f32]| group.chunks(self.together).filter(|unit| unit.iter().any(|&x| x != 0.0)).count() > slots;
        for (row, elements) in rows.elements.chunks(rows.k.max(1)).enumerate() {
            if !rows.k.is_multiple_of(self.m) || elements.chunks(self.m).any(full) {
                return Err(Error::NotSparse { datapath: datapath.name.to_owned(), n: self.n, m: self.m, row });
            }
        }
        Ok(())
    }
}
