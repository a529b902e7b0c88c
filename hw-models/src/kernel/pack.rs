//! Operand layouts: rows as they come, strips of activations, panels of weights.
//!
//! Beside its elements a row has notes: the few numbers a unit wants to know of it, such as its block scales.

use super::bytes::{BytePanel, QUAD, Quads, stored, weight};
use super::{Lane, NR};
use crate::exact::power_of_two;
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::OnceLock;

/// An operand, row-major, with the reduction axis last.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Elements in a row, padding of the last block included.
    pub k: usize,
    /// `[rows, k]`.
    pub elements: Cow<'a, [f32]>,
    /// Where elements are integers of 8 bits times one power of two: its exponent.
    pub unit: Option<i32>,
    /// `[rows, notes a row]`.
    pub notes: Vec<f64>,
}

impl Rows<'_> {
    /// The same with its elements owned.
    pub fn into_owned(self) -> Rows<'static> {
        let Self { rows, k, elements, unit, notes } = self;
        Rows { rows, k, elements: Cow::Owned(elements.into_owned()), unit, notes }
    }

    /// Notes of one row; an operand without rows has none.
    pub fn notes_per_row(&self) -> usize {
        self.notes.len().checked_div(self.rows).unwrap_or(0)
    }

    /// One row in units of `2^unit`; what `bytes` has beyond K stays as it is.
    pub(super) fn bytes(&self, row: usize, unit: i32, bytes: &mut [i8]) {
        // Adding 1.5 * 2^23 leaves an integer in the last bits of the significand: a conversion that vectorises.
        const INTEGER: f32 = 12_582_912.0;
        let inverse = power_of_two(-unit) as f32;
        for (byte, element) in bytes.iter_mut().zip(&self.elements[row * self.k..(row + 1) * self.k]) {
            *byte = (element * inverse + INTEGER).to_bits() as i8;
        }
    }
}

/// `MR` rows side by side, so that the kernel reads them in one stream.
#[derive(Default)]
pub(crate) struct Left<L, const MR: usize> {
    /// `[k][MR]`.
    pub elements: Vec<[L; MR]>,
    /// `[notes a row][MR]`.
    pub notes: Vec<[f64; MR]>,
}

impl<L: Lane, const MR: usize> Left<L, MR> {
    /// Packs the rows from `first` on; rows beyond the last are zeros.
    #[inline(always)]
    pub(super) fn pack(&mut self, x: &Rows<'_>, first: usize) {
        let notes = x.notes_per_row();
        self.elements.clear();
        self.elements.resize(x.k, [L::default(); MR]);
        self.notes.clear();
        self.notes.resize(notes, [0.0; MR]);
        for lane in 0..MR.min(x.rows - first) {
            let row = first + lane;
            for (packed, element) in self.elements.iter_mut().zip(&x.elements[row * x.k..]) {
                packed[lane] = L::of(f64::from(*element));
            }
            for (packed, note) in self.notes.iter_mut().zip(&x.notes[row * notes..]) {
                packed[lane] = *note;
            }
        }
    }
}

/// All weights as panels of `NR` output columns; columns beyond the last are zeros.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    /// N.
    pub columns: usize,
    /// Elements in a column, padding of the last block included.
    k: usize,
    notes_per_column: usize,
    /// `[panels][ceil(k / 4)]`, where elements fit bytes, and their unit; see [`Rows::unit`].
    bytes: Option<(i32, Vec<Quads>)>,
    /// `[panels][k][NR]`. Elements in bytes are widened when first multiplied by others.
    elements: OnceLock<Vec<[f32; NR]>>,
    /// `[panels][notes a column][NR]`.
    notes: Vec<[f64; NR]>,
}

/// One panel: `NR` columns side by side.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    /// `[k][NR]`.
    pub elements: &'a [[f32; NR]],
    /// `[notes a column][NR]`.
    pub notes: &'a [[f64; NR]],
}

