//! Operand layouts: rows as they come, strips of activations, panels of weights.
//!
//! Beside its elements a row has notes: the few numbers a unit wants to know of it, such as its block scales.

use super::{Lane, NR};
use rayon::prelude::*;
use std::borrow::Cow;

/// An operand, row-major, with the reduction axis last.
pub(crate) struct Rows<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Elements in a row, padding of the last block included.
    pub k: usize,
    /// `[rows, k]`.
    pub elements: Cow<'a, [f32]>,
    /// `[rows, notes a row]`.
    pub notes: Vec<f64>,
}

impl Rows<'_> {
    /// Notes of one row; an operand without rows has none.
    fn notes_per_row(&self) -> usize {
        self.notes.len().checked_div(self.rows).unwrap_or(0)
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
    /// `[panels][k][NR]`.
    elements: Vec<[f32; NR]>,
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
        Self {
            columns: w.rows,
            k: w.k,
            notes_per_column,
            elements: transpose(&w.elements, w.rows, w.k),
            notes: transpose(&w.notes, w.rows, notes_per_column),
        }
    }

    /// Panel number `index`.
    #[inline(always)]
    pub(super) fn panel(&self, index: usize) -> Panel<'_> {
        Panel {
            elements: &self.elements[index * self.k..(index + 1) * self.k],
            notes: &self.notes[index * self.notes_per_column..(index + 1) * self.notes_per_column],
        }
    }
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
