//! Dense matrices in FP32 and FP64: products, Cholesky factors, triangular inverses, eigenvectors.
//!
//! Invariant: every number is the result of one sequence of IEEE additions, multiplications, divisions and roots, whatever the CPU and
//! the number of threads. Multiplications and additions are rounded apart, since not every CPU fuses them. A sum over `k` runs
//! upwards in blocks of [`DEPTH`] from zero, and the blocks are added to the output one after the other; vectors hold different outputs, so
//! that their width shows nowhere. Threads share out outputs, never sums. General libraries choose kernels, and with
//! them the order of sums, by the CPU.

mod cholesky;
mod eigen;
mod product;

pub(crate) use cholesky::Lower;
pub(crate) use eigen::largest_vectors;
pub(crate) use product::{Columns, Sign, add};

use product::Real;
use rayon::prelude::*;

/// Terms that are summed from zero before the sum is added to an output.
pub(crate) const DEPTH: usize = 128;

/// Rows that one task takes: a multiple of every kernel's height and width.
pub(crate) const BAND: usize = 64;

/// A matrix in a slice, element `(i, j)` at `i * row + j * column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a, T: Copy> View<'a, T> {
    /// The first `rows` x `columns` of rows that lie `stride` apart.
    pub(crate) fn new(values: &'a [T], rows: usize, columns: usize, stride: usize) -> Self {
        Self { values, rows, columns, row: stride, column: 1 }
    }

    /// Its transpose.
    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }

    /// Up to `count` rows from `first` on.
    pub(crate) fn rows(self, first: usize, count: usize) -> Self {
        let count = count.min(self.rows - first);
        Self { values: &self.values[(first * self.row).min(self.values.len())..], rows: count, ..self }
    }

    /// Up to `count` columns from `first` on.
    pub(crate) fn columns(self, first: usize, count: usize) -> Self {
        self.transposed().rows(first, count).transposed()
    }

    fn at(self, i: usize, j: usize) -> T {
        self.values[i * self.row + j * self.column]
    }
}

/// `a b`, `[rows, b.count()]`; threads share out bands of rows.
pub(crate) fn multiplied<T: Real>(a: View<'_, T>, b: &Columns<T>) -> Vec<T> {
    let mut out = vec![T::default(); a.rows * b.count()];
    out.par_chunks_mut((BAND * b.count()).max(1)).enumerate().for_each(|(i, band)| {
        add(band, b.count(), Sign::Plus, a.rows(i * BAND, BAND), b, 0);
    });
    out
}

/// Adds X^T X to the upper triangle of `gram` `[k, k]`, with some of the lower one that [`mirror`] overwrites.
pub(crate) fn add_gram<T: Real>(gram: &mut [T], x: View<'_, T>) {
    let (k, right) = (x.columns, Columns::new(x));
    gram.par_chunks_mut((BAND * k).max(1)).enumerate().for_each(|(i, band)| {
        let first = i * BAND;
        add(&mut band[first..], k, Sign::Plus, x.columns(first, BAND).transposed(), &right, first);
    });
}

/// Copies the upper triangle to the lower one.
pub(crate) fn mirror<T: Copy>(matrix: &mut [T], k: usize) {
    let tiles = || (0..k).step_by(BAND);
    for (top, left) in tiles().flat_map(|top| tiles().take_while(move |left| *left <= top).map(move |left| (top, left)))
    {
        for row in top..(top + BAND).min(k) {
            for column in left..(left + BAND).min(row) {
                matrix[row * k + column] = matrix[column * k + row];
            }
        }
    }
}
