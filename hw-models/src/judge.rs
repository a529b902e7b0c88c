//! Doors to single kernels for this crate's tests and benchmarks; no part of the interface.

use crate::Path;
use crate::kernel::aligned::Operands;
pub use crate::kernel::aligned::{Accumulator, Aligned, Columns, Joins};
pub use crate::kernel::groups::{Grouped, GroupedColumns};
use crate::kernel::{Fallback, Rows};
use std::borrow::Cow;

/// An operand of element values, `[rows, k]`, with the notes that the kernel wants, `[rows, notes a row]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// Elements in a row.
    pub k: usize,
    /// `[rows, k]`.
    pub elements: &'a [f32],
    /// `[rows, notes a row]`.
    pub notes: &'a [f64],
}

impl<'a> Matrix<'a> {
    fn rows(self) -> Rows<'a> {
        let rows = self.elements.len() / self.k;
        Rows { rows, k: self.k, elements: Cow::Borrowed(self.elements), unit: None, notes: self.notes.to_vec() }
    }
}

/// Packs columns.
pub fn aligned_columns(unit: &Aligned, w: Matrix<'_>) -> Columns {
    Columns::pack(&w.rows(), unit.emin.1)
}

/// Multiplies by an [`Aligned`] unit.
pub fn aligned(path: Path, unit: &Aligned, x: Matrix<'_>, columns: &Columns, definition: Fallback<'_>) -> Vec<f32> {
    unit.gemm(path, &Operands { rows: &x.rows(), columns }, definition)
}

/// Packs columns for a [`Grouped`] unit.
pub fn grouped_columns(unit: &Grouped, w: Matrix<'_>) -> GroupedColumns {
    unit.pack(&w.rows())
}

/// Multiplies by a [`Grouped`] unit.
pub fn grouped(
    path: Path,
    unit: &Grouped,
    x: Matrix<'_>,
    columns: &GroupedColumns,
    definition: Fallback<'_>,
) -> Vec<f32> {
    unit.gemm(path, &x.rows(), columns, definition)
}
