//! Operands with their exponents beside them.

use super::BIAS;
use crate::kernel::NR;
use crate::kernel::pack::{Rows, transpose};
use rayon::prelude::*;

/// The exponent of a zero. Sums of exponents stay below [`ALL_ZERO`] where one of the factors is 0, and only there.
const ZERO: i16 = -0x1000;
/// The exponent of an infinity or a NaN: above `HIGHEST` whatever it is multiplied with, zero included.
const NOT_FINITE: i16 = 0x1800;
/// The exponent of a NaN scale: above `HIGHEST` even with two zeros. The sum with it saturates.
const NOT_A_SCALE: i16 = 0x3000;
/// Products whose exponents add up to less than this are 0. Others are at least `-2 * 126 - 2 * 127`.
pub(super) const ALL_ZERO: i16 = -0x400;

/// What an element presents to the alignment.
#[inline(always)]
fn exponent(x: f32, emin: i32) -> i16 {
    let bits = x.to_bits() & 0x7FFF_FFFF;
    let exponent = ((bits >> 23) as i32 - BIAS).max(emin) as i16;
    match bits {
        0 => ZERO,
        0x7F80_0000.. => NOT_FINITE,
        _ => exponent,
    }
}

/// The exponent of a scale; `note` is a whole number of magnitude at most 127, or NaN.
fn scale(note: f64) -> i16 {
    if note.is_nan() { NOT_A_SCALE } else { note as i16 }
}

/// The exponents of [`Rows`].
pub(super) struct RowExponents {
    /// `[rows, k]`.
    pub elements: Vec<i16>,
    /// `[rows, notes a row]`.
    pub scales: Vec<i16>,
}

impl RowExponents {
    pub fn of(rows: &Rows<'_>, emin: i32) -> Self {
        Self {
            elements: rows.elements.par_iter().map(|&x| exponent(x, emin)).collect(),
            scales: rows.notes.iter().map(|&note| scale(note)).collect(),
        }
    }
}

/// The columns of an output in panels, packed once for many products.
#[derive(Clone, Debug)]
pub struct Columns {
    count: usize,
    k: usize,
    scales_per_column: usize,
    /// `[panels][k][NR]`.
    elements: Vec<[f32; NR]>,
    /// `[panels][k][NR]`, with FP32's bias added, so that a sum with a row's exponent compares with exponent fields.
    exponents: Vec<[i16; NR]>,
    /// `[panels][scales a column][NR]`.
    scales: Vec<[i16; NR]>,
}

impl Columns {
    /// Packs an operand whose rows are output columns; `emin` is its format's.
    pub(crate) fn pack(w: &Rows<'_>, emin: i32) -> Self {
        let biased = |x: f32| exponent(x, emin) + BIAS as i16;
        let scales: Vec<i16> = w.notes.iter().map(|&note| scale(note)).collect();
        let scales_per_column = scales.len().checked_div(w.rows).unwrap_or(0);
        let elements = transpose(&w.elements, w.rows, w.k);
        let exponents = elements.par_iter().map(|lanes| lanes.map(biased)).collect();
        Self {
            count: w.rows,
            k: w.k,
            scales_per_column,
            elements,
            exponents,
            scales: transpose(&scales, w.rows, scales_per_column),
        }
    }

    /// Number of columns, N.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Panel number `index`.
    #[inline(always)]
    pub(super) fn panel(&self, index: usize) -> Panel<'_> {
        let (elements, scales) = (index * self.k, index * self.scales_per_column);
        Panel {
            elements: &self.elements[elements..elements + self.k],
            exponents: &self.exponents[elements..elements + self.k],
            scales: &self.scales[scales..scales + self.scales_per_column],
        }
    }
}

/// `NR` columns side by side.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// `[k][NR]`.
    pub elements: &'a [[f32; NR]],
    /// `[k][NR]`, biased.
    pub exponents: &'a [[i16; NR]],
    /// `[scales][NR]`.
    pub scales: &'a [[i16; NR]],
}