impl Panels {
    /// Packs an operand whose rows are output columns.
    pub fn pack(w: &Rows<'_>) -> Self {
        let notes_per_column = w.notes_per_row();
        let bytes = w.unit.map(|unit| (unit, quads(w, unit)));
        let elements = match bytes {
            Some(_) => OnceLock::new(),
            None => OnceLock::from(transpose(&w.elements, w.rows, w.k)),
        };
        let notes = transpose(&w.notes, w.rows, notes_per_column);
        Self { columns: w.rows, k: w.k, notes_per_column, bytes, elements, notes }
    }

    /// Panel number `index`.
    #[inline(always)]
    pub(super) fn panel(&self, index: usize) -> Panel<'_> {
        let elements = self.elements.get_or_init(|| self.widened());
        Panel { elements: &elements[index * self.k..(index + 1) * self.k], notes: self.notes(index) }
    }

    /// Panel number `index` of elements in bytes.
    #[inline(always)]
    pub(super) fn byte_panel(&self, index: usize) -> BytePanel<'_> {
        let length = self.k.div_ceil(QUAD);
        let quads = self.bytes.as_ref().map_or(&[][..], |(_, quads)| &quads[index * length..(index + 1) * length]);
        let columns = NR.min(self.columns.saturating_sub(index * NR));
        BytePanel { columns, quads, notes: self.notes(index) }
    }

    #[inline(always)]
    fn notes(&self, index: usize) -> &[[f64; NR]] {
        &self.notes[index * self.notes_per_column..(index + 1) * self.notes_per_column]
    }

    /// The FP32 elements of those in bytes. On one thread: a thread that waits for others may be given work that waits
    /// for it.
    #[cold]
    fn widened(&self) -> Vec<[f32; NR]> {
        let Some((unit, quads)) = &self.bytes else { return Vec::new() };
        let unit = power_of_two(*unit) as f32;
        let panels = quads.chunks(self.k.div_ceil(QUAD).max(1));
        panels.flat_map(|panel| (0..self.k).map(|k| row(panel, k, unit)).collect::<Vec<_>>()).collect()
    }
}

/// Elements `k` of the columns of a panel.
fn row(panel: &[Quads], k: usize, unit: f32) -> [f32; NR] {
    panel[k / QUAD].0.map(|quad| f32::from(weight(quad[k % QUAD])) * unit)
}

/// `[rows, k]` to `[ceil(rows / NR)][ceil(k / 4)]` quads, padded with zeros.
fn quads(w: &Rows<'_>, unit: i32) -> Vec<Quads> {
    let length = w.k.div_ceil(QUAD);
    let mut panels = vec![Quads([[stored(0); QUAD]; NR]); w.rows.div_ceil(NR) * length];
    panels.par_chunks_mut(length.max(1)).enumerate().for_each(|(index, panel)| {
        let mut bytes = vec![[0i8; QUAD]; length];
        for lane in 0..NR.min(w.rows - index * NR) {
            w.bytes(index * NR + lane, unit, bytes.as_flattened_mut());
            for (Quads(out), quad) in panel.iter_mut().zip(&bytes) {
                out[lane] = quad.map(stored);
            }
        }
    });
    panels
}

/// `[rows, k]` to `[ceil(rows / NR)][k][NR]`, padded with zeros.
pub(super) fn transpose<T: Copy + Default + Send + Sync>(values: &[T], rows: usize, k: usize) -> Vec<[T; NR]> {
    let mut panels = vec![[T::default(); NR]; rows.div_ceil(NR) * k];
    if k > 0 {
        panels.par_chunks_mut(k).zip(values.par_chunks(NR * k)).for_each(|(panel, rows)| {
            for (lane, row) in rows.chunks_exact(k).enumerate() {
                for (out, value) in panel.iter_mut().zip(row) {
                    out[lane] = *value;
                }
            }
        });
    }
    panels
}
